package pop3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"

	"dovetail/auth"
	"dovetail/serve"
	"dovetail/serve/namespace"
)

func (s *session) abort(context.Context, string) bool {
	s.ok("Logging out")
	s.end("Aborted login by logging out")
	return true
}

func (s *session) startTLS(ctx context.Context, _ string) bool {
	switch {
	case s.login.TLS.Mode == "no":
		s.err("TLS support isn't enabled.")
		return true
	case !s.c.CanStartTLS(s.login.TLS.Mode):
		s.err("TLS is already active.")
		return true
	}
	s.ok("Begin TLS negotiation now.")
	if s.out.Flush() != nil {
		s.end("Connection closed")
		return true
	}
	s.in.Drop()     // what came in clear behind the command is not the client's for sure
	s.claimed = nil // likewise what came before it (RFC 2595 section 4)
	wait, cancel := context.WithTimeout(ctx, loginWait)
	defer cancel()
	if err := s.c.StartTLS(wait); err != nil {
		s.end(fmt.Sprintf("TLS handshaking: %v", err))
		return true
	}
	if err := s.login.Reread(); err != nil {
		s.p.Log.Error(fmt.Sprintf("pop3-login: %v", err))
		s.end("Internal error occurred")
		return true
	}
	s.view = s.login.View()
	return true
}

// claim is USER.
func (s *session) claim(_ context.Context, name string) bool {
	if s.refuseCleartext() {
		return true
	}
	s.claimed = &name
	s.out.Line("+OK")
	return true
}

func (s *session) refuseCleartext() bool {
	if !s.login.CleartextRefused() {
		return false
	}
	s.login.Refuse("", "tried to use disallowed plaintext auth")
	s.err("[AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.")
	return true
}

func (s *session) password(ctx context.Context, password string) bool {
	if s.claimed == nil {
		if !s.refuseCleartext() {
			s.err("No username given.")
		}
		return true
	}
	name := *s.claimed
	s.claimed = nil
	s.finish(ctx, s.login.Plain(ctx, name, password))
	return true
}

func (s *session) apop(ctx context.Context, args string) bool {
	if s.login.Challenge == "" {
		s.err("APOP not enabled.")
		return true
	}
	name, digest, ok := strings.Cut(args, " ")
	if !ok || len(digest) != 32 {
		s.err("Invalid parameters.")
		return true
	}
	sum, err := hex.DecodeString(digest)
	if err != nil {
		s.err("Invalid characters in MD5 response.")
		return true
	}
	said := s.login.Challenge + "\x00" + name + "\x00" + string(sum)
	s.converse(ctx, "APOP", serve.Response{Text: base64.StdEncoding.EncodeToString([]byte(said)), Given: true})
	return true
}

// authenticate is AUTH. Without a mechanism it lists them: Outlook asks in that way.
func (s *session) authenticate(ctx context.Context, args string) bool {
	if args == "" {
		s.out.Line("+OK")
		for _, name := range s.login.Mechanisms() {
			s.out.Line(name)
		}
		s.out.Line(".")
		return true
	}
	name, first, _ := strings.Cut(args, " ")
	if upper(name) == "APOP" { // which has a command of its own
		s.login.Refuse(name, "tried to use unsupported auth mechanism")
		s.err("[AUTH] Unsupported authentication mechanism.")
		return true
	}
	s.converse(ctx, name, serve.Response{Text: first, Given: first != ""})
	return true
}

func (s *session) converse(ctx context.Context, mechanism string, first serve.Response) {
	reply, err := s.login.Converse(ctx, mechanism, first, s.challenge)
	switch {
	case errors.Is(err, serve.ErrCleartext):
		s.err("[AUTH] " + err.Error())
	case errors.Is(err, auth.ErrMechanism):
		s.err("[AUTH] Unsupported authentication mechanism.")
	case errors.Is(err, serve.ErrBase64):
		s.err("[AUTH] " + err.Error())
	case errors.Is(err, serve.ErrAborted):
		s.err(err.Error())
	case err != nil:
		s.unheard(err)
	default:
		s.finish(ctx, reply)
	}
}

func (s *session) challenge(text string) (string, error) {
	s.out.Line("+ " + text)
	if err := s.out.Flush(); err != nil {
		return "", err
	}
	return s.hear()
}

// unheard ends a conversation in which the client has said nothing that could be read.
func (s *session) unheard(err error) {
	if !s.sentAway() && serve.IsTimeout(err) {
		s.leave("Disconnected for inactivity.", "Inactivity")
	}
	if !s.over {
		s.end("Connection closed")
	}
}

// finish answers a login, and opens the maildrop if it is one.
func (s *session) finish(ctx context.Context, r *auth.Reply) {
	if !r.OK {
		s.err(refusal(r))
		return
	}
	switch {
	case r.Fields.Has("proxy"):
		s.p.Log.Error(fmt.Sprintf("pop3-login: proxy: the mail of %s is on %s, and this server does not pass connections on", r.User, r.Fields.Value("host")))
		s.err("[SYS/TEMP] Account is temporarily unavailable.")
		return
	case r.Fields.Has("nologin"):
		s.err("[AUTH] " + serve.Reason(r, "Login disabled for this user"))
		return
	}
	u, err := s.login.Finish(ctx, r)
	if limit, full := errors.AsType[*serve.LimitError](err); full {
		s.err("[SYS/TEMP] " + limit.Error())
		s.end(limit.Error())
		return
	}
	if err != nil {
		s.err("[SYS/TEMP] " + serve.Temporary("Temporary authentication failure."))
		return
	}
	login := s.login
	defer login.Close()
	s.login, s.name = nil, u.Name
	if s.user, err = namespace.Open(namespace.Options{View: s.view, Account: u, Lookup: s.variable, Stores: s.p.Stores}); err == nil {
		s.view = s.user.View
		s.o, err = readSettings(s.view)
		s.c.KeepFor(s.user, s.log)
	}
	if err != nil {
		s.log(slog.LevelError, err.Error())
		s.leave("[SYS/TEMP] "+serve.CriticalError(), "Internal error occurred")
		return
	}
	s.begin(ctx)
}

// begin is the way into the transaction state. The lock comes before the answer (RFC 1939 section 4); where none is wanted
// the answer comes at once, because to look into a mailbox for the first time may take longer than a client waits.
func (s *session) begin(ctx context.Context) {
	if s.o.LockSession {
		var err error
		if s.lock, err = lockSession(ctx, s.user); err != nil {
			said, locked := "[SYS/TEMP] Failed to create POP3 session lock.", errors.Is(err, errLocked)
			if locked {
				said = "[IN-USE] Mailbox is locked by another POP3 session."
			} else {
				s.log(slog.LevelError, err.Error())
			}
			s.leave(said, "Couldn't lock POP3 session")
			return
		}
	}
	s.ok("Logged in.")
	if !s.in.Pending() && s.out.Flush() != nil {
		s.end("Connection closed")
		return
	}
	drop, err := openMaildrop(ctx, s)
	if err != nil {
		s.log(slog.LevelError, "Couldn't init INBOX: "+err.Error())
		s.leave("[SYS/TEMP] "+serve.CriticalError(), "Couldn't init INBOX")
		return
	}
	s.drop = drop
}

// refusal is what a client is told whose login failed (RFC 3206; the texts of 2.3.19, src/pop3-login).
func refusal(r *auth.Reply) string {
	switch r.Code {
	case auth.CodeTempFail:
		return "[SYS/TEMP] " + serve.Temporary("Temporary authentication failure.")
	case auth.CodeAuthzFail:
		return "[AUTH] " + serve.Reason(r, "Authorization failed")
	case auth.CodePassExpired:
		return "[AUTH] " + serve.Reason(r, "Password expired")
	case auth.CodeBadBase64:
		return "[AUTH] Invalid base64 data in initial response"
	}
	return "[AUTH] " + serve.Reason(r, "Authentication failed.")
}

// xclient is how a proxy that is trusted tells who its client is (Dovecot 2.3.19, src/pop3-login/client.c).
func (s *session) xclient(_ context.Context, args string) bool {
	if !s.c.Trusted {
		s.ok("You are not from trusted IP - ignoring")
		return true
	}
	remote, name := s.c.Remote, s.c.Session
	for word := range strings.FieldsSeq(args) {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch upper(key) {
		case "ADDR":
			var a netip.Addr
			a, err = netip.ParseAddr(value)
			remote = netip.AddrPortFrom(a, remote.Port())
		case "PORT":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 16)
			remote = netip.AddrPortFrom(remote.Addr(), uint16(n))
		case "SESSION":
			if len(value) <= maxSessionID {
				name = value
			}
		}
		if err != nil {
			s.err("Invalid parameters")
			return true
		}
	}
	s.c.Remote, s.c.Session = remote, name
	s.ok("Updated")
	return true
}

func (s *session) xoip(ctx context.Context, args string) bool { return s.xclient(ctx, "ADDR="+args) }

// maxSessionID is LOGIN_MAX_SESSION_ID_LEN (src/login-common/client-common.h).
const maxSessionID = 64
