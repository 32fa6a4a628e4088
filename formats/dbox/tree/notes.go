package tree

import (
	"context"
	"errors"
	"io"
	"io/fs"
)

const (
	notePrefix = "dovetail-"
	noteLimit  = 1 << 30 // a note may describe every message of a large store
)

// ReadNote reads <control>/dovetail-<name>, which Dovecot does not look at.
func (t *Tree) ReadNote(_ context.Context, name string) ([]byte, error) {
	return t.Control.ReadFile(notePrefix+name, noteLimit)
}

// WriteNote replaces it; empty content removes it.
func (t *Tree) WriteNote(_ context.Context, name string, content []byte) error {
	if len(content) > 0 {
		return t.Control.ReplaceFile(notePrefix+name, 0o600, func(w io.Writer) error {
			_, err := w.Write(content)
			return err
		})
	}
	err := t.Control.Remove(notePrefix + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.Control.Sync()
}

const subscriptionsFile = "subscriptions"

// Subscriptions reads the list; it is empty when there is no file.
func (t *Tree) Subscriptions(context.Context) ([]string, error) {
	list, err := t.Naming.ReadSubscriptions(t.Control, subscriptionsFile)
	return list.Names, err
}

// ChangeSubscriptions changes the list under Dovecot's lock.
func (t *Tree) ChangeSubscriptions(ctx context.Context, change func([]string) []string) error {
	return t.Naming.ChangeSubscriptions(ctx, t.Control, subscriptionsFile, 0o600, change)
}
