package mdbox

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/index"
)

// Check reads the index and every message of the mailbox. Messages of the map that no mailbox refers to are not looked
// for.
func (b *Mailbox) Check(ctx context.Context) iter.Seq2[formats.Problem, error] {
	return func(yield func(formats.Problem, error) bool) {
		problems, err := index.Check(b.dir, index.Prefix)
		if err != nil {
			yield(formats.Problem{}, err)
			return
		}
		for _, p := range problems {
			p.Mailbox, p.Mend = b.name, anew
			if !yield(p, nil) {
				return
			}
		}
		for m, err := range b.Messages(ctx, formats.Query{Want: formats.WantAll}) {
			p, bad, err := b.checkMessage(ctx, m, err)
			if err != nil {
				yield(formats.Problem{}, err)
				return
			}
			if bad && !yield(p, nil) {
				return
			}
		}
	}
}

func (b *Mailbox) checkMessage(ctx context.Context, m formats.Message, err error) (p formats.Problem, bad bool, _ error) {
	p = formats.Problem{Mailbox: b.name, UID: m.UID}
	if err == nil {
		p.What, err = b.checkBody(ctx, m)
		p.Cost = "IMAP clients get a message that is cut, or lose their connection"
	}
	if e, ok := formats.Damaged(err); ok {
		p.Path, p.Offset, p.What = e.Path, e.Offset, e.Err.Error()
		p.Cost, p.Mend, p.Loses = "clients cannot read the message", anew, true
		return p, true, nil
	}
	return p, p.What != "", err
}

func (b *Mailbox) checkBody(ctx context.Context, m formats.Message) (what string, err error) {
	said := m.VirtualSize
	body, err := b.Body(ctx, &m)
	if errors.Is(err, formats.ErrNoMessage) {
		return "", nil // expunged meanwhile
	}
	if err != nil {
		return "", err
	}
	defer body.Close()
	size, err := dbox.VirtualSize(body)
	if err != nil || size == said {
		return "", err
	}
	return fmt.Sprintf("the virtual size is %d, the metadata says %d", size, said), nil
}

// anew is what Repair does about everything.
const anew = "build the map and the indexes of all mailboxes anew from the message files"

// Repair builds the whole store anew if agree allows it for any of the problems.
func (b *Mailbox) Repair(ctx context.Context, agree func(formats.Problem) bool) error {
	if b.store.ReadOnly() {
		return b.fail(0, nil, "repair", formats.ErrReadOnly)
	}
	var why error
	for p, err := range b.Check(ctx) {
		if err != nil {
			return err
		}
		if agree(p) && p.Mend != "" && why == nil {
			why = b.named(formats.Corrupt("%s", p.What))
		}
	}
	if why == nil {
		return nil
	}
	return b.store.rebuild(ctx, why, nil, func() error { return why })
}

var _ formats.Checker = (*Mailbox)(nil)
