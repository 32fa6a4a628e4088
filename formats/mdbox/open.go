package mdbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/index"
)

// Open opens a mailbox. Without an index nothing tells which messages are in it.
func (s *Store) Open(ctx context.Context, name string) (formats.Mailbox, error) {
	b, err := s.open(ctx, name)
	if err != nil {
		return nil, &formats.Error{Op: "open mailbox", Mailbox: name, Err: err}
	}
	return b, nil
}

func (s *Store) open(ctx context.Context, name string) (*Mailbox, error) {
	b, err := s.openFolder(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := b.openIndex(ctx); err != nil {
		b.dir.Close()
		return nil, err
	}
	return b, nil
}

// openFolder opens the folder without looking at its index.
func (s *Store) openFolder(ctx context.Context, name string) (*Mailbox, error) {
	p, err := s.Find(ctx, name)
	if err != nil {
		return nil, err
	}
	b := &Mailbox{store: s, name: name, storage: strings.TrimPrefix(p.Folder, tree.MailboxesDir+"/")}
	b.joining = b.group()
	if s.Index != s.Mail {
		b.dir, err = s.Index.OpenDir(p.Index)
		if errors.Is(err, fs.ErrNotExist) && s.mends() {
			b.dir, err = s.Index.MakeDir(p.Index, 0o700)
		}
	} else {
		b.dir, err = s.Mail.OpenDir(p.Mail)
	}
	return b, err
}

// openIndex reads the index. One that is lost or damaged, or belongs to another map, is mended where that may be done.
func (b *Mailbox) openIndex(ctx context.Context) error {
	if !b.store.mends() {
		return b.readIndex()
	}
	err := b.openSound()
	if err != nil && isDamage(err) {
		if err = b.store.rebuild(ctx, b.named(err), nil, b.openSound); err == nil {
			err = b.openSound()
		}
	}
	return err
}

// openSound reads an index that is not damaged and belongs to the map that there is.
func (b *Mailbox) openSound() (err error) {
	if b.idx != nil {
		b.idx.Close()
	}
	if b.idx, err = index.Open(b.dir, index.Prefix); err != nil {
		return err
	}
	b.idx.Strict = true
	if err := b.idx.Unsound(); err != nil {
		return err
	}
	st := b.idx.Snapshot()
	if st.Len() == 0 {
		return nil
	}
	m, err := b.store.readMap(false)
	if err != nil {
		return err
	}
	return sameMap(st, m)
}

// sameMap refuses a folder whose messages are known by the UIDs of another map.
func sameMap(st, m *index.State) error {
	if v := validityOf(st); v != m.UIDValidity {
		return formats.Corrupt("index is of a map with UIDVALIDITY %d, and the map has %d", v, m.UIDValidity)
	}
	return nil
}

// named puts the name of the mailbox before an error.
func (b *Mailbox) named(err error) error { return fmt.Errorf("%s: %w", b.name, err) }

func (b *Mailbox) readIndex() (err error) {
	b.idx, err = index.Open(b.dir, index.Prefix)
	if errors.Is(err, fs.ErrNotExist) {
		return formats.Corrupt("index is gone: its messages are in %s/, but not which ones they are", storageDir)
	}
	if err == nil {
		if err := b.idx.Torn(); err != nil {
			b.lost = fmt.Errorf("%w, messages and flags among them", err)
		}
		return nil
	}
	if !errors.Is(err, formats.ErrCorrupt) {
		return err
	}
	if b.damaged, _ = index.Read(b.dir, index.Prefix); b.damaged == nil {
		return err
	}
	b.idx, b.lost = nil, fmt.Errorf("%w; what could be read of the index is used", err)
	return nil
}
