package mdbox

import (
	"context"
	"io"
	"io/fs"
	"sync"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
)

// tx collects changes. New messages wait in spools.
type tx struct {
	b   *Mailbox
	now time.Time

	mu     sync.Mutex // guards what follows: Append may be called from several goroutines
	spools []*spool
	saved  []saved

	tree.Changes
}

// saved is a message that is new in the folder.
type saved struct {
	formats.Message // of Detail only SaveDate

	spool        *spool // nil: a copy
	offset, size int64  // in the spool
	mapUID       formats.UID
	edition      formats.UIDValidity // of the map that mapUID was read from; of a copy
	guid         formats.GUID
	pop3         byte // tree.HavePOP3UIDL, tree.HavePOP3Order
}

// Update collects what fn does, then commits it.
func (b *Mailbox) Update(ctx context.Context, fn func(formats.Tx) error) (formats.Committed, error) {
	return b.Stream(ctx, func(tx formats.StreamTx) error { return fn(tx) })
}

// Stream is Update: nothing is locked before the commit.
func (b *Mailbox) Stream(ctx context.Context, fn func(formats.StreamTx) error) (formats.Committed, error) {
	if b.store.ReadOnly() {
		return formats.Committed{}, b.fail(0, nil, "update", formats.ErrReadOnly)
	}
	if b.idx == nil || b.lost != nil {
		return formats.Committed{}, b.fail(0, nil, "update", formats.Corrupt("index is damaged: repair the mailbox first"))
	}
	if err := ctx.Err(); err != nil {
		return formats.Committed{}, b.fail(0, nil, "update", err)
	}
	t := &tx{b: b, now: time.Now()}
	defer t.close()
	err := fn(t)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return formats.Committed{}, err
	}
	if t.adds() {
		return b.joining.Commit(ctx, t)
	}
	b.update.Lock()
	defer b.update.Unlock()
	return t.commit(ctx)
}

// AppendFrom writes the message while it comes.
func (t *tx) AppendFrom(ctx context.Context, m formats.Message, r io.Reader, size int64) error {
	return t.Append(ctx, m, formats.Incoming(r, size))
}

// Append writes the message to a spool.
func (t *tx) Append(ctx context.Context, m formats.Message, body formats.Body) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	meta := tree.MetadataOf(&m, t.now)
	meta.Mailbox = t.b.storage
	sp, err := t.spool(ctx, body.Size())
	if err != nil {
		return t.b.fail(m.UID, nil, "save message", err)
	}
	offset, size, err := sp.message(ctx, body, &meta)
	if err != nil {
		return t.b.fail(m.UID, nil, "save message", err)
	}
	s := saved{Message: m, spool: sp, offset: offset, size: size, guid: tree.GUID128(meta.GUID)}
	s.Detail = formats.Detail{SaveDate: m.SaveDate}
	if meta.POP3UIDL != "" {
		s.pop3 |= tree.HavePOP3UIDL
	}
	if meta.POP3Order != 0 {
		s.pop3 |= tree.HavePOP3Order
	}
	t.saved = append(t.saved, s)
	return nil
}

// spool gives the one that the next message goes to.
func (t *tx) spool(ctx context.Context, more int64) (*spool, error) {
	n := len(t.spools)
	if n > 0 && t.spools[n-1].size()+more <= t.b.store.rotateSize() {
		return t.spools[n-1], nil
	}
	if n > 0 {
		if err := t.spools[n-1].finish(); err != nil {
			return nil, err
		}
	}
	if _, err := t.b.store.writableMap(ctx); err != nil {
		return nil, err
	}
	dir, mode, err := t.b.store.place()
	if err == nil && n == 0 {
		err = t.b.store.sweep()
	}
	if err != nil {
		return nil, err
	}
	sp := newSpool(dir, mode, t.now)
	if t.b.store.Options.Rotation.Preallocate {
		sp.room = t.b.store.rotateSize()
	}
	t.spools = append(t.spools, sp)
	return sp, nil
}

// place gives storage/ and the mode of new files in it.
func (s *Store) place() (*disk.Dir, fs.FileMode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.files.StatSelf()
	return s.files, st.Mode.Perm() & 0o666, err
}

// sweep removes, once, the files of runs that died.
func (s *Store) sweep() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.swept {
		return nil
	}
	err := tree.SweepTemps(s.files)
	s.swept = err == nil
	return err
}

func (t *tx) empty() bool { return len(t.saved) == 0 && t.None() }

// close gives the files back.
func (t *tx) close() {
	for _, sp := range t.spools {
		sp.close()
	}
}

var (
	_ formats.StreamTx     = (*tx)(nil)
	_ formats.Copier       = (*tx)(nil)
	_ formats.ModSeqKeeper = (*tx)(nil)
	_ formats.Streamer     = (*Mailbox)(nil)
)
