package formats

import (
	"errors"
	"fmt"
	"strings"
)

// What callers act on; an *Error wraps one of these or an error of the file system.
var (
	ErrNoMailbox = errors.New("no such mailbox")
	ErrExists    = errors.New("mailbox exists already")
	ErrBadName   = errors.New("mailbox name not possible here")
	ErrNoRoom    = errors.New("mailbox cannot have children")
	ErrParent    = errors.New("mailbox has children")
	ErrNoMessage = errors.New("no such message")
	ErrUIDTaken  = errors.New("UID is below the mailbox's UIDNEXT")
	ErrCorrupt   = errors.New("corrupt")
	ErrReadOnly  = errors.New("store is opened read-only")
)

// Error says what went wrong where. As text:
//
//	read metadata Work/2019 uid 17: dbox-Mails/u.17 at byte 420: corrupt: magic missing
type Error struct {
	Op      string // "read metadata"
	Mailbox string // as the user names it
	UID     UID    // 0: the mailbox itself
	Path    string // "" when no file is to blame
	Offset  int64  // byte in Path; 0 or less: unknown or the file as a whole
	Err     error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Mailbox != "" {
		b.WriteString(" " + e.Mailbox)
	}
	if e.UID != 0 {
		fmt.Fprintf(&b, " uid %d", e.UID)
	}
	if e.Path != "" {
		b.WriteString(": " + e.Path)
	}
	if e.Offset > 0 {
		fmt.Fprintf(&b, " at byte %d", e.Offset)
	}
	return b.String() + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Corrupt is an error that says what is wrong with the bytes: errors.Is(err, ErrCorrupt).
func Corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

// Damaged tells whether err is about one message only, so that its mailbox can go on, and gives it.
func Damaged(err error) (*Error, bool) {
	e, ok := errors.AsType[*Error](err)
	return e, ok && e.UID != 0
}
