package imap

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/imapwire"
	"dovetail/serve"
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

// told is what a client is told of its mailbox behind a command.
type told uint8

const (
	// nothing: the command has its own answers, or does not look at the mailbox.
	nothing told = iota
	// noExpunges: the client counts on its sequence numbers (RFC 3501 section 5.5).
	noExpunges
	// named: as well, and new messages even if they are to be held back: the client names one of them.
	named
	// changes: all of them.
	changes
	// asked: all of them, as the client expects, even one that is to be spared surprises (delay-newmail).
	asked
)

// command is a row of the table.
type command struct {
	when state
	run  func(*session, context.Context, *imapwire.Command) answer
	told told
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

// wrong is the answer to a command whose arguments make no sense.
func wrong(c *imapwire.Command, text string) answer {
	return bad("Error in IMAP command " + c.Name + ": " + text)
}

var commands map[string]command

func init() {
	commands = map[string]command{
		"CAPABILITY": {always, (*session).capability, nothing}, "NOOP": {always, (*session).noop, asked},
		"LOGOUT": {always, (*session).logout, nothing}, "ID": {always, (*session).id, nothing},

		"STARTTLS": {before, (*session).startTLS, nothing}, "LOGIN": {before, (*session).loginCommand, nothing},
		"AUTHENTICATE": {before, (*session).authenticate, nothing},

		"NOTIFY": {after, (*session).setNotify, asked}, "COMPRESS": {after, (*session).compress, nothing}, "ENABLE": {always, (*session).enable, nothing}, "NAMESPACE": {after, (*session).namespaces, nothing},
		"LIST": {after, (*session).list, nothing}, "LSUB": {after, (*session).list, nothing}, "XLIST": {after, (*session).list, nothing},
		"STATUS": {after, (*session).status, nothing}, "SELECT": {after, (*session).selectMailbox, nothing},
		"EXAMINE": {after, (*session).selectMailbox, nothing}, "CREATE": {after, (*session).create, nothing},
		"DELETE": {after, (*session).delete, nothing}, "RENAME": {after, (*session).rename, nothing},
		"SUBSCRIBE": {after, (*session).subscribe, nothing}, "UNSUBSCRIBE": {after, (*session).subscribe, nothing},
		"APPEND": {after, (*session).append, asked}, "IDLE": {after, (*session).idle, nothing},

		"CANCELUPDATE": {after, (*session).cancelUpdate, nothing},

		"CHECK": {selectedState, (*session).check, asked}, "CLOSE": {selectedState, (*session).closeMailbox, nothing},
		"UNSELECT": {selectedState, (*session).unselect, nothing}, "EXPUNGE": {selectedState, (*session).expunge, asked},
		"UID EXPUNGE": {selectedState, (*session).expunge, asked}, "FETCH": {selectedState, (*session).fetch, noExpunges},
		"UID FETCH": {selectedState, (*session).fetch, changes}, "STORE": {selectedState, (*session).store, noExpunges},
		"UID STORE": {selectedState, (*session).store, changes}, "SEARCH": {selectedState, (*session).search, noExpunges},
		"UID SEARCH": {selectedState, (*session).search, changes}, "SORT": {selectedState, (*session).search, noExpunges},
		"UID SORT": {selectedState, (*session).search, changes}, "THREAD": {selectedState, (*session).thread, noExpunges},
		"UID THREAD": {selectedState, (*session).thread, changes}, "COPY": {selectedState, (*session).copy, asked},
		"UID COPY": {selectedState, (*session).copy, asked}, "MOVE": {selectedState, (*session).copy, asked},
		"UID MOVE": {selectedState, (*session).copy, asked},
	}
}

// refused tells whether a command is not for this state, and the answer to it then.
func (s *session) refused(name string) (answer, bool) {
	row, known := commands[name]
	switch {
	case !known, row.when == before && s.user != nil:
		return bad("Error in IMAP command " + name + ": Unknown command"), true
	case row.when >= after && s.user == nil:
		return bad("Error in IMAP command " + name + ": Please log in first"), true
	case row.when == selectedState && s.sel == nil:
		return bad("No mailbox selected"), true
	}
	return answer{}, false
}

// execute runs one command and writes its tagged answer.
func (s *session) execute(ctx context.Context, c *imapwire.Command) {
	started, early := time.Now(), s.user == nil
	a, refused := s.refused(c.Name)
	if refused {
		if s.user == nil {
			a = atLogin
		}
		s.passOver(c)
	} else {
		row := commands[c.Name]
		s.running = c.Name
		s.meet(ctx, c)
		a = row.run(s, ctx, c)
		if row.told != nothing && s.sel != nil && a.status != "BAD" {
			s.sync(ctx, row.told, &a)
		}
		s.own = ownChange{}
	}
	if a.status != "BAD" {
		s.bad = 0
	} else if s.tooBad() {
		if s.user != nil {
			s.tagged(c.Tag, a, time.Since(started))
		}
		s.giveUp()
		return
	}
	if early {
		s.taggedEarly(c.Tag, a)
		return
	}
	s.tagged(c.Tag, a, time.Since(started))
}

// taggedEarly ends a command that came before login.
func (s *session) taggedEarly(tag string, a answer) {
	if a.status == "" {
		return
	}
	text := tag + " " + a.status
	if a.code != "" {
		text += " " + a.code
	}
	text += " " + strings.TrimSuffix(a.text, ".")
	if a.text != loggedIn { // the one text of Dovecot's login processes that is no sentence
		text += "."
	}
	s.line(text)
}

// passOver drops the messages of an APPEND that is not executed, up to the first that the client waits with.
func (s *session) passOver(c *imapwire.Command) {
	if c.Name != "APPEND" {
		return
	}
	s.passedOver(s.in.Abandon())
}

// passedOver takes note of how the passing over of a command went.
func (s *session) passedOver(err error) {
	syntax, isSyntax := errors.AsType[*imapwire.SyntaxError](err)
	switch {
	case err == nil:
	case isSyntax && syntax.Fatal:
		s.leave(syntax.Text)
	case s.sentAway():
	case serve.IsTimeout(err):
		s.inactive()
	default:
		s.end("Connection closed")
	}
}

// tagged writes the line that ends a command, with the time that it took, as Dovecot does.
func (s *session) tagged(tag string, a answer, took time.Duration) {
	if a.status == "" {
		return
	}
	b := append(s.out.Buf, tag...)
	b = append(append(b, ' '), a.status...)
	if a.code != "" {
		b = append(append(b, ' '), a.code...)
	}
	b = append(append(b, ' '), strings.TrimSuffix(inOneLine(a.text), ".")...)
	b = appendSeconds(append(b, " ("...), took)
	s.out.Buf = append(b, " + 0.000 secs).\r\n"...)
	s.out.Line()
}

// appendSeconds writes a time with three decimals.
func appendSeconds(b []byte, d time.Duration) []byte {
	ms := d.Round(time.Millisecond).Milliseconds()
	b = append(strconv.AppendInt(b, ms/1000, 10), '.')
	return append(b, '0'+byte(ms/100%10), '0'+byte(ms/10%10), '0'+byte(ms%10))
}

// failed turns an error into an answer: what the client may know of it, with a code where there is one (RFC 5530). The
// rest is for the log.
func (s *session) failed(err error) answer {
	switch {
	case errors.Is(err, errNotMUTF7):
		return notMUTF7
	case errors.Is(err, formats.ErrNoMailbox):
		return no("[NONEXISTENT]", "Mailbox doesn't exist")
	case errors.Is(err, formats.ErrExists):
		return no("[ALREADYEXISTS]", "Mailbox already exists")
	case errors.Is(err, namespace.ErrNoNamespace):
		return no("", s.outside())
	case errors.Is(err, namespace.ErrBadName), errors.Is(err, namespace.ErrOtherSpace):
		return no("[CANNOT]", err.Error())
	case errors.Is(err, formats.ErrNoRoom):
		return no("[CANNOT]", "Mailbox doesn't allow inferior mailboxes")
	case errors.Is(err, formats.ErrBadName):
		return no("[CANNOT]", "Invalid mailbox name")
	case errors.Is(err, namespace.ErrInbox):
		return no("", err.Error())
	case errors.Is(err, formats.ErrReadOnly):
		return no("[NOPERM]", "Mailbox is read-only")
	case errors.Is(err, disk.ErrLocked):
		return no("[INUSE]", "Timeout while waiting for lock")
	case errors.Is(err, formats.ErrNoMessage):
		return no("[EXPUNGEISSUED]", "Some of the requested messages no longer exist")
	case errors.Is(err, watch.ErrReplaced):
		return no("", "Mailbox was deleted under us")
	}
	s.log(slog.LevelError, oneLine(err))
	return faulty(err)
}

// faulty answers what the machine could not do, in Dovecot's words (2.3, src/lib-storage/mail-error.c).
func faulty(err error) answer {
	switch {
	case disk.Full(err):
		return no("[OVERQUOTA]", "Not enough disk quota")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		return no("[NOPERM]", "Permission denied")
	}
	return no("[SERVERBUG]", serve.CriticalError())
}

// oneLine is an error's text for the log: several causes are joined with line ends.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// outside tells a client how names begin here.
func (s *session) outside() string {
	text := "Client tried to access nonexistent namespace."
	for _, n := range s.user.Spaces {
		if n.Inbox && n.Prefix != "" {
			text += " (Mailbox name should probably be prefixed with: " + n.Prefix + ")."
		}
	}
	return text
}

// missing is failed for a mailbox that a command names: Dovecot gives a code only where the RFC of the command has one.
func (s *session) missing(ctx context.Context, err error, code string, m mailbox) answer {
	if errors.Is(err, formats.ErrNoMailbox) {
		if problem := m.Problem(ctx); problem != "" {
			return no("[CANNOT]", "Invalid mailbox name: "+problem)
		}
		return no(code, "Mailbox doesn't exist: "+encoded(m.Full))
	}
	return s.failed(err)
}
