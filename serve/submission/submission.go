// Package submission takes mail from users who are logged in (RFC 6409) and gives it to an MTA, the relay, whose answers
// are passed on: what it does not accept is not accepted here. Extensions are AUTH, STARTTLS, SIZE, 8BITMIME, CHUNKING,
// BINARYMIME, BURL (RFC 4468), DSN, ENHANCEDSTATUSCODES, PIPELINING, VRFY and XCLIENT, as far as the relay has what is
// needed for them; texts and the order of things are those of Dovecot 2.3.19 (src/submission-login, src/submission).
//
// A message is taken from the client as a whole, beyond some size into a file without a name, before the relay gets it in
// one piece: nobody waits for somebody else's line, and what is cut off goes nowhere.
package submission

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"dovetail/formats/conf/variable"
	"dovetail/serve"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
	"dovetail/serve/namespace"
	"dovetail/serve/smtp"
	"dovetail/sync/watch"
)

// Protocol is submission for a serve.Server.
type Protocol struct {
	Server *serve.Server
	Hub    *watch.Hub // its Hold is that of Stores
	Log    *slog.Logger
	Stores *namespace.Stores
}

// Times are Dovecot's (src/login-common/client-common.h, src/submission/submission-client.c).
const (
	loginWait = 180 * time.Second
	idleWait  = 10 * time.Minute
)

// Lines before login may hold tokens; later ones are short.
const (
	maxLoginLine = 16000
	maxLine      = 4096
)

// Serve talks to one client until it goes, or the context ends.
func (p *Protocol) Serve(ctx context.Context, c *serve.Conn) {
	login, err := p.Server.NewLogin(c)
	if err != nil {
		p.Log.Error(fmt.Sprintf("submission-login: %v", err))
		return
	}
	s := &session{Session: smtp.NewSession(c), p: p, login: login, view: login.View()}
	s.MaxLine, s.Wait, s.Until = maxLoginLine, idleWait, c.Since.Add(loginWait)
	defer s.close()
	if err := s.readSettings(); err != nil {
		p.Log.Error(fmt.Sprintf("submission-login: %v", err))
		return
	}
	// What the session waits for ends when it is dismissed, which is later than the context ends while a message is being
	// relayed.
	within, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s.OnDismiss = cancel
	stop := context.AfterFunc(ctx, s.Dismiss)
	defer stop()
	s.greet()
	s.ended(s.Run(func(verb string) smtp.Command { return s.find(within, verb) }))
}

// session is one connection.
type session struct {
	*smtp.Session
	p     *Protocol
	login *serve.Login // nil once somebody is logged in
	view  config.View
	temp  string // mail_temp_dir
	o     options.Submission
	known extensions // of the relay, before it was asked

	user  *namespace.User
	name  string
	old   bool // the client speaks SMTP without extensions
	relay *relay
	tx    *transaction
	count int // of transactions
}

func (s *session) readSettings() (err error) {
	s.o, err = options.ReadSubmission(s.view)
	s.Host = s.o.Hostname
	if s.Host == "" {
		s.Host = hostname()
	}
	var unknown []string
	if s.known, unknown = namedExtensions(s.o.BackendCapabilities); len(unknown) > 0 {
		s.p.Log.Warn("submission: Unknown SMTP capability in submission_backend_capabilities: " + strings.Join(unknown, " "))
	}
	if !s.o.CapabilitiesSet {
		s.known = extensions{eightBit: true}
	}
	storage, storageErr := options.Read[options.Storage](s.view)
	if storageErr == nil {
		s.temp, storageErr = storage.TempDir.Expand(s.variable)
	}
	return errors.Join(err, storageErr)
}

func (s *session) greet() { s.Reply(220, "", s.Host+" "+s.greeting()) }

func (s *session) greeting() string {
	if s.login != nil {
		if text, err := s.login.Greeting.Expand(s.variable); err == nil {
			return text
		}
	}
	return "Ready."
}

func (s *session) variable(name string) (string, error) {
	r := s.C.Request("")
	r.User = s.name
	return r.Variable(name)
}

// command executes one.
type command func(s *session, ctx context.Context, args string)

var (
	beforeLogin = map[string]command{
		"EHLO": (*session).hello, "HELO": (*session).oldHello, "AUTH": (*session).authenticate, "STARTTLS": (*session).startTLS,
		"RSET": (*session).resetEarly, "NOOP": (*session).noopEarly, "QUIT": (*session).quit, "XCLIENT": (*session).xclient,
		"MAIL": (*session).unknownUser, "RCPT": (*session).unknownUser, "DATA": (*session).unknownUser, "VRFY": (*session).unknownUser,
		"BDAT": (*session).chunkEarly,
	}
	afterLogin = map[string]command{
		"EHLO": (*session).hello, "HELO": (*session).oldHello, "MAIL": (*session).mail, "RCPT": (*session).recipient, "DATA": (*session).data,
		"BDAT": (*session).chunk, "BURL": (*session).chunkByURL, "RSET": (*session).rset, "NOOP": (*session).noop, "VRFY": (*session).verify,
		"QUIT": (*session).quit, "AUTH": (*session).alreadyKnown, "STARTTLS": (*session).tooLate, "XCLIENT": (*session).unsupported,
	}
)

// clear are the commands that are executed where TLS is required and missing (RFC 3207 section 4).
var clear = map[string]bool{"EHLO": true, "STARTTLS": true, "NOOP": true, "QUIT": true}

func (s *session) find(ctx context.Context, verb string) smtp.Command {
	do := afterLogin[verb]
	if s.login != nil {
		if do = beforeLogin[verb]; do != nil && s.tlsRequired() && !clear[verb] {
			return func(string) { s.Reply(530, "5.7.0", "TLS required.") }
		}
	}
	if do == nil {
		return nil
	}
	return func(args string) { do(s, ctx, args) }
}

func (s *session) tlsRequired() bool { return s.login.TLS.Mode == "required" && s.C.Secured() == "" }

func (s *session) unsupported(context.Context, string) {
	s.Reply(502, "5.5.1", "Unsupported command")
}

func (s *session) quit(_ context.Context, args string) {
	s.Quit(args)
	if s.Over() && s.login != nil {
		s.Leave("Aborted login by logging out")
	}
}

// close gives everything back.
func (s *session) close() {
	if s.login != nil {
		s.login.Close()
	}
	s.reset()
	if s.relay != nil {
		s.relay.close()
	}
	if s.user != nil {
		s.user.Close()
	}
}

// log writes a line about the session, behind mail_log_prefix.
func (s *session) log(level slog.Level, text string) {
	prefix := "submission-login: "
	if s.name != "" {
		prefix = serve.LogPrefix(s.view, s.C, s.name)
	}
	s.p.Log.Log(context.Background(), level, prefix+text)
}

// ended logs how the session ended.
func (s *session) ended(how string) {
	if s.login != nil {
		s.login.Disconnected(how)
		return
	}
	s.log(slog.LevelInfo, fmt.Sprintf("Disconnected: %s (state=%s) %s", strings.ReplaceAll(how, "\n", " "), s.State, s.statistics()))
}

// statistics is submission_logout_format.
func (s *session) statistics() string {
	text, err := s.o.LogoutFormat.Expand(func(name string) (string, error) {
		switch name {
		case "i", "input":
			return fmt.Sprint(s.C.In.Load()), nil
		case "o", "output":
			return fmt.Sprint(s.C.Out.Load()), nil
		case "command_count":
			return fmt.Sprint(s.Commands), nil
		case "reply_count":
			return fmt.Sprint(s.Replies), nil
		case "session":
			return s.C.Session, nil
		case "transaction_id":
			if s.tx != nil {
				return s.tx.id, nil
			}
			return "", nil
		}
		if value, err := s.variable(name); err == nil {
			return value, nil
		}
		return "", variable.ErrUnknown
	})
	if err != nil {
		return fmt.Sprintf("in=%d out=%d", s.C.In.Load(), s.C.Out.Load())
	}
	return text
}
