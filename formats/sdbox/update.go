package sdbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// name gives the new files their final names: the index is locked, so nobody else hands out these UIDs. The names are
// durable before the records that point to them.
func (t *tx) name(ix *index.Tx, uids *formats.Ranges) (err error) {
	if len(t.saved) == 0 {
		return nil
	}
	var files []named
	var have byte // POP3 data
	var last formats.UID
	defer func() {
		if err == nil {
			return
		}
		for _, n := range files {
			t.unname(n) // no record points to it
		}
	}()
	for _, s := range t.saved {
		uid, kept, err := t.UID(ix, s.UID)
		if err != nil {
			return err
		}
		uids.Add(uid)
		if !kept {
			t.unwanted = append(t.unwanted, s.temp)
			continue
		}
		if err := t.nameOne(ix, &s, uid); err != nil {
			return err
		}
		files = append(files, named{uid, s.temp})
		if s.pop3 != 0 {
			have, last = have|s.pop3, uid
		}
	}
	tree.AnnouncePOP3(ix, extDbox, have, last)
	if err := t.b.mail.Sync(); err != nil {
		return err
	}
	t.named = files
	return nil
}

// named is a message whose file has its final name, and the one that it had before.
type named struct {
	uid  formats.UID
	temp string
}

// unname takes a final name back. It is best effort: the next message with this UID finds the file.
func (t *tx) unname(n named) {
	if t.together {
		t.b.mail.Rename(fileName(n.uid), t.b.mail, n.temp)
		return
	}
	t.b.mail.Remove(fileName(n.uid))
}

func (t *tx) nameOne(ix *index.Tx, s *saved, uid formats.UID) error {
	if err := t.List(ix, uid, &s.Message); err != nil {
		return err
	}
	return t.b.rename(s.temp, uid)
}

// rename gives a message its name. A file that has the name already has no record: a run that died after renaming left
// it. The same message is replaced; another one is kept aside, where check finds it.
func (b *Mailbox) rename(temp string, uid formats.UID) error {
	name := fileName(uid)
	if b.alt != nil {
		if _, err := b.alt.Stat(name); err == nil {
			if err := b.setAside(b.alt, temp, name); err != nil {
				return err
			}
		}
	}
	err := b.mail.RenameNew(temp, b.mail, name)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := b.setAside(b.mail, temp, name); err != nil {
		return err
	}
	return b.mail.RenameNew(temp, b.mail, name)
}

// orphanInfix stands between the name and the time in the new name of a message file that had no record when its UID was
// given to another message.
const orphanInfix = ".orphan."

func (b *Mailbox) setAside(dir *disk.Dir, temp, name string) error {
	same, err := b.sameMessage(temp, dir, name)
	if err != nil {
		return err
	}
	if same {
		return dir.Remove(name)
	}
	return dir.RenameNew(name, dir, fmt.Sprintf("%s%s%d", name, orphanInfix, time.Now().UnixNano()))
}

// sameMessage compares everything but the file header, which holds the time of writing.
func (b *Mailbox) sameMessage(temp string, dir *disk.Dir, name string) (bool, error) {
	f, err := b.mail.Open(temp)
	if err != nil {
		return false, err
	}
	defer f.Close()
	g, err := dir.Open(name)
	if errors.Is(err, disk.ErrNotRegular) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer g.Close()
	one, err := contentOf(f)
	if err != nil {
		return false, err
	}
	two, err := contentOf(g)
	if err != nil || one.Size() != two.Size() {
		return false, nil // unreadable: keep it for somebody to look at
	}
	return equalSections(one, two)
}

// expunge takes the records away; the files follow when that is durable.
func (t *tx) expunge(ix *index.Tx) (gone formats.Ranges) {
	st := ix.State()
	guid := func(int) formats.GUID { return formats.GUID{} }
	if t.Expunged.Len() <= fewFiles {
		guid = func(i int) formats.GUID { return t.b.messageGUID(st.UID(i)) }
	}
	t.WriteExpunges(ix, guid, func(i int) { gone.Add(st.UID(i)) })
	return gone
}

// messageGUID is zero when the file is missing or damaged: no reason to keep its record. It is in the file alone, so that
// it is not looked up for many: Dovecot, too, notes it only if its cache has it (index-mail.c index_mail_expunge).
func (b *Mailbox) messageGUID(uid formats.UID) formats.GUID {
	m, err := b.open(uid)
	if m.f != nil {
		m.f.Close()
	}
	if err != nil {
		return formats.GUID{}
	}
	return tree.GUID128(m.GUID)
}

// unlink removes the files of expunged messages, with their attachments.
func (b *Mailbox) unlink(uids formats.Ranges) error {
	for uid := range uids.All() {
		b.unlinkAttachments(uid)
		for _, d := range []*disk.Dir{b.mail, b.alt} {
			if d == nil {
				continue
			}
			if err := d.Remove(fileName(uid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return b.fail("remove message", uid, nil, err)
			}
		}
	}
	return nil
}

// unlinkAttachments removes what only this message refers to. A file that is left costs space and nothing else.
func (b *Mailbox) unlinkAttachments(uid formats.UID) {
	if b.store.Attachments == nil {
		return
	}
	m, err := b.open(uid)
	if m.f != nil {
		defer m.f.Close()
	}
	if err != nil || m.Attachments == "" {
		return
	}
	parts, err := dbox.ParseAttachments(m.Attachments)
	if err != nil {
		return
	}
	for _, a := range parts {
		b.store.Attachments.Remove(attachmentName(a.Path, b.guid(), uid))
	}
}
