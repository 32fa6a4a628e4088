package sdbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sync"
	"sync/atomic"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// Mailbox is one open folder.
type Mailbox struct {
	store *Store
	name  string

	mail *disk.Dir    // message files
	dir  *disk.Dir    // index files; may be mail
	alt  *disk.Dir    // moved message files; nil if there is none
	idx  *index.Index // nil when the index is gone or damaged
	lost error        // what the index no longer tells

	damaged  *index.State  // what could be read of a damaged index
	salvaged []formats.UID // with nothing of it: the UIDs in file names

	views tree.Views

	update *sync.Mutex // shared with all handles on this mailbox: one Update at a time
	swept  atomic.Bool // files of dead runs were looked for; set under update

	joining *tree.Group[*tx] // of transactions that only add messages
}

// Name is the name the mailbox was opened with.
func (b *Mailbox) Name() string { return b.name }

// Lost says what a damaged or missing index no longer tells.
func (b *Mailbox) Lost() error { return b.lost }

// Close gives the handles back.
func (b *Mailbox) Close() error {
	if b.idx != nil {
		b.idx.Close()
	}
	for _, d := range []*disk.Dir{b.mail, b.alt} {
		if d != nil {
			d.Close()
		}
	}
	if b.dir != nil && b.dir != b.mail {
		b.dir.Close()
	}
	return nil
}

// refresh gives the newest state; nil without an index.
func (b *Mailbox) refresh() (*index.State, error) {
	if b.idx == nil {
		return b.damaged, nil
	}
	was := b.idx.Snapshot()
	_, err := b.idx.Refresh()
	if b.hurt(was, err) && b.alive() {
		if err = b.mend(context.Background(), was); err == nil {
			_, err = b.idx.Refresh()
		}
	}
	if err != nil {
		return nil, b.fail("read index", 0, nil, err)
	}
	st := b.idx.Snapshot()
	if dir, err := b.dir.StatSelf(); st.Deleted || err == nil && dir.Links == 0 {
		return nil, b.fail("read index", 0, nil, formats.ErrNoMailbox)
	}
	return st, nil
}

// Status counts in the index.
func (b *Mailbox) Status(context.Context) (formats.Status, error) {
	st, err := b.refresh()
	if err != nil {
		return formats.Status{}, err
	}
	if st == nil {
		return b.salvagedStatus(), nil
	}
	return tree.Status(st, extDbox), nil
}

func (b *Mailbox) salvagedStatus() formats.Status {
	n := len(b.salvaged)
	s := formats.Status{UIDNext: 1, Messages: uint32(n), Unseen: uint32(n)}
	if n > 0 {
		s.UIDNext = b.salvaged[n-1] + 1
	}
	return s
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
	return b.views.Of(st, extDbox), nil
}

// extDbox is the header extension of an sdbox index.
const extDbox = "dbox-hdr"

// state is what was seen last; nil without an index.
func (b *Mailbox) state() *index.State {
	if b.idx == nil {
		return b.damaged
	}
	return b.idx.Snapshot()
}

func (b *Mailbox) guid() formats.GUID { return tree.GUID(b.state(), extDbox) }

// Messages reads the index alone, and the header and metadata of each file only when q wants something of them.
func (b *Mailbox) Messages(ctx context.Context, q formats.Query) iter.Seq2[formats.Message, error] {
	return func(yield func(formats.Message, error) bool) {
		st, err := b.refresh()
		if err != nil {
			yield(formats.Message{}, err)
			return
		}
		p := tree.POP3Of(st, extDbox)
		want := q.Want
		if !p.Any() {
			want &^= formats.WantPOP3
		}
		for m := range b.records(st) {
			if err := ctx.Err(); err != nil {
				yield(formats.Message{}, err)
				return
			}
			if q.Since != 0 && m.ModSeq != 0 && m.ModSeq <= q.Since {
				continue
			}
			var err error
			if want != 0 {
				err = b.look(&m, p, want)
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// records gives the messages as the index has them, without detail.
func (b *Mailbox) records(st *index.State) iter.Seq[formats.Message] {
	return func(yield func(formats.Message) bool) {
		for _, uid := range b.salvaged {
			if !yield(formats.Message{UID: uid, Detail: formats.Detail{Size: -1, VirtualSize: -1}}) {
				return
			}
		}
		if st == nil {
			return
		}
		for _, r := range st.All() {
			if !yield(tree.Record(st, r)) {
				return
			}
		}
	}
}

// look fills the detail of one message.
func (b *Mailbox) look(m *formats.Message, p tree.POP3, want formats.Want) error {
	f, err := b.open(m.UID)
	err = b.putUpWith(m.UID, &f, err)
	if f.f == nil {
		return b.missing(m.UID, err)
	}
	m.Detail = b.detail(&f)
	p.Fill(m.UID, &f.Metadata, &m.Detail)
	if want&formats.WantVirtualSize == 0 || m.VirtualSize >= 0 || err != nil {
		f.f.Close()
		return err
	}
	body, err := b.plain(m.UID, &f)
	if err != nil {
		return err
	}
	defer body.Close()
	m.Size = body.Size()
	if m.VirtualSize, err = dbox.VirtualSize(body); err != nil {
		return b.fail("read message", m.UID, f.f, err)
	}
	return nil
}

// missing tells a message that was expunged in this moment from one whose file is gone while the index still has it. The
// index is always told of an expunge before the file goes.
func (b *Mailbox) missing(uid formats.UID, err error) error {
	if !errors.Is(err, formats.ErrNoMessage) {
		return err
	}
	st, failed := b.refresh()
	if failed != nil {
		return failed
	}
	if st == nil {
		return err
	}
	if _, listed := st.Find(uid); !listed {
		return err
	}
	gone := b.fail("open message", uid, nil, formats.Corrupt("the file is gone, the index still has the message"))
	if !b.mends() {
		return gone
	}
	return b.giveUp(uid, gone)
}

// Body opens a message.
func (b *Mailbox) Body(_ context.Context, m *formats.Message) (formats.Body, error) {
	if body := b.small(m); body != nil {
		return body, nil
	}
	f, err := b.open(m.UID)
	if err = b.putUpWith(m.UID, &f, err); err != nil {
		if f.f != nil {
			f.f.Close()
		}
		return nil, b.missing(m.UID, err)
	}
	m.Detail = b.detail(&f)
	tree.POP3Of(b.state(), extDbox).Fill(m.UID, &f.Metadata, &m.Detail)
	body, err := b.plain(m.UID, &f)
	if err != nil {
		return nil, err
	}
	m.Size = body.Size()
	return body, nil
}

// Fingerprint is the place in the log up to which the mailbox is known: every change of an sdbox mailbox, by whatever
// program, adds to its log or begins a new one.
func (b *Mailbox) Fingerprint(context.Context) (string, error) {
	st, err := b.refresh()
	if err != nil || st == nil || b.lost != nil {
		return "", err
	}
	return fmt.Sprintf("%x-%x-%x", st.IndexID, st.LogSeq, st.Head), nil
}

var (
	_ formats.Mailbox       = (*Mailbox)(nil)
	_ formats.Fingerprinter = (*Mailbox)(nil)
	_ formats.Salvaged      = (*Mailbox)(nil)
	_ formats.Viewer        = (*Mailbox)(nil)
)

// Watch names the folder of the index: every change is in its log.
func (b *Mailbox) Watch(add func(d *disk.Dir, name string) error) error {
	if b.dir == nil {
		return nil
	}
	return add(b.dir, "")
}

// Side is the folder of the index.
func (b *Mailbox) Side() (*disk.Dir, fs.FileMode, error) {
	if b.dir == nil || b.idx == nil {
		return nil, 0, fs.ErrNotExist
	}
	d, err := b.dir.OpenDir(".")
	return d, 0o600, err
}

var (
	_ formats.Watchable = (*Mailbox)(nil)
	_ formats.Sidecar   = (*Mailbox)(nil)
)

// StillNamed looks where the name leads.
func (b *Mailbox) StillNamed(ctx context.Context) bool {
	p, err := b.store.Find(ctx, b.name)
	if err != nil {
		return false
	}
	d, err := b.store.Mail.OpenDir(p.Mail)
	if err != nil {
		return false
	}
	defer d.Close()
	return d.Same(b.mail)
}

var _ formats.Renamable = (*Mailbox)(nil)
