// Package pop3 serves POP3 (RFC 1939) with the extensions that Dovecot 2.3 has: CAPA (RFC 2449), STLS (RFC 2595), AUTH
// (RFC 5034), RESP-CODES and AUTH-RESP-CODE (RFC 3206), PIPELINING; texts are Dovecot's.
//
// The maildrop is the user's INBOX as it was when the session began. What the session marks is done at QUIT, in one step:
// messages are deleted, those that were retrieved become \Seen. A connection that ends in any other way deletes nothing.
package pop3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"dovetail/auth/sasl"
	"dovetail/serve"
	"dovetail/serve/autoexpunge"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
	"dovetail/serve/lines"
	"dovetail/serve/namespace"
	"dovetail/sync/watch"
)

// Protocol is POP3 for a serve.Server.
type Protocol struct {
	Server *serve.Server
	Hub    *watch.Hub // its Hold is that of Stores
	Log    *slog.Logger
	Stores *namespace.Stores
	Clean  *autoexpunge.Cleaner // nil: nothing expires
}

// Serve talks to one client until it goes, or the context ends.
func (p *Protocol) Serve(ctx context.Context, c *serve.Conn) {
	login, err := p.Server.NewLogin(c)
	if err != nil {
		p.Log.Error(fmt.Sprintf("pop3-login: %v", err))
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &session{p: p, c: c, login: login, view: login.View(), in: lines.NewReader(c), out: lines.NewWriter(c.Patient(writeWait))}
	defer s.close()
	stop := context.AfterFunc(ctx, func() { c.Dismiss("Server shutting down.") })
	defer stop()
	s.ended(s.run(ctx))
	s.expire(ctx)
}

// session is one connection.
type session struct {
	p     *Protocol
	c     *serve.Conn
	login *serve.Login // nil once somebody is logged in
	view  config.View
	in    *lines.Reader
	out   *lines.Writer

	claimed *string // by USER; nil before it

	user *namespace.User
	name string
	o    settings
	drop *maildrop // nil before login
	lock *sessionLock

	count counters
	bad   int // commands in a row that made no sense
	over  bool
	done  string // how it ended
}

// settings are those of the protocol, ready for use.
type settings struct {
	options.POP3

	noNULs     bool // in messages: Outlook hangs (outlook-no-nuls)
	endHeaders bool // an empty line ends a header that has no body (oe-ns-eoh)
	marks      bool // DELE gives messages the keyword pop3_deleted_flag; else they are removed
}

func readSettings(v config.View) (settings, error) {
	o, err := options.Read[options.POP3](v)
	s := settings{POP3: o}
	for _, word := range o.ClientWorkarounds {
		switch word {
		case "outlook-no-nuls":
			s.noNULs = true
		case "oe-ns-eoh":
			s.endHeaders = true
		}
	}
	s.marks = o.DeleteType != "expunge" && o.DeletedFlag != ""
	if o.DeleteType == "flag" && o.DeletedFlag == "" {
		return s, errors.New("pop3_delete_type=flag, but pop3_deleted_flag not set")
	}
	return s, err
}

// Times are Dovecot's (2.3.19, src/login-common/client-common.c and src/pop3/pop3-client.c).
const (
	loginWait = 180 * time.Second
	idleWait  = 10 * time.Minute
	writeWait = 5 * time.Minute
)

// Lines before login may hold tokens; later ones are short (src/pop3/pop3-client.c, MAX_INBUF_SIZE).
const (
	maxLoginLine = 8 << 10
	maxLine      = 2048
)

// run serves commands and tells how it ended.
func (s *session) run(ctx context.Context) (how string) {
	s.greet()
	for !s.over {
		line, err := s.hear()
		switch {
		case errors.Is(err, lines.ErrLong):
			return s.leave(s.tooLong())
		case s.sentAway():
			return s.done
		case serve.IsTimeout(err):
			s.err("Disconnected for inactivity.")
			s.out.Flush()
			return "Disconnected for inactivity"
		case err != nil:
			return "Connection closed"
		}
		s.execute(ctx, line)
	}
	s.out.Flush()
	return s.done
}

// hear gives the next line. What is to be said before it is sent when the client has nothing more to say.
func (s *session) hear() (string, error) {
	if !s.in.Pending() {
		if err := s.out.Flush(); err != nil {
			return "", err
		}
	}
	most := maxLine
	if s.login != nil {
		most = maxLoginLine
		s.c.SetReadDeadline(s.c.Since.Add(loginWait))
	} else {
		s.c.SetReadDeadline(time.Now().Add(idleWait))
	}
	line, err := s.in.Line(most)
	return string(line), err
}

func (s *session) tooLong() (said, how string) {
	if s.login != nil {
		return "Input buffer full, aborting", "Input buffer full"
	}
	return "Input line too long.", "Input line too long"
}

// leave says a last word.
func (s *session) leave(said, how string) string {
	s.err(said)
	s.out.Flush()
	s.end(how)
	return how
}

// end finishes the session behind the command that is being executed.
func (s *session) end(how string) { s.over, s.done = true, how }

// sentAway tells the client if the connection has to end for a reason that is not its own.
func (s *session) sentAway() bool {
	why, over := s.c.Dismissed()
	if !over {
		return false
	}
	if s.login == nil {
		s.err("[SYS/TEMP] " + why)
	} else {
		s.err(why)
	}
	s.out.Flush()
	s.end(why)
	return true
}

// command executes one; false when it made no sense.
type command func(s *session, ctx context.Context, args string) bool

// beforeLogin and afterLogin are what is understood; the names are those of RFC 1939, 2449, 2595 and 5034, and two for
// proxies: Dovecot's and that of nginx.
var (
	beforeLogin = map[string]command{
		"CAPA": (*session).capabilities, "USER": (*session).claim, "PASS": (*session).password, "APOP": (*session).apop,
		"AUTH": (*session).authenticate, "STLS": (*session).startTLS, "QUIT": (*session).abort, "XCLIENT": (*session).xclient, "XOIP": (*session).xoip,
	}
	afterLogin = map[string]command{
		"CAPA": (*session).capabilities, "STAT": (*session).stat, "LIST": (*session).list, "UIDL": (*session).uidl,
		"RETR": (*session).retrieve, "TOP": (*session).top, "DELE": (*session).remove, "RSET": (*session).reset,
		"NOOP": (*session).noop, "LAST": (*session).last, "QUIT": (*session).quit,
	}
)

// Nonsense in a row, after which it is over (src/pop3-login/client.c, src/pop3/pop3-client.c).
const (
	maxBadBefore = 3
	maxBadAfter  = 20
)

func (s *session) execute(ctx context.Context, line string) {
	name, args, _ := strings.Cut(line, " ")
	name = upper(name)
	if s.login != nil {
		do := beforeLogin[name]
		switch {
		case do == nil:
			s.err("Unknown command.")
		case do(s, ctx, args):
			s.bad = 0
			return
		}
		if s.bad++; s.bad >= maxBadBefore {
			s.err("Too many invalid bad commands.")
			s.end("Too many bad commands")
		}
		return
	}
	do := afterLogin[name]
	if name == "" {
		s.err("Unknown command.")
	} else if do == nil || name == "LAST" && !s.o.EnableLast {
		s.err("Unknown command: " + name)
	} else if do(s, ctx, strings.TrimLeft(args, " ")) {
		s.bad = 0
		return
	}
	if s.bad++; s.bad > maxBadAfter {
		s.err("Too many bad commands.")
		s.end("Too many bad commands.")
	}
}

// upper changes ASCII letters alone.
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func (s *session) ok(text string)  { s.out.Line("+OK " + text) }
func (s *session) err(text string) { s.out.Line("-ERR " + text) }

func (s *session) greet() {
	text, err := s.login.Greeting.Expand(s.variable)
	if err != nil {
		text = "Ready."
	}
	if s.c.Trusted {
		text = "[XCLIENT] " + text
	}
	if s.login.Offers("APOP") {
		host, _ := os.Hostname() // the random part is what counts
		s.login.Challenge = sasl.APOPChallenge(uint32(os.Getpid()), 1, s.c.Since, host)
		text += " " + s.login.Challenge
	}
	s.ok(text)
}

func (s *session) variable(name string) (string, error) {
	r := s.c.Request("")
	return r.Variable(name)
}

func (s *session) capabilities(context.Context, string) bool {
	s.out.WriteString("+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\n")
	if s.login != nil {
		if s.c.CanStartTLS(s.login.TLS.Mode) {
			s.out.Line("STLS")
		}
		if !s.login.CleartextRefused() {
			s.out.Line("USER")
		}
		s.out.Line(strings.Join(append([]string{"SASL"}, s.login.Mechanisms()...), " "))
	}
	s.out.Line(".")
	return true
}

func (s *session) noop(context.Context, string) bool {
	s.out.Line("+OK")
	return true
}

// close gives everything back.
func (s *session) close() {
	if s.login != nil {
		s.login.Close()
	}
	s.drop.close()
	s.lock.release()
	if s.user != nil {
		s.user.Close()
	}
}

// expire removes old messages behind the session.
func (s *session) expire(ctx context.Context) {
	if s.user != nil && s.p.Clean.Wanted(s.user) {
		s.c.Close()
		s.lock.release()
		s.lock = nil
		s.p.Clean.Clean(ctx, s.user, s.log)
	}
}

// log writes a line about the session, behind mail_log_prefix.
func (s *session) log(level slog.Level, text string) {
	prefix := "pop3-login: "
	if s.name != "" {
		prefix = serve.LogPrefix(s.view, s.c, s.name)
	}
	s.p.Log.Log(context.Background(), level, prefix+text)
}

// ended does what is due without QUIT, and logs how the session ended.
func (s *session) ended(how string) {
	if s.login != nil {
		s.login.Disconnected(how)
		return
	}
	if s.drop != nil && !s.drop.updated {
		s.drop.markSeen()
	}
	s.log(slog.LevelInfo, "Disconnected: "+how+" "+s.statistics())
}
