// Package sdbox reads and writes Dovecot's single-dbox format: one file for each message, everything else in the index.
//
//	<mail>/mailboxes/<folder>/dbox-Mails/u.<uid>            messages: package dbox
//	<index>/mailboxes/<folder>/dovecot.index*               package index; without an index root of its own the index
//	                                                        files stand in dbox-Mails, beside the messages
//	<alt>/mailboxes/<folder>/dbox-Mails/u.<uid>             messages moved to slower disks
//	<mail>/dbox-alt-root                                    symbolic link to the alt root
//	<control>/subscriptions, dovecot-uidvalidity*           package layout; the control root is the mail root by default
//	<control>/dovetail-<name>                               notes of our own
//	<mail>/trash/, <mail>/dovetail-new.<pid>.<n>/           a folder being deleted, being made
//
// Flags, keywords, UIDs, UIDVALIDITY, UIDNEXT, modseqs and the mailbox GUID are in the index alone. A folder exists when
// it has a dbox-Mails; other directories are \NoSelect parents. With LAYOUT=index, which is only read, a folder is
// mailboxes/<32 hex digits of its GUID>/ with everything in it, and the names are in dovecot.list.index.
//
// # Order of writes
//
// A message is written under a temporary name and made durable; then the index is locked, the file gets its name u.<uid>,
// the directory is synced, and one log transaction makes it visible. Death before that leaves a file without record:
// harmless, and taken over by the next append that gets its UID. An expunge writes the record first, then removes the
// file. Message files never change under their name.
//
// Lock order: the mutex of the mailbox, then the lock of dovecot.index.log. Dovecot may have the mailbox open.
//
// Tested against Dovecot 2.3.19.1.
package sdbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/layout"
)

// Options say where a user's mail is.
type Options struct {
	// Root is the mail root. Index, Control and Alt are roots of their own, "" for none. An Alt of "" is taken from the
	// link dbox-alt-root.
	Root, Index, Control, Alt string

	// Attachments is the root of mail_attachment_dir, "" if there is none.
	Attachments string

	// Layout is "fs" (also "") or "index".
	Layout string

	// UTF8 and Escape are the options of that name of layout.Naming.
	UTF8   bool
	Escape byte

	FS *disk.FS

	// Create makes missing roots; without it a missing mail root is an error that wraps fs.ErrNotExist.
	Create bool
}

const (
	mailboxesDir = "mailboxes"
	mailsDir     = "dbox-Mails"
	trashDir     = "trash"
	newPrefix    = "dovetail-new."
	altLink      = "dbox-alt-root"
	dirMode      = 0o700
)

// Store is one user's mail.
type Store struct {
	o      Options
	naming layout.Naming

	root, index, control *disk.Dir // index and control may be root
	alt, attachments     *disk.Dir // nil if there is none

	mu    sync.Mutex
	boxes map[string]*sync.Mutex // by storage name: one Update at a time
}

// Open opens the roots.
func Open(_ context.Context, o Options) (*Store, error) {
	if o.Layout != "" && o.Layout != "fs" && o.Layout != "index" {
		return nil, fmt.Errorf("layout %q: sdbox has fs and index", o.Layout)
	}
	s := &Store{o: o, boxes: map[string]*sync.Mutex{}}
	s.naming = layout.Naming{Separator: '/', UTF8: o.UTF8, Escape: o.Escape, Reserved: []string{mailsDir}, Format: "sdbox"}
	if err := s.openRoots(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) openRoots() (err error) {
	if s.root, err = s.openRoot(s.o.Root); err != nil {
		return err
	}
	s.index, s.control = s.root, s.root
	if s.o.Index != "" && s.o.Index != s.o.Root {
		if s.index, err = s.openRoot(s.o.Index); err != nil {
			return err
		}
	}
	if s.o.Control != "" && s.o.Control != s.o.Root {
		if s.control, err = s.openRoot(s.o.Control); err != nil {
			return err
		}
	}
	if s.o.Attachments != "" {
		if s.attachments, err = s.o.FS.OpenRoot(s.o.Attachments); err != nil {
			return fmt.Errorf("attachment root: %w", err)
		}
	}
	return s.openAlt()
}

func (s *Store) openRoot(path string) (*disk.Dir, error) {
	if s.o.Create {
		return s.o.FS.MakeRoot(path, dirMode)
	}
	return s.o.FS.OpenRoot(path)
}

// openAlt opens the alt root. One that is named but cannot be opened is an error: its disk may not be mounted, and then
// messages would seem to be gone. The link may have been planted by the mail user, so it is followed only to a
// directory with the owner of the mail root.
func (s *Store) openAlt() (err error) {
	if s.o.Alt != "" {
		s.alt, err = s.openRoot(s.o.Alt)
		return err
	}
	target, err := s.root.Readlink(altLink)
	if err != nil {
		if exists, err := disk.Exists(err); err != nil || exists {
			return fmt.Errorf("alt storage: %w", err)
		}
		return nil
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(s.o.Root, target)
	}
	alt, err := s.o.FS.OpenRoot(target)
	if err != nil {
		return fmt.Errorf("alt storage, from the link %s: %w", altLink, err)
	}
	s.alt = alt
	mail, err := s.root.StatSelf()
	if err != nil {
		return err
	}
	there, err := alt.StatSelf()
	if err == nil && there.UID != mail.UID {
		err = fmt.Errorf("alt storage: the link %s/%s leads to %s, which belongs to another user\nname it in the location (ALT=%s) if that is right",
			s.o.Root, altLink, target, target)
	}
	return err
}

// Close gives the handles back.
func (s *Store) Close() error {
	closed := map[*disk.Dir]bool{nil: true}
	for _, d := range []*disk.Dir{s.root, s.index, s.control, s.alt, s.attachments} {
		if !closed[d] {
			d.Close()
			closed[d] = true
		}
	}
	return nil
}

// Limits says what sdbox cannot hold: save dates are the time at which a message file got its name.
func (s *Store) Limits() formats.Limits {
	return formats.Limits{
		Format:         "sdbox",
		Separator:      "/",
		NameProblem:    s.naming.Problem,
		SafeName:       s.naming.Safe,
		KeywordProblem: keywordProblem,
		NoSaveDate:     true,
	}
}

// keywordProblem: the index holds any name up to the length of a log record's field; IMAP cannot speak of an empty one.
func keywordProblem(keyword string) string {
	switch {
	case keyword == "":
		return "a keyword has no name"
	case len(keyword) > 255:
		return "a keyword is longer than 255 bytes"
	}
	return ""
}

// Place is where the mail root is.
func (s *Store) Place() string {
	st, err := s.root.StatSelf()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// mutex is shared by all handles on a mailbox.
func (s *Store) mutex(storage string) *sync.Mutex {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.boxes[storage]
	if m == nil {
		m = new(sync.Mutex)
		s.boxes[storage] = m
	}
	return m
}

// Open opens a mailbox.
func (s *Store) Open(ctx context.Context, name string) (formats.Mailbox, error) {
	b, err := s.open(ctx, name)
	if err != nil {
		return nil, s.fail("open mailbox", name, err)
	}
	return b, nil
}

func (s *Store) open(ctx context.Context, name string) (_ *Mailbox, err error) {
	p, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	b := &Mailbox{store: s, name: name, update: s.mutex(p.mail)}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.mail, err = s.root.OpenDir(p.mail); err != nil {
		return nil, err
	}
	b.dir = b.mail
	if s.index != s.root {
		b.dir, err = s.index.OpenDir(p.index)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if b.alt, err = s.openAltOf(p); err != nil {
		return nil, err
	}
	return b, b.openIndex()
}

func (s *Store) openAltOf(p paths) (*disk.Dir, error) {
	if s.alt == nil {
		return nil, nil
	}
	d, err := s.alt.OpenDir(p.mail)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return d, err
}

func (s *Store) failOr(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return s.fail(op, name, err)
}

func (s *Store) fail(op, name string, err error) error {
	if e, ok := errors.AsType[*formats.Error](err); ok && e.Mailbox == name {
		return err
	}
	return &formats.Error{Op: op, Mailbox: name, Err: err}
}
