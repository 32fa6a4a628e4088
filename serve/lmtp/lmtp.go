// Package lmtp takes in mail for local users by LMTP (RFC 2033): one reply for each recipient, and none before the
// message is durable. Extensions are PIPELINING, 8BITMIME, SMTPUTF8, CHUNKING (RFC 3030), ENHANCEDSTATUSCODES, STARTTLS
// and XCLIENT; texts are Dovecot's.
package lmtp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"dovetail/formats/disk"
	"dovetail/serve"
	"dovetail/serve/autoexpunge"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
	"dovetail/serve/namespace"
	"dovetail/serve/smtp"
	"dovetail/sync/watch"
)

// Protocol is LMTP for a serve.Server.
type Protocol struct {
	Server *serve.Server
	Hub    *watch.Hub // its Hold is that of Stores
	Log    *slog.Logger
	Stores *namespace.Stores
	Clean  *autoexpunge.Cleaner // nil: nothing expires

	busy concurrency
}

// Times are Dovecot's (2.3.19, src/lmtp/lmtp-client.c, src/lib-smtp/smtp-server-private.h).
const idleWait = 5 * time.Minute

// Serve talks to one client until it goes, or the context ends.
func (p *Protocol) Serve(ctx context.Context, c *serve.Conn) {
	s := &session{Session: smtp.NewSession(c), p: p}
	s.Wait = idleWait
	if err := s.readSettings(); err != nil {
		p.Log.Error(fmt.Sprintf("lmtp: %v", err))
		return
	}
	p.Log.Info(fmt.Sprintf("lmtp(%d): Connect from %s", os.Getpid(), s.peer()))
	c.KeepFor(s, func(level slog.Level, text string) {
		p.Log.Log(ctx, level, fmt.Sprintf("lmtp(%d): %s", os.Getpid(), text))
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, s.Dismiss)
	defer stop()
	how := s.run(ctx)
	p.Log.Info(fmt.Sprintf("lmtp(%d): Disconnect from %s: %s (state=%s)", os.Getpid(), s.peer(), how, s.State))
	s.reset()
}

// session is one connection.
type session struct {
	*smtp.Session
	p *Protocol

	temp     string // mail_temp_dir
	view     config.View
	o        options.LMTP
	delivery options.Delivery
	tls      options.TLS
	login    options.Login

	tx    *transaction
	count int // of transactions
}

func (s *session) readSettings() (err error) {
	s.view = s.C.View()
	var errs [4]error
	s.o, errs[0] = options.Read[options.LMTP](s.view)
	s.delivery, errs[1] = options.Read[options.Delivery](s.view)
	s.tls, errs[2] = options.Read[options.TLS](s.view)
	s.login, errs[3] = options.Read[options.Login](s.view)
	s.Host = s.hostname()
	storage, err := options.Read[options.Storage](s.view)
	if err == nil {
		s.temp, err = storage.TempDir.Expand(s.variable)
	}
	return errors.Join(append(errs[:], err)...)
}

// Rawlog opens the folder for what is said (lmtp_rawlog_dir).
func (s *session) Rawlog() (*disk.Dir, error) {
	if s.o.RawlogDir.Text == "" {
		return nil, nil
	}
	path, err := s.o.RawlogDir.Expand(s.variable)
	if err != nil {
		return nil, err
	}
	return (&disk.FS{}).OpenRoot(path)
}

// peer is the client for the log.
func (s *session) peer() string {
	if !s.C.Remote.IsValid() {
		return "local"
	}
	return s.C.Remote.Addr().String()
}

// hostname is what we call ourselves.
func (s *session) hostname() string {
	if s.delivery.Hostname != "" {
		return s.delivery.Hostname
	}
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// run serves commands and tells how it ended.
func (s *session) run(ctx context.Context) (how string) {
	text, err := s.login.Greeting.Expand(s.variable)
	if err != nil {
		text = "Ready."
	}
	s.Out.Line("220 " + s.Host + " " + text)
	return s.Run(func(verb string) smtp.Command {
		do := commands[verb]
		if do == nil {
			return nil
		}
		return func(args string) { do(s, ctx, args) }
	})
}

func (s *session) variable(name string) (string, error) {
	r := s.C.Request("")
	return r.Variable(name)
}

// command executes one.
type command func(s *session, ctx context.Context, args string)

var commands = map[string]command{
	"LHLO": (*session).hello, "MAIL": (*session).mail, "RCPT": (*session).recipient, "DATA": (*session).data, "BDAT": (*session).chunk,
	"RSET": (*session).rset, "NOOP": (*session).noop, "VRFY": (*session).verify, "QUIT": (*session).quit, "STARTTLS": (*session).startTLS,
	"XCLIENT": (*session).xclient, "AUTH": (*session).unsupported,
}

func (s *session) hello(_ context.Context, args string) {
	if args == "" {
		s.Reply(501, "", "Missing hostname")
		return
	}
	s.reset()
	s.Name, _, _ = strings.Cut(args, " ")
	s.State = "READY"
	list := s.Host + "\n8BITMIME\nCHUNKING\nENHANCEDSTATUSCODES\nPIPELINING\nSMTPUTF8"
	if s.C.CanStartTLS(s.tls.Mode) {
		list += "\nSTARTTLS"
	}
	if s.C.Trusted {
		list += "\nXCLIENT ADDR PORT PROTO HELO LOGIN SESSION TTL TIMEOUT"
	}
	s.Reply(250, "", list)
}

func (s *session) rset(_ context.Context, args string) {
	if args != "" {
		s.Invalid()
		return
	}
	s.reset()
	s.Reply(250, "2.0.0", "OK")
}

// reset forgets the transaction.
func (s *session) reset() {
	s.Refused = false
	if s.tx != nil {
		s.tx.close()
		s.tx, s.State = nil, "READY"
	}
}

func (s *session) noop(context.Context, string) { s.Reply(250, "2.0.0", "OK") }

func (s *session) verify(_ context.Context, args string) {
	if args == "" {
		s.Invalid()
		return
	}
	s.Reply(252, "2.3.3", "Try RCPT instead")
}

func (s *session) unsupported(context.Context, string) {
	s.Reply(502, "5.5.1", "Unsupported command")
}

func (s *session) quit(_ context.Context, args string) { s.Quit(args) }

func (s *session) startTLS(ctx context.Context, args string) {
	if !s.StartTLS(ctx, s.tls.Mode, args) {
		return
	}
	s.reset()
	if err := s.readSettings(); err != nil {
		s.p.Log.Error(fmt.Sprintf("lmtp: %v", err))
		s.Leave("Internal error")
	}
}
