package smtp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"dovetail/serve"
	"dovetail/serve/lines"
)

// Session is the server's side of one connection. It reads commands one after the other and answers each before the next
// one; what was asked in one piece is answered in one. It is for one goroutine.
type Session struct {
	C   *serve.Conn
	In  *lines.Reader
	Out *lines.Writer

	Host  string // what we call ourselves
	Name  string // what the client calls itself; "" until it does
	State string // in Dovecot's words, for the log

	Wait    time.Duration // for each piece of what the client says
	Until   time.Time     // when its time is over, whatever it says; zero: never
	MaxLine int

	Commands, Replies int // so far

	OnDismiss func() // interrupts what the session waits for beside its client; nil: nothing

	Refused bool // a chunk came too early: no message is taken until this is set back

	bad  int // replies in a row to commands that made no sense
	over bool
	done string

	mu     sync.Mutex // guards what is below
	saving bool       // the client waits for replies that must reach it, or it sends everything again
	ending bool       // the server ends
}

// Waits that are the same in all protocols (Dovecot 2.3.19, src/lib-smtp/smtp-server-private.h).
const (
	writeWait = 5 * time.Minute
	tlsWait   = time.Minute
)

// maxBad is how many commands in a row may make no sense: those that are answered with 500, 501 or 503.
const maxBad = 10

// NewSession is one with a client that has just come.
func NewSession(c *serve.Conn) *Session {
	s := &Session{C: c, Out: lines.NewWriter(c.Patient(writeWait)), State: "GREETING", MaxLine: 4096}
	s.In = lines.NewReader(unhurried{s})
	return s
}

// unhurried is a client that may take its time for each piece, but not for ever.
type unhurried struct{ s *Session }

func (u unhurried) Read(p []byte) (int, error) {
	end := u.s.Until
	if end.IsZero() {
		end = time.Now().Add(u.s.Wait)
	}
	u.s.C.SetReadDeadline(end)
	return u.s.C.Read(p)
}

// Command executes one, given what stands behind its verb.
type Command func(args string)

// Run serves commands until the session is over and tells how it ended. find gives what executes a verb, nil when it is
// not known.
func (s *Session) Run(find func(verb string) Command) (how string) {
	for !s.over {
		if line, ok := s.Hear(s.MaxLine); ok {
			s.execute(line, find)
		}
	}
	s.Out.Flush()
	return s.done
}

// Hear gives the client's next line; false when there is none that can be used, and the session is over.
func (s *Session) Hear(most int) (string, bool) {
	if !s.In.Pending() {
		if err := s.Out.Flush(); err != nil {
			s.Leave("Connection closed")
			return "", false
		}
	}
	line, err := s.In.Line(most)
	switch {
	case errors.Is(err, lines.ErrLong):
		s.Reply(500, "5.5.2", "Line too long")
		s.Leave("Command line too long")
	case err != nil:
		s.Lost(err)
	default:
		return string(line), true
	}
	return "", false
}

func (s *Session) execute(line string, find func(verb string) Command) {
	verb, args := Split(line)
	s.Commands++
	if strings.IndexFunc(verb, func(r rune) bool { return r < 'A' || r > 'Z' }) >= 0 || strings.HasPrefix(args, " ") || strings.IndexFunc(args, isControl) >= 0 {
		s.Reply(500, "5.5.2", "Invalid command syntax")
	} else if do := find(verb); do != nil {
		do(args)
	} else {
		s.Reply(500, "5.5.1", "Unknown command")
	}
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// Lost ends a session that has nothing more to say.
func (s *Session) Lost(err error) {
	why, sentAway := s.C.Dismissed()
	switch {
	case sentAway:
		s.Reply(421, "4.3.2", why)
		s.Leave(why)
	case serve.IsTimeout(err):
		s.Reply(421, "4.4.2", "Disconnected for inactivity")
		s.Leave("Disconnected for inactivity")
	case errors.Is(err, errExcess):
		s.tooBig()
		s.Leave(err.Error())
	default:
		s.Leave("Connection closed")
	}
}

// Dismiss ends the connection, once what is being saved is answered. Other goroutines may call it.
func (s *Session) Dismiss() {
	s.mu.Lock()
	s.ending = true
	saving := s.saving
	s.mu.Unlock()
	if !saving {
		s.dismiss()
	}
}

func (s *Session) dismiss() {
	s.C.Dismiss(shuttingDown)
	if s.OnDismiss != nil {
		s.OnDismiss()
	}
}

const shuttingDown = "Shutting down"

// Save runs do, during which the connection is not dismissed, and sends its replies. When the server ends already, the
// session is over instead: without a reply the client keeps its message.
func (s *Session) Save(do func()) {
	s.mu.Lock()
	s.saving = !s.ending
	ok := s.saving
	s.mu.Unlock()
	if !ok {
		s.Leave(shuttingDown)
		return
	}
	do()
	s.Out.Flush()
	s.mu.Lock()
	s.saving = false
	ending := s.ending
	s.mu.Unlock()
	if ending {
		s.dismiss()
	}
}

// Leave ends the session behind the command that is being executed.
func (s *Session) Leave(how string) { s.over, s.done = true, how }

// Over tells whether the session has ended.
func (s *Session) Over() bool { return s.over }

// Reply answers a command. A text of several lines is as many lines, each with the enhanced code (RFC 2034 section 4);
// "" is for replies without one.
func (s *Session) Reply(code int, enhanced, text string) {
	switch code {
	case 500, 501, 503:
		if s.bad++; s.bad > maxBad {
			code, enhanced, text = 421, "4.7.0", s.Host+" Too many invalid commands."
			s.Leave("Too many invalid commands.")
		}
	default:
		s.bad = 0
	}
	s.Replies++
	if enhanced != "" {
		enhanced += " "
	}
	all := strings.Split(text, "\n")
	for i, line := range all {
		mark := "-"
		if i == len(all)-1 {
			mark = " "
		}
		s.Out.Line(fmt.Sprintf("%d%s%s%s", code, mark, enhanced, line))
	}
}

// Invalid is the answer to parameters that make no sense.
func (s *Session) Invalid() { s.Reply(501, "5.5.4", "Invalid parameters") }

// Path reads the path of MAIL ("FROM") or RCPT ("TO") and its parameters, and refuses what is none.
func (s *Session) Path(args, word string, o Options) (Path, []Param, bool) {
	p, params, err := ParsePath(args, word, o)
	var about paramError
	switch {
	case err == nil:
		return p, params, true
	case errors.Is(err, errWord):
		s.Invalid()
	case errors.As(err, &about) && word == "FROM":
		s.Reply(501, "5.5.4", "Invalid MAIL parameter: "+err.Error())
	case errors.As(err, &about):
		s.Reply(501, "5.5.4", "Invalid RCPT parameter: "+err.Error())
	default:
		s.Reply(501, "5.5.4", "Invalid "+word+": "+err.Error())
	}
	return p, nil, false
}

// Refuse is the answer to parameters that ParseMail or ParseRcpt has refused.
func (s *Session) Refuse(err error) {
	code := 501
	if r, ok := errors.AsType[*Refusal](err); ok {
		code = r.Code
	}
	s.Reply(code, "5.5.4", err.Error())
}

// Quit is the command of that name.
func (s *Session) Quit(args string) {
	if args != "" {
		s.Invalid()
		return
	}
	s.Reply(221, "2.0.0", "Bye")
	s.Leave("Logged out")
}

// StartTLS is the command of that name (RFC 3207); mode is the setting ssl. It is true when the client speaks TLS now.
// Then nothing is known of it any more: what it said before may have come from somebody else.
func (s *Session) StartTLS(ctx context.Context, mode, args string) bool {
	switch {
	case args != "":
		s.Invalid()
		return false
	case s.C.TLS() != nil:
		s.Reply(502, "5.5.1", "TLS is already active.")
		return false
	case !s.C.CanStartTLS(mode):
		s.Reply(502, "5.5.1", "TLS support is not enabled.")
		return false
	}
	s.Reply(220, "2.0.0", "Begin TLS negotiation now.")
	if s.Out.Flush() != nil {
		s.Leave("Connection closed")
		return false
	}
	s.In.Drop() // what came in clear behind the command is not the client's for sure
	s.Name = ""
	within, cancel := context.WithTimeout(ctx, tlsWait)
	defer cancel()
	if err := s.C.StartTLS(within); err != nil {
		s.Leave(fmt.Sprintf("TLS handshaking failed: %v", err))
		return false
	}
	return true
}
