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
	"io/fs"
	"sync"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
)

// Options say where a user's mail is.
type Options = tree.Options

// Store is one user's mail.
type Store struct {
	*tree.Tree

	mu    sync.Mutex
	boxes map[string]*sync.Mutex // by path: one Update at a time
}

// Open opens the roots.
func Open(_ context.Context, o Options) (*Store, error) {
	t, err := tree.Open("sdbox", o)
	if err != nil {
		return nil, err
	}
	return &Store{Tree: t, boxes: map[string]*sync.Mutex{}}, nil
}

// Limits says what sdbox cannot hold: save dates are the time at which a message file got its name.
func (s *Store) Limits() formats.Limits {
	return formats.Limits{
		Format:         "sdbox",
		Separator:      "/",
		NameProblem:    s.Naming.Problem,
		SafeName:       s.Naming.Safe,
		KeywordProblem: tree.KeywordProblem,
		NoSaveDate:     true,
	}
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
	p, err := s.Find(ctx, name)
	if err != nil {
		return nil, err
	}
	b := &Mailbox{store: s, name: name, update: s.mutex(p.Mail)}
	b.joining = b.group()
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.mail, err = s.Mail.OpenDir(p.Mail); err != nil {
		return nil, err
	}
	b.dir = b.mail
	if s.Index != s.Mail {
		b.dir, err = s.Index.OpenDir(p.Index)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if b.alt, err = s.openAltOf(p); err != nil {
		return nil, err
	}
	return b, b.openIndex(ctx)
}

func (s *Store) openAltOf(p tree.Paths) (*disk.Dir, error) {
	if s.Alt == nil {
		return nil, nil
	}
	d, err := s.Alt.OpenDir(p.Mail)
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

var (
	_ formats.Store      = (*Store)(nil)
	_ formats.Subscriber = (*Store)(nil)
	_ formats.Noter      = (*Store)(nil)
	_ formats.Placer     = (*Store)(nil)
)
