package imap

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

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
	x, err := s.login.Begin(args.Mechanism)
	if errors.Is(err, serve.ErrCleartext) {
		return no("[PRIVACYREQUIRED]", err.Error())
	}
	if err != nil {
		return no("[ALERT]", "Unsupported authentication mechanism.")
	}
	text, given := args.Initial, args.HasInitial
	for {
		response, err := decoded(text, given)
		if err != nil {
			return bad("Invalid base64 data in initial response")
		}
		challenge, done := x.Step(ctx, response)
		if done != nil {
			s.login.End(done)
			if len(done.Final) > 0 && done.OK && !s.last(done.Final) {
				return answer{}
			}
			return s.finish(ctx, done)
		}
		s.line("+ " + base64.StdEncoding.EncodeToString(challenge))
		if s.flush() != nil {
			s.end("Connection closed")
			return answer{}
		}
		s.wait()
		if text, err = s.in.ReadLine(maxResponse); err != nil {
			return s.noResponse(err)
		}
		if given = true; text == "*" {
			s.login.Abort()
			return bad("Authentication aborted by client.")
		}
	}
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
	case isTimeout(err):
		s.inactive()
	default:
		s.end("Connection closed")
	}
	return answer{}
}

// decoded reads base64; "=" is an answer of no bytes. Nothing given is nil.
func decoded(text string, given bool) ([]byte, error) {
	if !given {
		return nil, nil
	}
	if text == "=" {
		return []byte{}, nil
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}

// last sends what a mechanism has to say along with success; IMAP has no place for it but a challenge, which the client
// answers with nothing (RFC 4422 section 4).
func (s *session) last(final []byte) bool {
	s.line("+ " + base64.StdEncoding.EncodeToString(final))
	if s.flush() != nil {
		return false
	}
	_, err := s.in.ReadLine(maxResponse)
	return err == nil
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
		return no(s.referral(r), reasonOr(r.Reason, "Try this server instead."))
	case r.Fields.Has("nologin"):
		return no("[CONTACTADMIN]", reasonOr(r.Reason, "Login disabled for this user"))
	}
	u, err := s.login.Finish(ctx, r)
	if limit, full := errors.AsType[*serve.LimitError](err); full {
		s.end(limit.Error())
		return no("[LIMIT]", limit.Error())
	}
	if err != nil {
		return no("[UNAVAILABLE]", temporary("Temporary authentication failure."))
	}
	if err := s.openMail(u); err != nil {
		s.name = u.Name
		s.log(slog.LevelError, err.Error())
		s.login.Close()
		s.login = nil
		s.line("* BYE " + temporary("Internal error occurred. Refer to server log for more information."))
		s.end("Internal error occurred")
		return ok("Logged in, but initialization failed.")
	}
	if host != "" {
		return withCode(s.referral(r), reasonOr(r.Reason, "Logged in, but you should use this server instead."))
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
	return nil
}

// refusal is what a client is told whose login failed (the texts of 2.3.19, src/imap-login/imap-login-client.c).
func refusal(r *auth.Reply) answer {
	switch r.Code {
	case auth.CodeTempFail:
		return no("[UNAVAILABLE]", temporary("Temporary authentication failure."))
	case auth.CodeAuthzFail:
		return no("[AUTHORIZATIONFAILED]", reasonOr(r.Reason, "Authorization failed"))
	case auth.CodePassExpired:
		return no("[EXPIRED]", reasonOr(r.Reason, "Password expired"))
	case auth.CodeBadBase64:
		return bad("Invalid base64 data in initial response")
	}
	return no("[AUTHENTICATIONFAILED]", reasonOr(r.Reason, "Authentication failed."))
}

func reasonOr(reason, usual string) string {
	if reason == "" {
		return usual
	}
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(reason)
}

// temporary adds to a text what helps to find its line in the log.
func temporary(text string) string {
	return text + " [" + hostName + ":" + time.Now().Format("2006-01-02 15:04:05") + "]"
}
