package imap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/imapwire"
	"dovetail/serve/namespace"
	"dovetail/sync/watch"
)

// state is when a command is allowed.
type state uint8

const (
	always state = iota
	before       // login
	after
	selectedState
)

// command is a row of the table.
type command struct {
	when state
	run  func(*session, context.Context, *imapwire.Command) answer

	// quiet: expunged messages must not be told behind it, because the client counts on its sequence numbers (RFC 3501
	// section 5.5). silent: nothing is told at all.
	quiet, silent bool
}

// answer is what a tagged line says.
type answer struct {
	status string // "OK", "NO", "BAD"; "" nothing is said any more
	code   string // "[READ-WRITE]"; "" none
	text   string
}

func ok(text string) answer             { return answer{"OK", "", text} }
func no(code, text string) answer       { return answer{"NO", code, text} }
func bad(text string) answer            { return answer{"BAD", "", text} }
func withCode(code, text string) answer { return answer{"OK", code, text} }

var commands map[string]command

func init() {
	commands = map[string]command{
		"CAPABILITY": {always, (*session).capability, false, false}, "NOOP": {always, (*session).noop, false, false},
		"LOGOUT": {always, (*session).logout, false, true}, "ID": {always, (*session).id, false, false},
		"STARTTLS": {before, (*session).startTLS, false, true}, "LOGIN": {before, (*session).loginCommand, false, true},
		"AUTHENTICATE": {before, (*session).authenticate, false, true},
		"ENABLE":       {after, (*session).enable, false, true}, "NAMESPACE": {after, (*session).namespaces, false, false},
		"LIST": {after, (*session).list, false, false}, "LSUB": {after, (*session).list, false, false}, "XLIST": {after, (*session).list, false, false},
		"STATUS": {after, (*session).status, false, false}, "SELECT": {after, (*session).selectMailbox, false, true},
		"EXAMINE": {after, (*session).selectMailbox, false, true}, "CREATE": {after, (*session).create, false, false},
		"DELETE": {after, (*session).delete, false, false}, "RENAME": {after, (*session).rename, false, false},
		"SUBSCRIBE": {after, (*session).subscribe, false, false}, "UNSUBSCRIBE": {after, (*session).subscribe, false, false},
		"APPEND": {after, (*session).append, false, false}, "IDLE": {after, (*session).idle, false, true},
		"CHECK": {selectedState, (*session).noop, false, false}, "CLOSE": {selectedState, (*session).closeMailbox, false, true},
		"UNSELECT": {selectedState, (*session).unselect, false, true}, "EXPUNGE": {selectedState, (*session).expunge, false, false},
		"UID EXPUNGE": {selectedState, (*session).expunge, false, false}, "FETCH": {selectedState, (*session).fetch, true, false},
		"UID FETCH": {selectedState, (*session).fetch, false, false}, "STORE": {selectedState, (*session).store, true, false},
		"UID STORE": {selectedState, (*session).store, false, false}, "SEARCH": {selectedState, (*session).search, true, false},
		"UID SEARCH": {selectedState, (*session).search, false, false}, "COPY": {selectedState, (*session).copy, false, false},
		"UID COPY": {selectedState, (*session).copy, false, false}, "MOVE": {selectedState, (*session).copy, false, false},
		"UID MOVE": {selectedState, (*session).copy, false, false},
	}
}

// execute runs one command and writes its tagged answer.
func (s *session) execute(ctx context.Context, c *imapwire.Command) {
	started := time.Now()
	row, known := commands[c.Name]
	a := answer{}
	switch {
	case !known:
		a = bad("Error in IMAP command " + c.Name + ": Unknown command.")
	case row.when == before && s.user != nil:
		a = bad("Error in IMAP command " + c.Name + ": Unknown command")
	case row.when >= after && s.user == nil:
		a = bad("Error in IMAP command " + c.Name + ": Please log in first.")
	case row.when == selectedState && s.sel == nil:
		a = bad("No mailbox selected")
	default:
		s.bad = 0
		a = row.run(s, ctx, c)
		if !row.silent && s.sel != nil {
			s.sync(ctx, !row.quiet)
		}
	}
	if known && a.status == "BAD" {
		s.bad++
	}
	if !known || c.Name == "APPEND" && s.user == nil {
		s.passOver(c)
	}
	s.tagged(c.Tag, a, time.Since(started))
}

// passOver drops the messages of an APPEND that is not executed.
func (s *session) passOver(c *imapwire.Command) {
	if c.Name != "APPEND" {
		return
	}
	if _, err := s.in.NextMessage(true, func(uint64, bool) error { return errRefused }); err != nil && !errors.Is(err, errRefused) {
		if _, syntax := errors.AsType[*imapwire.SyntaxError](err); !syntax {
			s.end("Connection closed")
		}
	}
}

var errRefused = errors.New("refused")

// tagged writes the line that ends a command, with the time that it took where somebody is logged in, as Dovecot does.
func (s *session) tagged(tag string, a answer, took time.Duration) {
	if a.status == "" {
		return
	}
	b := append(s.out.Buf, tag...)
	b = append(append(b, ' '), a.status...)
	if a.code != "" {
		b = append(append(b, ' '), a.code...)
	}
	b = append(append(b, ' '), a.text...)
	if s.user != nil && a.status != "BAD" {
		b = fmt.Appendf(b, " (%.3f + 0.000 secs).", took.Seconds())
	}
	s.out.Buf = append(b, "\r\n"...)
	s.out.Line()
}

// failed turns an error into an answer: what the client may know of it, with a code where there is one (RFC 5530). The
// rest is for the log.
func (s *session) failed(err error) answer {
	switch {
	case errors.Is(err, formats.ErrNoMailbox):
		return no("[NONEXISTENT]", "Mailbox doesn't exist")
	case errors.Is(err, formats.ErrExists):
		return no("[ALREADYEXISTS]", "Mailbox already exists")
	case errors.Is(err, formats.ErrBadName), errors.Is(err, namespace.ErrBadName), errors.Is(err, namespace.ErrNoNamespace):
		return no("[CANNOT]", err.Error())
	case errors.Is(err, namespace.ErrInbox), errors.Is(err, namespace.ErrOtherSpace):
		return no("[CANNOT]", err.Error())
	case errors.Is(err, formats.ErrReadOnly):
		return no("[NOPERM]", "Mailbox is read-only")
	case errors.Is(err, disk.ErrLocked):
		return no("[INUSE]", "Timeout while waiting for lock")
	case errors.Is(err, watch.ErrReplaced):
		return no("", "Mailbox was deleted under us")
	}
	s.p.Log.Error(fmt.Sprintf("imap(%s)<%s>: %v", s.name, s.c.Session, err))
	return no("[SERVERBUG]", "Internal error occurred. Refer to server log for more information. ["+time.Now().Format("2006-01-02 15:04:05")+"]")
}
