package maildir

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/disk"
)

const (
	subscriptionsName = "subscriptions"
	notePrefix        = "dovetail-"
	maxNote           = 256 << 20
)

// Subscriptions come from Dovecot's file or, where there is none, from Courier's.
func (s *Store) Subscriptions(ctx context.Context) ([]string, error) {
	if s.opts.Lists.courier() {
		return s.courierSubscriptions()
	}
	_, err := s.controlRoot().Stat(subscriptionsName)
	if errors.Is(err, fs.ErrNotExist) {
		return s.courierSubscriptions()
	}
	list, err := s.naming.ReadSubscriptions(s.controlRoot(), subscriptionsName)
	if err != nil {
		return nil, &formats.Error{Op: "read subscriptions", Err: err}
	}
	return list.Names, nil
}

func (s *Store) courierSubscriptions() ([]string, error) {
	text, err := s.root.ReadFile(courierSubscribedName, maxControl)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &formats.Error{Op: "read subscriptions", Err: err}
	}
	var names []string
	for _, name := range ParseCourierSubscribed(text) {
		if storage, ok := courierFolder(name); ok && storage == "" {
			names = append(names, inboxName)
		} else if ok {
			names = append(names, s.naming.Name(storage))
		}
	}
	return names, nil
}

// ChangeSubscriptions writes the file of the server whose lists the store goes by. What Courier left counts as long as
// Dovecot has no file of its own.
func (s *Store) ChangeSubscriptions(ctx context.Context, change func([]string) []string) error {
	if s.readOnly() {
		return &formats.Error{Op: "write subscriptions", Err: formats.ErrReadOnly}
	}
	if s.opts.Lists.courier() {
		return s.changeCourierSubscriptions(ctx, change)
	}
	change, err := s.fromCourier(change)
	if err == nil {
		err = s.naming.ChangeSubscriptions(ctx, s.controlRoot(), subscriptionsName, 0o600, change)
	}
	if err != nil {
		return &formats.Error{Op: "write subscriptions", Err: err}
	}
	return nil
}

// fromCourier has a change begin with what Courier left, where Dovecot has no list yet.
func (s *Store) fromCourier(change func([]string) []string) (func([]string) []string, error) {
	_, err := s.controlRoot().Stat(subscriptionsName)
	if !errors.Is(err, fs.ErrNotExist) {
		return change, nil
	}
	left, err := s.courierSubscriptions()
	return func(names []string) []string {
		if len(names) == 0 {
			names = left
		}
		return change(names)
	}, err
}

// ReadNote reads a file of ours in the control root.
func (s *Store) ReadNote(ctx context.Context, name string) ([]byte, error) {
	b, err := s.controlRoot().ReadFile(notePrefix+name, maxNote)
	if err != nil {
		return nil, &formats.Error{Op: "read note", Err: err}
	}
	return b, nil
}

// WriteNote replaces it.
func (s *Store) WriteNote(ctx context.Context, name string, content []byte) error {
	root := s.controlRoot()
	var err error
	if len(content) == 0 {
		if err = root.Remove(notePrefix + name); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	} else {
		err = root.ReplaceFile(notePrefix+name, 0o600, func(w io.Writer) error {
			_, err := w.Write(content)
			return err
		})
	}
	if err != nil {
		return &formats.Error{Op: "write note", Err: err}
	}
	return nil
}

// Fingerprint is made of the state of both folders, of the list and of the keywords.
func (b *Mailbox) Fingerprint(ctx context.Context) (string, error) {
	s, err := b.stamp()
	if err != nil || !s.settled() {
		return "", err
	}
	h := fnv.New128a()
	fmt.Fprint(h, s.cur, s.fresh, s.list, s.keywords, s.pop3)
	return fmt.Sprintf("maildir-%x", h.Sum(nil)), nil
}

// Watch names the folders of the message files, and those of the list, of keywords and of the index.
func (b *Mailbox) Watch(add func(d *disk.Dir, name string) error) error {
	err := errors.Join(add(b.fresh, ""), add(b.control, ""))
	if b.cur != nil {
		err = errors.Join(add(b.cur, ""), err)
	}
	if d := b.indexFolder(); d != nil && d != b.control {
		err = errors.Join(err, add(d, ""))
	}
	return err
}

// indexFolder is where the index is; nil while there is no such folder.
func (b *Mailbox) indexFolder() *disk.Dir {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.indexDir
}

// Side is the folder of the index; there is none while Courier's lists are kept, as nobody expects one there.
func (b *Mailbox) Side() (*disk.Dir, fs.FileMode, error) {
	folder := b.indexFolder()
	if folder == nil || !b.store.keepsIndex() {
		return nil, 0, fs.ErrNotExist
	}
	d, err := folder.OpenDir(".")
	return d, b.mode.Perm() &^ 0o111, err
}
