// Package courier turns the control files of Courier-IMAP in a user's Maildir into those of Dovecot, and back. Messages
// stay where they are.
package courier

import (
	"context"
	"time"

	"dovetail/formats/disk"
)

// Direction says whose control files are made from whose.
type Direction uint8

// The directions. There is no default that goes by time stamps: a wrong guess destroys what it should keep.
const (
	ToDovecot Direction = iota
	ToCourier
)

func (d Direction) String() string {
	if d == ToCourier {
		return "courier"
	}
	return "dovecot"
}

// User is one Maildir to work on.
type User struct {
	Name    string `json:"name"`           // "bob@example.com" where an account database says so, else the path
	Maildir string `json:"path,omitempty"` // links in it are followed, because it was named by the administrator; below it none is
	Why     string `json:"why,omitempty"`  // how it was found: "users/assign", "vpasswd of example.com", "found below /home"

	// NoLinks says that Maildir was found to be a path without links: one that is met on it was planted since.
	NoLinks bool `json:"-"`
}

// Options say what is to be done with a user.
type Options struct {
	To Direction

	// Convert does it; without it everything is read and nothing written.
	Convert bool

	// Overwrite replaces lists of the target that say something else and are older than those of the source;
	// OverwriteNewer those that are younger, too. Lists that an earlier run wrote and nobody touched since need neither.
	Overwrite, OverwriteNewer bool

	// Version of Courier, 4 (names on disk in modified UTF-7) or 5 (UTF-8); 0 finds out.
	Version int

	// IgnoreRunning goes on although Courier seems to be at work in the Maildir.
	IgnoreRunning bool

	// WaitIdle waits until Courier's files have not changed for this long; 0 does not wait.
	WaitIdle time.Duration

	// Jobs is how many users are worked on at once by Site; 0 means one for each processor.
	Jobs int

	// Each and Other tell Site whom to tell, one at a time and in the order of the search, of the users that are done and of
	// what the search found besides. With Each the report of a site does not keep the reports of its users, of which
	// there may be a million.
	Each  func(*UserReport)
	Other func(Found)

	// Fault is asked before each change of the disk: see disk.FS. For tests.
	Fault func(op disk.Op, path string) error
}

// Run looks at one Maildir, or converts it. Whatever concerns a single folder or file is in the report; the error is for
// what ended the run: a context that is over, a Maildir that cannot be opened, a disk that is full. The report is there
// also with an error and says what was done until then; running again finishes it.
func Run(ctx context.Context, u User, o Options) (*UserReport, error) {
	r := &run{user: u, opts: o, UserReport: newUserReport(u, o), sames: map[string]states{}}
	defer r.close()
	if err := r.open(); err != nil {
		return r.UserReport, err
	}
	if o.Convert {
		release, err := r.root.Claim()
		if err != nil {
			return r.UserReport, err
		}
		defer release()
	}
	err := r.prepare(ctx)
	if err == nil && !r.trace {
		r.nothing()
		return r.UserReport, nil
	}
	if err == nil && o.Convert {
		err = r.carryOut(ctx)
	} else if err == nil {
		for _, a := range r.actions {
			r.Steps = append(r.Steps, a.steps...)
		}
	}
	return r.UserReport, r.conclude(err)
}
