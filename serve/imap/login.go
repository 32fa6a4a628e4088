package imap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"

	"dovetail/auth"
	"dovetail/formats/imapwire"
	"dovetail/serve"
	"dovetail/serve/namespace"
)

func (s *session) startTLS(ctx context.Context, c *imapwire.Command) answer {
	if s.login.TLS.Mode == "no" {
		return bad("TLS support isn't enabled.")
	}
	if !s.c.CanStartTLS(s.login.TLS.Mode) {
		return bad("TLS is already active.")
	}
	s.line(c.Tag + " OK Begin TLS negotiation now.")
	if err := s.flush(); err != nil {
		s.end("Connection closed")
		return answer{}
	}
	s.in.Buffered() // what came in clear behind the command is not the client's for sure
	wait, cancel := context.WithTimeout(ctx, loginWait)
	defer cancel()
	if err := s.c.StartTLS(wait); err != nil {
		s.end(fmt.Sprintf("TLS handshaking: %v", err))
		return answer{}
	}
	if err := s.login.Reread(); err != nil {
		return s.failed(err)
	}
	s.view = s.login.View()
	return answer{}
}

func (s *session) loginCommand(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Login)
	if s.login.CleartextRefused() {
		s.login.Refuse("", "tried to use disallowed plaintext auth")
		s.line("* BAD [ALERT] Plaintext authentication not allowed without SSL/TLS, but your client did it anyway. If anyone was listening, the password was exposed.")
		return no("[PRIVACYREQUIRED]", "Plaintext authentication disallowed on non-secure (SSL/TLS) connections.")
	}
	return s.finish(ctx, s.login.Plain(ctx, args.User, args.Password))
}

// maxResponse bounds one answer of a client in a conversation: tokens are long.
const maxResponse = 32 << 10

func (s *session) authenticate(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Authenticate)
	reply, err := s.login.Converse(ctx, args.Mechanism, serve.Response{Text: args.Initial, Given: args.HasInitial}, s.challenge)
	switch {
	case errors.Is(err, serve.ErrCleartext):
		return no("[PRIVACYREQUIRED]", err.Error())
	case errors.Is(err, auth.ErrMechanism):
		return no("[ALERT]", "Unsupported authentication mechanism.")
	case errors.Is(err, serve.ErrBase64), errors.Is(err, serve.ErrAborted):
		return bad(err.Error())
	case err != nil:
		return s.noResponse(err)
	}
	return s.finish(ctx, reply)
}

// challenge sends what a mechanism has to say, and gives the client's answer.
func (s *session) challenge(text string) (string, error) {
	s.line("+ " + text)
	if err := s.flush(); err != nil {
		return "", err
	}
	s.wait()
	return s.in.ReadLine(maxResponse)
}

// noResponse ends a conversation in which the client has said nothing that could be read.
func (s *session) noResponse(err error) answer {
	e, tooLong := errors.AsType[*imapwire.SyntaxError](err)
	switch {
	case tooLong && e.Fatal:
		s.leave(e.Text)
	case tooLong:
		return bad("Authentication response is too long")
	case s.sentAway():
	case serve.IsTimeout(err):
		s.inactive()
	default:
		s.end("Connection closed")
	}
	return answer{}
}

// finish answers a login, and opens the user's mail if it is one.
func (s *session) finish(ctx context.Context, r *auth.Reply) answer {
	if !r.OK {
		return refusal(r)
	}
	host := r.Fields.Value("host")
	switch {
	case r.Fields.Has("proxy"):
		s.p.Log.Error(fmt.Sprintf("imap-login: proxy: the mail of %s is on %s, and this server does not pass connections on", r.User, host))
		return no("[UNAVAILABLE]", "Account is temporarily unavailable.")
	case r.Fields.Has("nologin") && host != "":
		return no(s.referral(r), serve.Reason(r, "Try this server instead."))
	case r.Fields.Has("nologin"):
		return no("[CONTACTADMIN]", serve.Reason(r, "Login disabled for this user"))
	}
	u, err := s.login.Finish(ctx, r)
	if limit, full := errors.AsType[*serve.LimitError](err); full {
		s.end(limit.Error())
		return no("[LIMIT]", limit.Error())
	}
	if err != nil {
		return no("[UNAVAILABLE]", serve.Temporary("Temporary authentication failure."))
	}
	if err := s.openMail(u); err != nil {
		s.name = u.Name
		s.log(slog.LevelError, err.Error())
		s.login.Close()
		s.login = nil
		s.line("* BYE " + serve.Temporary("Internal error occurred. Refer to server log for more information."))
		s.end("Internal error occurred")
		return ok("Logged in, but initialization failed.")
	}
	if host != "" {
		return withCode(s.referral(r), serve.Reason(r, "Logged in, but you should use this server instead."))
	}
	return withCode("[CAPABILITY "+s.capabilities()+"]", loggedIn)
}

// referral tells where a user's mail is (RFC 2221; Dovecot 2.3.19, src/imap-login/imap-login-client.c).
func (s *session) referral(r *auth.Reply) string {
	user, host := r.Fields.Value("destuser"), r.Fields.Value("host")
	if user == "" {
		user = r.User
	}
	if port := r.Fields.Value("port"); port != "" && port != "143" {
		host += ":" + port
	}
	return "[REFERRAL imap://" + url.PathEscape(user) + ";AUTH=*@" + host + "/]"
}

const loggedIn = "Logged in"

// maxLine bounds imap_max_line_length, which is read into memory.
const maxLine = 1 << 30

func (s *session) openMail(u *auth.User) error {
	mail, err := namespace.Open(namespace.Options{View: s.view, Account: u, Lookup: s.variable, Stores: &s.p.Stores})
	if err != nil {
		return err
	}
	o, err := readSettings(mail.View)
	if err != nil {
		return err
	}
	s.login.Close()
	s.user, s.name, s.view, s.o, s.login = mail, u.Name, mail.View, o, nil
	s.in.Limit, s.in.Skip = int(min(o.MaxLineLength, maxLine)), maxAppend
	s.c.KeepFor(mail, s.log)
	return nil
}

// refusal is what a client is told whose login failed (the texts of 2.3.19, src/imap-login/imap-login-client.c).
func refusal(r *auth.Reply) answer {
	switch r.Code {
	case auth.CodeTempFail:
		return no("[UNAVAILABLE]", serve.Temporary("Temporary authentication failure."))
	case auth.CodeAuthzFail:
		return no("[AUTHORIZATIONFAILED]", serve.Reason(r, "Authorization failed"))
	case auth.CodePassExpired:
		return no("[EXPIRED]", serve.Reason(r, "Password expired"))
	case auth.CodeBadBase64:
		return bad("Invalid base64 data in initial response")
	}
	return no("[AUTHENTICATIONFAILED]", serve.Reason(r, "Authentication failed."))
}
