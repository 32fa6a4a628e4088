package mbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"dovetail/formats/disk"
	"dovetail/formats/layout"
)

// Subscriptions reads .subscriptions.
func (s *Store) Subscriptions(context.Context) ([]string, error) {
	if s.control == nil || s.single {
		return nil, nil
	}
	subs, err := s.naming.ReadSubscriptions(s.control, subscriptionsFile)
	return subs.Names, err
}

// ChangeSubscriptions replaces .subscriptions.
func (s *Store) ChangeSubscriptions(ctx context.Context, change func([]string) []string) error {
	if s.control == nil || s.single {
		return fmt.Errorf("%s: no folder for subscriptions", s.opts.Root)
	}
	return s.naming.ChangeSubscriptions(ctx, s.control, subscriptionsFile, fileMode, change)
}

// ownPrefix begins the names of our files beside the mail. They end in ".lock", because such names Dovecot does not
// take for mailboxes.
const ownPrefix = ".dovetail-"

// maxNote bounds what is read of a note.
const maxNote = 256 << 20

func noteName(name string) string { return ownPrefix + "note-" + name + lockSuffix }

// ReadNote reads a file of ours beside the mail.
func (s *Store) ReadNote(_ context.Context, name string) ([]byte, error) {
	if s.control == nil {
		return nil, fs.ErrNotExist
	}
	return s.control.ReadFile(noteName(name), maxNote)
}

// WriteNote writes a file of ours beside the mail.
func (s *Store) WriteNote(_ context.Context, name string, content []byte) error {
	if s.control == nil {
		return fmt.Errorf("%s: %w", s.opts.Control, fs.ErrNotExist)
	}
	if len(content) > 0 {
		return s.replaceNote(noteName(name), content)
	}
	err := s.control.Remove(noteName(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, s.control.Sync())
}

// replaceNote writes a note in one step. The temporary name ends in ".lock" as well; what a dead run left there goes.
func (s *Store) replaceNote(name string, content []byte) error {
	tmp := strings.TrimSuffix(name, lockSuffix) + ".new" + lockSuffix
	if err := s.control.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := s.control.Create(tmp, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.control.Rename(tmp, s.control, name)
	}
	if err != nil {
		s.control.Remove(tmp) // best effort: the error that matters is the first
		return err
	}
	return s.control.Sync()
}

// Claim claims the folder of our files, or else the mail root.
func (s *Store) Claim() (release func(), err error) {
	for _, d := range []*disk.Dir{s.control, s.root} {
		if d != nil {
			return d.Claim()
		}
	}
	return func() {}, nil
}

// takeValidity chooses a UIDVALIDITY for a mailbox that has none, and makes sure that the next mailbox gets a higher
// one. The allocator's files are in the control root, or else, as all names in the mail root are mailboxes, in .imap.
func (s *Store) takeValidity(ctx context.Context, b *base) (err error) {
	dir := s.control
	if dir == nil || dir == s.root {
		if dir, err = s.root.MakeDir(indexFolder, folderMode); err != nil {
			return err
		}
		defer dir.Close()
	}
	if b.validity != 0 {
		return layout.RaiseUIDValidity(ctx, dir, b.validity)
	}
	b.validity, err = layout.NextUIDValidity(ctx, dir)
	return err
}
