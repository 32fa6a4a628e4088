package mdbox

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// Mailbox is one open folder.
type Mailbox struct {
	store   *Store
	name    string
	storage string       // its name on disk
	dir     *disk.Dir    // index files
	idx     *index.Index // nil when the index is damaged
	lost    error        // what it no longer tells

	damaged *index.State // what could be read of it
	views   tree.Views

	update  sync.Mutex       // one commit at a time
	joining *tree.Group[*tx] // of transactions that only add messages
}

// Name is the name the mailbox was opened with.
func (b *Mailbox) Name() string { return b.name }

// Lost says what a damaged index no longer tells.
func (b *Mailbox) Lost() error { return b.lost }

// Close gives the handle back.
func (b *Mailbox) Close() error {
	if b.idx != nil {
		b.idx.Close()
	}
	return b.dir.Close()
}

func (b *Mailbox) refresh() (*index.State, error) {
	if b.idx == nil {
		return b.damaged, nil
	}
	was := b.idx.Snapshot()
	_, err := b.idx.Refresh()
	if b.hurt(was, err) {
		err = b.mend(was)
	}
	if err != nil {
		return nil, &formats.Error{Op: "read index", Mailbox: b.name, Err: err}
	}
	st := b.idx.Snapshot()
	if dir, err := b.dir.StatSelf(); st.Deleted || err == nil && dir.Links == 0 {
		return nil, b.fail(0, nil, "read index", formats.ErrNoMailbox)
	}
	return st, nil
}

// Status counts in the index.
func (b *Mailbox) Status(context.Context) (formats.Status, error) {
	st, err := b.refresh()
	if err != nil {
		return formats.Status{}, err
	}
	return tree.Status(st, extHeader), nil
}

// View is the state of the index.
func (b *Mailbox) View(context.Context) (formats.View, error) {
	if b.idx == nil {
		return nil, nil
	}
	st, err := b.refresh()
	if err != nil {
		return nil, err
	}
	return b.views.Of(st, extHeader), nil
}

// Watch names the folder of the index: every change is in its log.
func (b *Mailbox) Watch(add func(d *disk.Dir, name string) error) error { return add(b.dir, "") }

// Fingerprint is the place in the log up to which the mailbox is known.
func (b *Mailbox) Fingerprint(context.Context) (string, error) {
	st, err := b.refresh()
	if err != nil || b.lost != nil {
		return "", err
	}
	return fmt.Sprintf("%x-%x-%x", st.IndexID, st.LogSeq, st.Head), nil
}

// Messages reads the index alone, and header and metadata of each message only when q wants something of them.
func (b *Mailbox) Messages(ctx context.Context, q formats.Query) iter.Seq2[formats.Message, error] {
	return func(yield func(formats.Message, error) bool) {
		st, err := b.refresh()
		if err != nil {
			yield(formats.Message{}, err)
			return
		}
		p := tree.POP3Of(st, extHeader)
		want := q.Want &^ formats.WantSaveDate
		if !p.Any() {
			want &^= formats.WantPOP3
		}
		for i, r := range st.All() {
			if err := ctx.Err(); err != nil {
				yield(formats.Message{}, err)
				return
			}
			m := tree.Record(st, r)
			if q.Since != 0 && m.ModSeq <= q.Since {
				continue
			}
			if err = nil; want != 0 {
				err = b.look(st, i, &m, want)
			} else {
				m.SaveDate = saveDate(st, i)
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

var (
	_ formats.Mailbox       = (*Mailbox)(nil)
	_ formats.Fingerprinter = (*Mailbox)(nil)
	_ formats.Salvaged      = (*Mailbox)(nil)
	_ formats.Viewer        = (*Mailbox)(nil)
	_ formats.Watchable     = (*Mailbox)(nil)
)
