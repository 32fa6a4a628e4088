package sdbox

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// fewFiles is the number of new messages up to which each is synced by itself; more are made durable together, which
// also writes out whatever else waits in that file system and may take long on a busy one.
const fewFiles = 16

// tx collects changes. Message files wait under temporary names.
type tx struct {
	b    *Mailbox
	now  time.Time
	mode os.FileMode

	mu      sync.Mutex // guards saved, written and open: Append may be called from several goroutines
	saved   []saved
	written int          // of them have a file whose content may not be durable yet
	open    []*disk.File // the first fewFiles of these

	tree.Changes
	named    []named  // messages whose files have their final names
	together bool     // of several sessions: a commit that fails leaves the files for another try
	unwanted []string // files of messages appended and expunged at once
	swept    bool     // the folder was, which the index is to know
}

type saved struct {
	formats.Message        // Detail is empty
	temp            string // file name
	pop3            byte   // tree.HavePOP3UIDL, tree.HavePOP3Order
}

// Update collects what fn does and commits it under the lock of the index.
func (b *Mailbox) Update(ctx context.Context, fn func(formats.Tx) error) (formats.Committed, error) {
	return b.Stream(ctx, func(tx formats.StreamTx) error { return fn(tx) })
}

// Stream is Update: nothing is locked before the commit.
func (b *Mailbox) Stream(ctx context.Context, fn func(formats.StreamTx) error) (formats.Committed, error) {
	if b.store.Options.FS != nil && b.store.Options.FS.ReadOnly {
		return formats.Committed{}, b.fail("update", 0, nil, formats.ErrReadOnly)
	}
	if b.idx == nil || b.lost != nil {
		return formats.Committed{}, b.fail("update", 0, nil, formats.Corrupt("index is damaged: repair the mailbox first"))
	}
	dir, err := b.mail.StatSelf()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return formats.Committed{}, b.fail("update", 0, nil, err)
	}
	t := &tx{b: b, now: time.Now(), mode: dir.Mode.Perm() & 0o666}
	err = fn(t)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && len(t.saved) > 0 {
		if err = t.sweep(); err != nil {
			err = b.fail("update", 0, nil, err)
		}
	}
	if err == nil {
		err = t.sync()
	}
	t.closeFiles()
	var done formats.Committed
	switch {
	case err != nil:
	case t.adds():
		done, err = b.joining.Commit(ctx, t)
	default:
		b.update.Lock()
		done, err = t.commit(ctx)
		done.Modified, done.Recent = t.Flags.Modified, t.Claimed
		b.update.Unlock()
	}
	if err != nil {
		t.discard()
	}
	return done, err
}

// Who adds messages looks for files of runs that died: once, and in a large folder, where it takes as long as adding some
// hundred, only when nobody has for a day. Dovecot does it once a week (mail_temp_scan_interval) and notes when in the index.
const (
	largeFolder = 1000
	sweepEvery  = 24 * time.Hour
)

// sweep removes the files of runs that died.
func (t *tx) sweep() error {
	b := t.b
	if b.swept.Load() { // without the lock, for which others may make us wait
		return nil
	}
	b.update.Lock()
	defer b.update.Unlock()
	st := b.idx.Snapshot()
	recently := st.Len() > largeFolder && t.now.Sub(time.Unix(int64(st.TempScan), 0)) < sweepEvery
	if b.swept.Load() || recently {
		b.swept.Store(true)
		return nil
	}
	err := tree.SweepTemps(b.mail)
	t.swept = err == nil
	b.swept.Store(t.swept)
	return err
}

// AppendFrom writes the message under a temporary name while it comes.
func (t *tx) AppendFrom(ctx context.Context, m formats.Message, r io.Reader, size int64) error {
	return t.Append(ctx, m, formats.Incoming(r, size))
}

// Append writes the message under a temporary name.
func (t *tx) Append(ctx context.Context, m formats.Message, body formats.Body) error {
	temp := tree.TempName(t.now)
	meta := tree.MetadataOf(&m, t.now)
	f, err := writeMessage(ctx, t.b.mail, temp, t.mode, t.now, body, meta)
	if err != nil {
		return t.b.fail("save message", m.UID, nil, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.save(m, temp, &meta)
	t.written++
	if len(t.open) < fewFiles {
		t.open = append(t.open, f)
		return nil
	}
	return f.Close()
}

// save remembers a message that has a file; mu is held.
func (t *tx) save(m formats.Message, temp string, meta *dbox.Metadata) {
	s := saved{Message: m, temp: temp}
	s.Detail = formats.Detail{}
	if meta.POP3UIDL != "" {
		s.pop3 |= tree.HavePOP3UIDL
	}
	if meta.POP3Order != 0 {
		s.pop3 |= tree.HavePOP3Order
	}
	t.saved = append(t.saved, s)
}

func (t *tx) empty() bool { return len(t.saved) == 0 && t.None() }

// sync makes the new files' content durable, before any of them gets its name.
func (t *tx) sync() error {
	if t.written > fewFiles {
		return t.b.mail.SyncAll()
	}
	for _, f := range t.open {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) closeFiles() {
	for _, f := range t.open {
		f.Close() // nothing is lost by this: its content is durable, or the commit failed
	}
	t.open = nil
}

// discard removes the temporary files of a transaction that failed.
func (t *tx) discard() {
	for _, s := range t.saved {
		t.b.mail.Remove(s.temp) // those renamed already were removed under the lock
	}
}

func (t *tx) commit(ctx context.Context) (formats.Committed, error) {
	var done formats.Committed
	if t.empty() {
		done.HighestModSeq = t.b.idx.Snapshot().HighestModSeq()
		return done, nil
	}
	slices.SortStableFunc(t.saved, func(a, b saved) int { return cmp.Compare(a.UID, b.UID) })
	was := t.b.idx.Snapshot()
	gone, err := t.record(ctx, &done)
	if errors.Is(err, errCut) || t.b.hurt(was, err) && t.b.alive() {
		if err = t.b.mend(ctx, was); err == nil {
			gone, err = t.record(ctx, &done)
		}
	}
	if disk.Full(err) && t.makeRoom() {
		gone, err = t.record(ctx, &done)
	}
	if err != nil {
		t.takeBack()
		return formats.Committed{}, t.b.fail("commit", 0, nil, err)
	}
	done.HighestModSeq = t.b.idx.Snapshot().HighestModSeq()
	for _, temp := range t.unwanted {
		t.b.mail.Remove(temp) // a leftover is removed by Dovecot after 36 hours
	}
	done.Leftover = t.b.unlink(gone)
	return done, nil
}

// record writes the transaction into the index. gone are messages whose files nobody needs any more.
func (t *tx) record(ctx context.Context, done *formats.Committed) (gone formats.Ranges, err error) {
	done.UIDs, t.named, t.Flags.Modified = nil, nil, nil
	was := t.b.idx.Snapshot()
	err = t.b.idx.Update(ctx, func(ix *index.Tx) error {
		if t.b.mends() && (ix.Gone() || was.After(ix.State())) {
			return errCut
		}
		if err := t.name(ix, &done.UIDs); err != nil {
			return err
		}
		if t.swept {
			ix.SetTempScan(uint32(t.now.Unix()))
		}
		t.Write(ix, len(t.saved) > 0)
		gone = t.expunge(ix)
		return nil
	})
	return gone, err
}
