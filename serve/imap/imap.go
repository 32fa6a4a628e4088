// Package imap serves IMAP: RFC 3501 and the extensions that Dovecot 2.3 announces, over any store of package formats.
//
// One goroutine serves a connection, from its greeting to its end. Commands are read by formats/imapwire; each has a
// file here, and a place in the table of commands that says in which state it is allowed and whether the client may be
// told of expunged messages behind it. A session holds a snapshot of its mailbox (sync/watch), whose places are the
// sequence numbers that the client knows; it goes over to the newest one only where the answer of a command may say so
// (RFC 3501 section 7.4.1).
//
// Answers are collected and sent when there are many or the client has nothing more to say, so that a pipeline of a
// thousand commands is not a thousand packets.
package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"dovetail/formats/imapwire"
	"dovetail/serve"
	"dovetail/serve/autoexpunge"
	"dovetail/serve/config"
	"dovetail/serve/namespace"
	"dovetail/sync/watch"
)

// Protocol is IMAP for a serve.Server.
type Protocol struct {
	Server *serve.Server
	Hub    *watch.Hub // its Hold is that of Stores
	Log    *slog.Logger
	Stores namespace.Stores
	Clean  *autoexpunge.Cleaner // nil: nothing expires

	sessions gathering
}

// Serve talks to one client until it goes, or the context ends.
func (p *Protocol) Serve(ctx context.Context, c *serve.Conn) {
	s := p.newSession(c)
	if s == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.close()
	stop := context.AfterFunc(ctx, func() { c.Dismiss("Server shutting down.") })
	defer stop()
	how := s.run(ctx)
	s.expire(ctx)
	s.ended(how)
}

// newSession prepares one; nil if that is not possible.
func (p *Protocol) newSession(c *serve.Conn) *session {
	login, err := p.Server.NewLogin(c)
	if err != nil {
		p.Log.Error(fmt.Sprintf("imap-login: %v", err))
		return nil
	}
	s := &session{p: p, c: c, login: login, view: login.View(), in: imapwire.NewDecoder(c), events: allEvents}
	s.out = imapwire.NewEncoder(patient{s})
	s.in.Continue, s.in.Limit, s.in.Skip = s.goOn, earlyLimit, earlyLimit
	if s.o, err = readSettings(s.view); err != nil {
		p.Log.Error(fmt.Sprintf("imap-login: %v", err))
		login.Close()
		return nil
	}
	return s
}

// session is one connection.
type session struct {
	p     *Protocol
	c     *serve.Conn
	login *serve.Login // nil once somebody is logged in
	view  config.View
	o     settings
	in    *imapwire.Decoder
	out   *imapwire.Encoder

	user       *namespace.User // nil before login
	name       string          // of the user
	identified bool            // the client has said ID
	sel        *selected       // nil while no mailbox is selected

	condstore, qresync bool // RFC 7162; the second implies the first
	events             events
	own                ownChange
	notify             *notifying // nil without NOTIFY
	updates            []*update  // searches whose results are kept up to date
	count              counters
	packed             bool // RFC 4978

	readBy, writeBy time.Time // deadlines that are set; zero: not known

	running  string // name of the command in execution
	bad      int    // commands in a row that were nonsense
	farewell string // told behind the last answer
	over     bool   // LOGOUT was said, or something as final happened
	done     string
}

// Before login there is little time, after it half an hour (RFC 3501 section 5.4), in Dovecot's measure.
const (
	loginWait     = 180 * time.Second
	idleWait      = 30 * time.Minute
	writeWait     = 5 * time.Minute
	deadlineSlack = 20 * time.Second

	byeWait = 5 * time.Second // for saying that the time before login is over
)

// earlyLimit is how long a command may be before login (IMAP_LOGIN_MAX_LINE_LENGTH of Dovecot 2.3.19), and how much of one
// that is refused is read at all.
const earlyLimit = 8 << 10

// run serves commands and tells how it ended, in Dovecot's words.
func (s *session) run(ctx context.Context) (how string) {
	s.greet()
	for !s.over {
		if !s.in.Pending() {
			if err := s.flush(); err != nil {
				return "Connection closed"
			}
		}
		if s.notify != nil && !s.in.Pending() && !s.await(ctx, false) {
			break
		}
		s.wait()
		command, err := s.in.Next()
		var syntax *imapwire.SyntaxError
		switch {
		case errors.As(err, &syntax):
			s.complain(syntax)
			continue
		case errors.Is(err, io.EOF):
			return "Connection closed"
		case s.sentAway():
			return s.done
		case serve.IsTimeout(err):
			s.inactive()
			continue
		case err != nil:
			return "Connection closed: " + err.Error()
		}
		s.out.Begin()
		s.execute(ctx, command)
	}
	if s.farewell != "" {
		s.line(s.farewell)
	}
	s.flush()
	return s.done
}

// sentAway tells the client if the connection has to end for a reason that is not its own.
func (s *session) sentAway() bool {
	why, over := s.c.Dismissed()
	if over {
		s.line("* BYE " + why)
		s.flush()
		s.end(why)
	}
	return over
}

// deadline is when a client must have said its next command. Before login that is the same for all of them (Dovecot
// 2.3.19, src/login-common/client-common.c): who sends a byte now and then gains nothing by it.
func (s *session) deadline() time.Time {
	if s.user == nil {
		return s.c.Since.Add(loginWait)
	}
	return time.Now().Add(idleWait)
}

// wait gives the client time for what it is to say next.
func (s *session) wait() {
	if t := s.deadline(); moved(&s.readBy, t, s.user != nil) {
		s.c.SetReadDeadline(s.readBy)
	}
}

// moved tells whether a deadline is to be set, and which: setting one takes a while, so that one is set a little late
// and lasts for some commands, unless it has to be exact.
func moved(set *time.Time, to time.Time, late bool) bool {
	if ahead := set.Sub(to); late && ahead >= 0 && ahead <= deadlineSlack {
		return false
	}
	if *set = to; late {
		*set = to.Add(deadlineSlack)
	}
	return true
}

// unhurried reads what a client says in its own time, as long as it says something now and then.
type unhurried struct {
	s *session
	r io.Reader
}

func (u unhurried) Read(p []byte) (int, error) {
	u.s.wait()
	return u.r.Read(p)
}

// inactive ends the session of a client that has said nothing for too long.
func (s *session) inactive() {
	s.farewell = "* BYE Disconnected for inactivity."
	s.end("Inactivity")
}

// end finishes the session behind the command that is being executed.
func (s *session) end(how string) { s.over, s.done = true, how }

func (s *session) greet() {
	text, err := s.login.Greeting.Expand(s.variable)
	if err != nil {
		text = "Ready."
	}
	s.line("* OK [CAPABILITY " + s.capabilities() + "] " + text)
}

func (s *session) variable(name string) (string, error) {
	r := s.c.Request("")
	return r.Variable(name)
}

// complain answers a command that could not be read.
func (s *session) complain(e *imapwire.SyntaxError) {
	if e.Fatal {
		s.leave(e.Text)
		return
	}
	if s.tooBad() && s.user == nil { // then there is no answer to the last one
		s.giveUp()
		return
	}
	if s.user == nil {
		s.taggedEarly(orStar(e.Tag), atLogin)
		return
	}
	s.tagged(orStar(e.Tag), s.complaint(e), 0)
	if s.bad >= s.patienceLeft() {
		s.giveUp()
	}
}

func orStar(tag string) string {
	if tag == "" {
		return "*"
	}
	return tag
}

func (s *session) complaint(e *imapwire.SyntaxError) answer {
	switch {
	case e.Tag == "":
		return bad("Error in IMAP tag: " + e.Text)
	case e.Command == "":
		return bad("Error in IMAP command: Invalid command name")
	}
	if a, refused := s.refused(e.Command); refused {
		return a
	}
	if s.sel != nil && (e.Command == "SELECT" || e.Command == "EXAMINE") {
		s.deselect()
		s.line("* OK [CLOSED] Previous mailbox closed.")
	}
	return bad("Error in IMAP command " + e.Command + ": " + e.Text)
}

// tooBad counts a command that made no sense.
func (s *session) tooBad() bool {
	s.bad++
	return s.bad >= s.patienceLeft()
}

// patienceLeft is how much nonsense is too much.
func (s *session) patienceLeft() int {
	if s.user == nil {
		return 3
	}
	return 20
}

// atLogin is the answer to all nonsense before login: Dovecot's login processes know no more.
var atLogin = bad("Error in IMAP command received by server")

// giveUp ends the connection of somebody who thinks that this is another protocol.
func (s *session) giveUp() {
	s.leave("Too many invalid IMAP commands.")
	s.done = "Too many invalid commands"
}

// goOn asks for a literal.
func (s *session) goOn() error {
	s.out.Buf = append(s.out.Buf, "+ OK\r\n"...)
	return s.flush()
}

// inOneLine makes sure that a text, of which parts may have come from a client or a file, does not end its line.
func inOneLine(text string) string {
	if !strings.ContainsAny(text, "\r\n\x00") {
		return text
	}
	return strings.NewReplacer("\r", "?", "\n", "?", "\x00", "?").Replace(text)
}

// line writes one line.
func (s *session) line(text string) {
	s.out.Buf = append(append(s.out.Buf, inOneLine(text)...), "\r\n"...)
	s.out.Line()
}

// flush sends everything.
func (s *session) flush() error { return s.out.Flush() }

// patient writes to a client, and gives up one that does not read for long. Each piece of a long answer has its own time,
// but for who is not logged in.
type patient struct{ s *session }

func (p patient) Write(b []byte) (int, error) {
	wait := time.Now().Add(writeWait)
	if p.s.user == nil {
		wait = p.s.deadline().Add(byeWait)
	}
	if moved(&p.s.writeBy, wait, p.s.user != nil) {
		p.s.c.SetWriteDeadline(p.s.writeBy)
	}
	return p.s.c.Write(b)
}

// close gives everything back.
func (s *session) close() {
	s.notify.close()
	if s.login != nil {
		s.login.Close()
	}
	s.deselect()
	if s.user != nil {
		s.user.Close()
	}
}

// expire removes old messages behind the session. That may take a while, so the client is sent off before.
func (s *session) expire(ctx context.Context) {
	if s.user == nil || !s.p.Clean.Wanted(s.user) {
		return
	}
	s.deselect()
	s.c.Close()
	s.count.autoexpunged = s.p.Clean.Clean(ctx, s.user, s.log)
}

// ended logs how the session ended.
func (s *session) ended(how string) {
	if s.login != nil {
		s.login.Disconnected(how)
		return
	}
	s.log(slog.LevelInfo, "Disconnected: "+how+" "+s.statistics())
}
