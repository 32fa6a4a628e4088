package namespace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dovetail/formats"
)

func ignore(err, which error) error {
	if errors.Is(err, which) {
		return nil
	}
	return err
}

// Create makes a mailbox. A name that ends with the separator asks for a parent only; where the format has none that are
// nothing else, it is a mailbox.
func (u *User) Create(ctx context.Context, name string) (Mailbox, error) {
	parent := false
	for _, s := range u.byPrefix {
		if n := len(name); n > 0 && name[n-1] == s.Separator {
			if _, ok := s.below(name); ok {
				name, parent = name[:n-1], true
				break
			}
		}
	}
	m, err := u.Find(name)
	if err != nil {
		return m, err
	}
	store, err := m.Space.Store(ctx)
	if err != nil {
		return m, err
	}
	if m.Name == Inbox && store.Limits().Format == "maildir" {
		return m, formats.ErrExists // it is the folder of the whole Maildir
	}
	if maker, can := store.(formats.ParentMaker); parent && can {
		return m, maker.CreateParent(ctx, m.Name)
	}
	return m, store.Create(ctx, m.Name, formats.Status{})
}

// Problem says in words why there cannot be a mailbox of this name, or "" if there can.
func (m Mailbox) Problem(ctx context.Context) string {
	if m.Space == nil {
		return ""
	}
	store, err := m.Space.Store(ctx)
	if err != nil || store.Limits().NameProblem == nil {
		return ""
	}
	return store.Limits().NameProblem(m.Name)
}

// Delete removes a mailbox; its children stay.
func (u *User) Delete(ctx context.Context, name string) error {
	m, err := u.Find(name)
	if err != nil {
		return err
	}
	if m.Name == Inbox && m.Space.Inbox {
		return ErrInbox
	}
	store, err := m.Prepare(ctx)
	if err != nil {
		return err
	}
	return store.Delete(ctx, m.Name)
}

// Rename moves a mailbox with its children. Renaming INBOX is another thing: its messages move (RFC 9051 section 6.3.6),
// which the protocol does.
func (u *User) Rename(ctx context.Context, from, to string) error {
	a, err := u.Find(from)
	if err != nil {
		return err
	}
	b, err := u.Find(to)
	if err != nil {
		return err
	}
	if a.Space != b.Space {
		return ErrOtherSpace
	}
	store, err := a.Prepare(ctx)
	if err != nil {
		return err
	}
	if err := store.Rename(ctx, a.Name, b.Name); err != nil {
		return err
	}
	b.stamp(ctx, store)
	return nil
}

// Subscribe adds a mailbox to the list of subscriptions, or takes it off. A namespace without a list of its own uses that
// of the namespace around it, where the name has the prefix of the former.
func (m Mailbox) Subscribe(ctx context.Context, on bool) error {
	s, name := m.Space, m.Name
	if s.of != nil {
		s = s.of
	}
	if !s.Subscriptions {
		for _, o := range s.user.byPrefix {
			if rest, ok := o.below(m.Full); ok && o.Subscriptions {
				s, name = o, strings.ReplaceAll(rest, string(o.Separator), "/")
				break
			}
		}
	}
	store, err := s.Store(ctx)
	if err != nil {
		return err
	}
	list, ok := store.(formats.Subscriber)
	if !ok {
		return fmt.Errorf("subscriptions: %w", errors.ErrUnsupported)
	}
	return list.ChangeSubscriptions(ctx, func(names []string) []string {
		names = slices.Clone(names)
		switch {
		case !on:
			names = slices.DeleteFunc(names, func(n string) bool { return n == name })
		case !slices.Contains(names, name):
			names = append(names, name)
		}
		return names
	})
}
