package formats

import (
	"context"
	"errors"
	"iter"
)

// ReadOnly gives a view of s through which nothing can be changed: every change is ErrReadOnly. It passes on what s can
// do beyond Store; what s cannot is errors.ErrUnsupported.
func ReadOnly(s Store) Store { return readOnlyStore{view{s}} }

type readOnlyStore struct{ view }

func (readOnlyStore) Create(_ context.Context, name string, _ Status) error {
	return &Error{Op: "create", Mailbox: name, Err: ErrReadOnly}
}

func (readOnlyStore) Rename(_ context.Context, from, _ string) error {
	return &Error{Op: "rename", Mailbox: from, Err: ErrReadOnly}
}

func (readOnlyStore) Delete(_ context.Context, name string) error {
	return &Error{Op: "delete", Mailbox: name, Err: ErrReadOnly}
}

func (readOnlyStore) ChangeSubscriptions(context.Context, func([]string) []string) error {
	return ErrReadOnly
}

func (readOnlyStore) WriteNote(context.Context, string, []byte) error { return ErrReadOnly }

func (s readOnlyStore) Open(ctx context.Context, name string) (Mailbox, error) {
	box, err := s.Store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return readOnlyMailbox{boxView{box}}, nil
}

type readOnlyMailbox struct{ boxView }

func (m readOnlyMailbox) Update(context.Context, func(Tx) error) (Committed, error) {
	return Committed{}, &Error{Op: "update", Mailbox: m.Name(), Err: ErrReadOnly}
}

func (m readOnlyMailbox) Repair(context.Context, func(Problem) bool) error {
	return &Error{Op: "repair", Mailbox: m.Name(), Err: ErrReadOnly}
}

// view passes on the reading half of the further interfaces of a Store.
type view struct{ Store }

func (v view) Subscriptions(ctx context.Context) ([]string, error) {
	if s, ok := v.Store.(Subscriber); ok {
		return s.Subscriptions(ctx)
	}
	return nil, errors.ErrUnsupported
}

func (v view) ReadNote(ctx context.Context, name string) ([]byte, error) {
	if s, ok := v.Store.(Noter); ok {
		return s.ReadNote(ctx, name)
	}
	return nil, errors.ErrUnsupported
}

func (v view) Place() string {
	if s, ok := v.Store.(Placer); ok {
		return s.Place()
	}
	return ""
}

// boxView passes on the reading half of the further interfaces of a Mailbox.
type boxView struct{ Mailbox }

func (v boxView) Fingerprint(ctx context.Context) (string, error) {
	if m, ok := v.Mailbox.(Fingerprinter); ok {
		return m.Fingerprint(ctx)
	}
	return "", nil
}

// Lost is nil for a mailbox that is sound or cannot tell.
func (v boxView) Lost() error {
	if m, ok := v.Mailbox.(Salvaged); ok {
		return m.Lost()
	}
	return nil
}

func (v boxView) Check(ctx context.Context) iter.Seq2[Problem, error] {
	if m, ok := v.Mailbox.(Checker); ok {
		return m.Check(ctx)
	}
	return func(yield func(Problem, error) bool) { yield(Problem{}, errors.ErrUnsupported) }
}
