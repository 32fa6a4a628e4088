// Package courier turns the control files of Courier-IMAP in Maildirs into those of Dovecot, and back, in place. Messages stay
// where they are and keep their dates; clients of IMAP and POP3 find the same UIDs, UIDLs, keywords, folders and
// subscriptions.
//
//	courierimapuiddb, courierpop3dsizelist, courierimapkeywords/   dovecot-uidlist, dovecot-keywords, letters in file names
//	courierimapsubscribed                                          subscriptions
//	courierimapacl, courierimaphieracl/                            dovecot-acl
//	maildirsize                                                    the same file; its sums are checked
//	.Entwürfe (Courier 5), .Q&A (any)                              .Entw&APw-rfe, .Q&-A
//
// What the lists say is the business of package maildir; here are the rules.
//
//   - The direction is said, never guessed. What the source's server has never kept is "nothing to convert".
//   - Of each thing (the lists of a folder, the subscriptions, an ACL): where the target has none it is made. Where it says
//     the same, nothing is done. Where it says something else it is written if nobody touched it since an earlier run wrote
//     or read it; it is left if the source has not changed since then; otherwise only Options.Overwrite and
//     OverwriteNewer replace it. What is replaced stays beside it for one generation as dovetail-old-<name>.
//   - Files of the source's server are never changed. Only folders are renamed, because both servers share them.
//   - On the way back messages that Dovecot numbered keep the UIDL that it made by its pop3_uidl_format, if Courier can hold
//     it. Those that it did not number but may have shown keep it if it was there since the conversion (it left an index),
//     or if the folder is written anyway: an unused conversion goes back without a change.
//   - What goes wrong with one folder or file is reported, and the others go on.
//   - Everything that is not carried is a Loss, damage is a Problem, and both are in the report before anything is
//     written: a run without Options.Convert gives the same lists as the one that converts.
//
// # Order and crashes
//
// First the note (see note.go) is written, with everything that is planned. Then folders are renamed, each folder's lists are
// written (package maildir), then the other files, and last the note again. Who dies anywhere leaves a tree that the next run
// finishes. A run with nothing to do writes nothing.
//
// Two runs on one Maildir exclude each other. A Courier that works meanwhile is noticed by its locks or because its files
// change between reading and writing; see Options.IgnoreRunning and WaitIdle.
//
// Tested with Courier-IMAP 4.18.2 (its files) and 5.0.13, and with Dovecot 2.3.19.1.
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

	// POP3UIDLFormat is Dovecot's pop3_uidl_format, "" for DefaultUIDLFormat: on the way to Courier messages keep the UIDLs
	// that it made, where Courier can hold them.
	POP3UIDLFormat string

	// IgnoreRunning goes on although the source's server seems to be at work in the Maildir. No folder is renamed then,
	// because its clients would miss it: that is left to a run without this.
	IgnoreRunning bool

	// WaitIdle waits until Courier's files have not changed for this long; 0 does not wait. Users who wait for this hold up
	// no others.
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

	// aside is called before a run waits, so that others work in the meantime; what it gives is called before the run
	// goes on. nil: nobody else is there.
	aside func() (back func())
}

// DefaultUIDLFormat makes UIDLs as Courier's: it is what Dovecot is to be set to when it takes over.
const DefaultUIDLFormat = "UID%u-%v"

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
