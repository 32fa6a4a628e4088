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
	"sync"
	"time"

	"dovetail/serve"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
	"dovetail/serve/lines"
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

	busy concurrency
}

// Times and counts are Dovecot's (2.3.19, src/lmtp/lmtp-client.c, src/lib-smtp/smtp-server-private.h).
const (
	idleWait  = 5 * time.Minute
	writeWait = 5 * time.Minute
	maxBad    = 11
	maxLine   = 4096
)

// Serve talks to one client until it goes, or the context ends.
func (p *Protocol) Serve(ctx context.Context, c *serve.Conn) {
	s := &session{p: p, c: c, in: lines.NewReader(unhurried{c}), out: lines.NewWriter(c.Patient(writeWait)), state: "GREETING"}
	if err := s.readSettings(); err != nil {
		p.Log.Error(fmt.Sprintf("lmtp: %v", err))
		return
	}
	p.Log.Info(fmt.Sprintf("lmtp(%d): Connect from %s", os.Getpid(), s.peer()))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, s.dismiss)
	defer stop()
	how := s.run(ctx)
	p.Log.Info(fmt.Sprintf("lmtp(%d): Disconnect from %s: %s (state=%s)", os.Getpid(), s.peer(), how, s.state))
	s.reset()
}

// session is one connection.
type session struct {
	p   *Protocol
	c   *serve.Conn
	in  *lines.Reader
	out *lines.Writer

	view     config.View
	o        options.LMTP
	delivery options.Delivery
	tls      options.TLS
	login    options.Login

	name  string // what the client calls itself; "" until it does
	state string // in Dovecot's words, for the log
	tx    *transaction
	count int // of transactions

	refused bool // a chunk came too early: no message is taken until RSET
	bad     int  // commands in a row that made no sense
	over    bool
	done    string

	mu     sync.Mutex // guards what is below
	saving bool       // the client waits for replies that must reach it, or it sends everything again
	ending bool       // the server ends
}

// dismiss ends the connection, once what is being saved is answered.
func (s *session) dismiss() {
	s.mu.Lock()
	s.ending = true
	saving := s.saving
	s.mu.Unlock()
	if !saving {
		s.c.Dismiss("Shutting down")
	}
}

// save runs do, during which the connection is not ended; false if it is ending already.
func (s *session) save(do func()) bool {
	s.mu.Lock()
	s.saving = !s.ending
	ok := s.saving
	s.mu.Unlock()
	if !ok {
		return false
	}
	do()
	s.out.Flush()
	s.mu.Lock()
	s.saving = false
	ending := s.ending
	s.mu.Unlock()
	if ending {
		s.c.Dismiss("Shutting down")
	}
	return true
}

func (s *session) readSettings() (err error) {
	s.view = s.c.View()
	var errs [4]error
	s.o, errs[0] = options.Read[options.LMTP](s.view)
	s.delivery, errs[1] = options.Read[options.Delivery](s.view)
	s.tls, errs[2] = options.Read[options.TLS](s.view)
	s.login, errs[3] = options.Read[options.Login](s.view)
	return errors.Join(errs[:]...)
}

// peer is the client for the log.
func (s *session) peer() string {
	if !s.c.Remote.IsValid() {
		return "local"
	}
	return s.c.Remote.Addr().String()
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
	s.out.Line("220 " + s.hostname() + " " + text)
	for !s.over {
		if !s.in.Pending() {
			if err := s.out.Flush(); err != nil {
				return "Connection closed"
			}
		}
		line, err := s.in.Line(maxLine)
		switch {
		case errors.Is(err, lines.ErrLong):
			s.reply(500, "5.5.2", "Line too long")
			s.leave("Command line too long")
		case err != nil:
			s.lost(err)
		default:
			s.execute(ctx, string(line))
		}
	}
	s.out.Flush()
	return s.done
}

// lost ends a session that has nothing more to say.
func (s *session) lost(err error) {
	why, sentAway := s.c.Dismissed()
	switch {
	case sentAway:
		s.reply(421, "4.3.2", why)
		s.leave(why)
	case serve.IsTimeout(err):
		s.reply(421, "4.4.2", "Disconnected for inactivity")
		s.leave("Disconnected for inactivity")
	default:
		s.leave("Connection closed")
	}
}

// leave ends the session behind the command that is being executed.
func (s *session) leave(how string) { s.over, s.done = true, how }

func (s *session) reply(code int, enhanced, text string) {
	if enhanced != "" {
		enhanced += " "
	}
	s.out.Line(fmt.Sprintf("%d %s%s", code, enhanced, text))
}

func (s *session) variable(name string) (string, error) {
	r := s.c.Request("")
	return r.Variable(name)
}

// command executes one.
type command func(s *session, ctx context.Context, args string)

var commands = map[string]command{
	"LHLO": (*session).hello, "MAIL": (*session).mail, "RCPT": (*session).recipient, "DATA": (*session).data, "BDAT": (*session).chunk,
	"RSET": (*session).rset, "NOOP": (*session).noop, "VRFY": (*session).verify, "QUIT": (*session).quit, "STARTTLS": (*session).startTLS,
	"XCLIENT": (*session).xclient, "AUTH": (*session).unsupported,
}

func (s *session) execute(ctx context.Context, line string) {
	verb, args := smtp.Command(line)
	do := commands[verb]
	if do != nil {
		s.bad = 0
		do(s, ctx, args)
		return
	}
	if s.bad++; s.bad >= maxBad {
		s.reply(421, "4.7.0", s.hostname()+" Too many invalid commands.")
		s.leave("Too many invalid commands.")
		return
	}
	if strings.IndexFunc(verb, func(r rune) bool { return r < 'A' || r > 'Z' }) >= 0 && verb != "" {
		s.reply(500, "5.5.2", "Invalid command syntax")
	} else {
		s.reply(500, "5.5.1", "Unknown command")
	}
}

func (s *session) hello(_ context.Context, args string) {
	if args == "" {
		s.reply(501, "", "Missing hostname")
		return
	}
	s.reset()
	s.name, _, _ = strings.Cut(args, " ")
	s.state = "READY"
	list := []string{s.hostname(), "8BITMIME", "CHUNKING", "ENHANCEDSTATUSCODES", "PIPELINING", "SMTPUTF8"}
	if s.c.CanStartTLS(s.tls.Mode) {
		list = append(list, "STARTTLS")
	}
	if s.c.Trusted {
		list = append(list, "XCLIENT ADDR PORT PROTO HELO LOGIN SESSION TTL TIMEOUT")
	}
	for i, text := range list {
		mark := "-"
		if i == len(list)-1 {
			mark = " "
		}
		s.out.Line("250" + mark + text)
	}
}

func (s *session) rset(_ context.Context, args string) {
	if args != "" {
		s.invalid()
		return
	}
	s.reset()
	s.reply(250, "2.0.0", "OK")
}

// reset forgets the transaction.
func (s *session) reset() {
	s.refused = false
	if s.tx != nil {
		s.tx.close()
		s.tx, s.state = nil, "READY"
	}
}

func (s *session) invalid() { s.reply(501, "5.5.4", "Invalid parameters") }

func (s *session) noop(context.Context, string) { s.reply(250, "2.0.0", "OK") }

func (s *session) verify(_ context.Context, args string) {
	if args == "" {
		s.invalid()
		return
	}
	s.reply(252, "2.3.3", "Try RCPT instead")
}

func (s *session) unsupported(context.Context, string) {
	s.reply(502, "5.5.1", "Unsupported command")
}

func (s *session) quit(_ context.Context, args string) {
	if args != "" {
		s.invalid()
		return
	}
	s.reply(221, "2.0.0", "Bye")
	s.leave("Logged out")
}

func (s *session) startTLS(ctx context.Context, args string) {
	switch {
	case args != "":
		s.invalid()
		return
	case s.c.TLS() != nil:
		s.reply(502, "5.5.1", "TLS is already active.")
		return
	case !s.c.CanStartTLS(s.tls.Mode):
		s.reply(502, "5.5.1", "TLS support is not enabled.")
		return
	}
	s.reply(220, "2.0.0", "Begin TLS negotiation now.")
	if s.out.Flush() != nil {
		s.leave("Connection closed")
		return
	}
	s.in.Drop() // what came in clear behind the command is not the client's for sure
	s.reset()
	s.name = ""
	within, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.c.StartTLS(within); err != nil {
		s.leave(fmt.Sprintf("TLS handshaking failed: %v", err))
		return
	}
	if err := s.readSettings(); err != nil {
		s.p.Log.Error(fmt.Sprintf("lmtp: %v", err))
		s.leave("Internal error")
	}
}

// unhurried is a client that may take its time for each piece, but not for ever.
type unhurried struct{ c *serve.Conn }

func (u unhurried) Read(p []byte) (int, error) {
	u.c.SetReadDeadline(time.Now().Add(idleWait))
	return u.c.Read(p)
}
