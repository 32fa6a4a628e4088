package sdbox

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"dovetail/formats"
)

const (
	notePrefix = "dovetail-"
	noteLimit  = 1 << 30 // a note may describe every message of a large store
)

// ReadNote reads <control>/dovetail-<name>, which Dovecot does not look at.
func (s *Store) ReadNote(_ context.Context, name string) ([]byte, error) {
	return s.control.ReadFile(notePrefix+name, noteLimit)
}

// WriteNote replaces it; empty content removes it.
func (s *Store) WriteNote(_ context.Context, name string, content []byte) error {
	if len(content) > 0 {
		return s.control.ReplaceFile(notePrefix+name, 0o600, func(w io.Writer) error {
			_, err := w.Write(content)
			return err
		})
	}
	err := s.control.Remove(notePrefix + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.control.Sync()
}

const subscriptionsFile = "subscriptions"

// Subscriptions reads the list; it is empty when there is no file.
func (s *Store) Subscriptions(context.Context) ([]string, error) {
	list, err := s.naming.ReadSubscriptions(s.control, subscriptionsFile)
	return list.Names, err
}

// SetSubscriptions replaces the list under Dovecot's lock.
func (s *Store) SetSubscriptions(ctx context.Context, names []string) error {
	return s.naming.WriteSubscriptions(ctx, s.control, subscriptionsFile, 0o600, names)
}

var (
	_ formats.Subscriber    = (*Store)(nil)
	_ formats.Store         = (*Store)(nil)
	_ formats.Noter         = (*Store)(nil)
	_ formats.Placer        = (*Store)(nil)
	_ formats.Mailbox       = (*Mailbox)(nil)
	_ formats.Fingerprinter = (*Mailbox)(nil)
	_ formats.Salvaged      = (*Mailbox)(nil)
)
