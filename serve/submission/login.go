package submission

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"dovetail/auth"
	"dovetail/serve"
	"dovetail/serve/namespace"
	"dovetail/serve/smtp"
)

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

func (s *session) startTLS(ctx context.Context, args string) {
	if !s.StartTLS(ctx, s.login.TLS.Mode, args) {
		return
	}
	err := s.login.Reread()
	if err == nil {
		s.view = s.login.View()
		err = s.readSettings()
	}
	if err != nil {
		s.log(slog.LevelError, err.Error())
		s.Leave("Internal error occurred")
	}
}

func (s *session) resetEarly(_ context.Context, args string) {
	if args != "" {
		s.Invalid()
		return
	}
	s.Reply(250, "2.0.0", "OK")
}

func (s *session) noopEarly(_ context.Context, args string) {
	if s.isString(args) {
		s.Reply(250, "2.0.0", "OK")
	}
}

func (s *session) unknownUser(context.Context, string) {
	s.Reply(530, "5.7.0", "Authentication required.")
}

// chunkEarly reads what is announced, too: it must not be taken for commands.
func (s *session) chunkEarly(_ context.Context, args string) {
	s.TakeChunk(args, func() bool {
		s.Reply(530, "5.7.0", "Authentication required.")
		return false
	}, nil)
}

func (s *session) alreadyKnown(context.Context, string) {
	s.Reply(503, "5.5.0", "Already authenticated")
}

func (s *session) tooLate(context.Context, string) {
	if s.C.TLS() != nil {
		s.Reply(502, "5.5.1", "TLS is already active.")
		return
	}
	s.Reply(502, "5.5.1", "TLS support is not enabled.")
}

// errUnheard is about a client that has gone in a conversation.
var errUnheard = errors.New("connection lost")

// authenticate is AUTH (RFC 4954).
func (s *session) authenticate(ctx context.Context, args string) {
	words := strings.Split(args, " ")
	switch {
	case args == "":
		s.Reply(501, "5.5.4", "Missing SASL mechanism parameter")
		return
	case len(words) > 2:
		s.Invalid()
		return
	}
	s.State = "AUTH"
	first := serve.Response{}
	if len(words) == 2 {
		first = serve.Response{Text: words[1], Given: true}
	}
	reply, err := s.login.Converse(ctx, words[0], first, s.challenge)
	switch {
	case errors.Is(err, errUnheard):
	case errors.Is(err, serve.ErrCleartext):
		s.Reply(523, "5.7.10", err.Error())
	case errors.Is(err, auth.ErrMechanism):
		s.Reply(504, "5.5.4", "Unsupported authentication mechanism.")
	case err != nil:
		s.Reply(501, "5.5.2", err.Error())
	default:
		s.finish(ctx, reply)
	}
}

func (s *session) challenge(text string) (string, error) {
	s.Reply(334, "", text)
	line, ok := s.Hear(maxLoginLine)
	if !ok {
		return "", errUnheard
	}
	return line, nil
}

// finish answers a login, and connects to the relay if it is one.
func (s *session) finish(ctx context.Context, r *auth.Reply) {
	switch {
	case !r.OK:
		s.Reply(refusal(r))
		return
	case r.Fields.Has("proxy"):
		s.log(slog.LevelError, fmt.Sprintf("proxy: %s is to be served by %s, and this server does not pass connections on", r.User, r.Fields.Value("host")))
		s.Reply(454, "4.7.0", "Account is temporarily unavailable.")
		return
	case r.Fields.Has("nologin"):
		s.Reply(525, "5.7.13", serve.Reason(r, "Login disabled for this user"))
		return
	}
	u, err := s.login.Finish(ctx, r)
	if limit, full := errors.AsType[*serve.LimitError](err); full {
		s.Reply(454, "4.7.0", limit.Error())
		s.Leave(limit.Error())
		return
	}
	if err != nil {
		s.Reply(454, "4.7.0", serve.Temporary("Temporary authentication failure."))
		return
	}
	login := s.login
	defer login.Close()
	s.login, s.name = nil, u.Name
	if s.user, err = namespace.Open(namespace.Options{View: s.view, Account: u, Lookup: s.variable, Stores: s.p.Stores}); err == nil {
		s.view = s.user.View
		err = s.readSettings()
	}
	switch {
	case err != nil:
	case s.o.RelayHost == "":
		err = errors.New("No relay host configured for submission proxy (submission_relay_host is unset)")
	case s.o.RelayMaxIdleTime == 0:
		err = errors.New("submission_relay_max_idle_time must not be 0")
	}
	if err != nil {
		s.log(slog.LevelError, err.Error())
		s.Reply(451, "4.3.5", serve.CriticalError())
		s.Reply(421, "4.3.2", s.Host+" Shutting down due to fatal error")
		s.Leave("Internal error occurred")
		return
	}
	s.C.KeepFor(s.user, s.log)
	s.begin(ctx)
}

// begin is the way into the state in which mail is taken. What the relay can is to be known for EHLO, so it is asked now,
// unless the configuration says it.
func (s *session) begin(ctx context.Context) {
	s.Until, s.MaxLine, s.State = time.Time{}, maxLine, "READY"
	s.Reply(235, "2.7.0", "Logged in.")
	if !s.o.CapabilitiesSet && s.Out.Flush() == nil {
		s.connected(ctx)
	}
}

// refusal is what a client is told whose login failed (src/submission-login/client-authenticate.c).
func refusal(r *auth.Reply) (code int, enhanced, text string) {
	switch r.Code {
	case auth.CodeTempFail:
		return 454, "4.7.0", serve.Temporary("Temporary authentication failure.")
	case auth.CodeAuthzFail:
		return 535, "5.7.8", serve.Reason(r, "Authorization failed")
	case auth.CodePassExpired:
		return 535, "5.7.8", serve.Reason(r, "Password expired")
	case auth.CodeBadBase64:
		return 501, "5.5.2", serve.ErrBase64.Error()
	}
	return 535, "5.7.8", serve.Reason(r, "Authentication failed.")
}

func (s *session) xclient(_ context.Context, args string) {
	if s.XClient(args, false, s.forwarded) {
		s.greet()
	}
}

// forwarded takes what a proxy tells of its client beside its address: fields for the user databases.
func (s *session) forwarded(key, value string) error {
	switch key {
	case "FORWARD":
		text, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return err
		}
		for field := range strings.SplitSeq(string(text), "\t") {
			name, value, _ := strings.Cut(field, "=")
			if name != "" && !s.C.Forwarded.Has("forward_"+name) {
				s.C.Forwarded = append(s.C.Forwarded, auth.Field{Key: "forward_" + name, Value: value})
			}
		}
	case "PROTO":
		if value = strings.ToUpper(value); value != "SMTP" && value != "ESMTP" && value != "LMTP" {
			return errors.New("no protocol")
		}
	}
	return nil
}

// isString tells whether args is a string as NOOP and VRFY have it, or nothing: an atom, or one in quotes (RFC 5321
// section 4.1.2).
func (s *session) isString(args string) bool {
	if args == "" || smtp.IsString(args) {
		return true
	}
	s.Reply(501, "5.5.4", "Invalid string parameter: Invalid character in string")
	return false
}
