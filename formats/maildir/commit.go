package maildir

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// Update runs fn and commits.
func (b *Mailbox) Update(ctx context.Context, fn func(formats.Tx) error) (formats.Committed, error) {
	return b.Stream(ctx, func(tx formats.StreamTx) error { return fn(tx) })
}

// Stream is Update: nothing is locked before the commit.
func (b *Mailbox) Stream(ctx context.Context, fn func(formats.StreamTx) error) (formats.Committed, error) {
	if b.store.readOnly() {
		return formats.Committed{}, b.err("change", 0, "", formats.ErrReadOnly)
	}
	table, err := b.loadKeywords()
	if err != nil {
		return formats.Committed{}, err
	}
	t := &tx{b: b, table: table}
	if err := fn(t); err != nil {
		t.discard()
		return formats.Committed{}, err
	}
	c, err := b.commit(ctx, t)
	if err != nil {
		t.discard()
	}
	return c, err
}

func (b *Mailbox) commit(ctx context.Context, t *tx) (c formats.Committed, err error) {
	if err := t.makeDurable(); err != nil {
		return c, b.err("make durable", 0, "", err)
	}
	b.change.Lock()
	defer b.change.Unlock()
	lock, err := b.lockList(ctx)
	if err != nil {
		return c, err
	}
	defer func() {
		b.recovered = b.recovered && err == nil
		if uerr := lock.Unlock(); uerr != nil { // what is done is done
			c.Leftover = errors.Join(c.Leftover, b.err("unlock", 0, uidlistName+".lock", uerr))
		}
	}()
	if err := b.recover(ctx, lock); err != nil {
		return c, err
	}
	if b.store.opts.Lists.courier() {
		return t.commitCourier(ctx, lock)
	}
	if err := b.settleIndex(ctx, lock); cannotWrite(err) && !t.needsIndex() {
		t.withoutIndex, t.leftover = true, err
	} else if err != nil {
		return c, err
	}
	if err := b.readTail(); err != nil {
		return c, err
	}
	t.validity = b.list.header.UIDValidity
	t.own.base = b.inStep()
	done := false
	c.HighestModSeq, err = t.commitIndexed(ctx, lock, func(itx *index.Tx) (err error) {
		c.UIDs, err = t.commitFiles(ctx, lock, itx)
		done = err == nil
		return err
	})
	switch {
	case err == nil:
		b.takeOwn(t)
	case done && !t.needsIndex(): // the names of the files say it all: the index is told by whoever looks next
		t.leftover, err = errors.Join(t.leftover, err), nil
	case t.listed:
		t.withdraw()
	}
	c.Modified, c.Recent, c.Leftover = t.modified, t.taken, t.leftover
	return c, err
}

// commitFiles does everything but what only the index tells; itx is nil where there is none.
func (t *tx) commitFiles(ctx context.Context, lock *held, itx *index.Tx) (formats.Ranges, error) {
	b := t.b
	t.leaveChanged(itx)
	if err := t.commitKeywords(); err != nil {
		return nil, err
	}
	uids, err := t.commitAppends(ctx, lock, itx)
	if err != nil {
		return nil, err
	}
	if t.claim {
		if err := t.claimRecent(ctx, itx); err != nil {
			return nil, err
		}
	}
	if err := t.commitChanges(ctx, lock); err != nil {
		return nil, err
	}
	if err := t.commitUIDLs(ctx); err != nil {
		return nil, err
	}
	if err := b.readTail(); err != nil { // the changes may have rewritten the list
		return nil, err
	}
	if err := t.commitRaise(ctx); err != nil {
		return nil, err
	}
	return uids, b.readTail()
}

// makeDurable makes the messages in tmp/ survive: their bytes, dates and names.
func (t *tx) makeDurable() error {
	if t.written > fewFiles {
		return t.b.tmp.SyncAll()
	}
	defer t.closeFiles()
	for _, f := range t.open {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if len(t.appends) > 0 {
		return t.b.tmp.Sync()
	}
	return nil
}

// recover finishes, once for each handle, what a process that died began, and sees to a sound list. The lock is held.
func (b *Mailbox) recover(ctx context.Context, lock *held) error {
	if b.recovered {
		if ok, err := disk.Exists(b.statList()); ok || err != nil {
			return err
		}
	}
	if err := b.finish(ctx, lock); err != nil {
		return err
	}
	if err := b.sweep(); err != nil {
		return b.err("remove leftovers", 0, "tmp", err)
	}
	b.recovered = true
	return nil
}

func (b *Mailbox) statList() error {
	name := uidlistName
	if b.store.opts.Lists.courier() {
		name = courierUIDDBName
	}
	_, err := b.control.Stat(name)
	return err
}

// completeList gives every file its UID for good, and tells the index of what it lacks.
func (b *Mailbox) completeList(ctx context.Context) error {
	b.change.Lock()
	defer b.change.Unlock()
	lock, err := b.lockList(ctx)
	if err != nil {
		return err
	}
	defer lock.Unlock() // a lock that stays is everybody's: whoever wants it next complains
	b.recovered = false
	if err := b.recover(ctx, lock); err != nil {
		return err
	}
	return b.settleIndex(ctx, lock)
}

// finish moves listed messages out of tmp/ and lists unlisted ones. The lock is held.
func (b *Mailbox) finish(ctx context.Context, lock *held) error {
	if b.store.opts.Lists.courier() {
		return b.finishCourier(ctx, lock)
	}
	b.mu.Lock()
	v, err := b.catchUp(ctx)
	if err == nil && v.hasMoving {
		v, err = b.scan(ctx) // one that nobody else has: it is changed
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	if err := b.moveListed(v, lock); err != nil {
		return err
	}
	if v.complete() {
		return nil
	}
	if !v.hasList {
		if err := b.adoptKeywords(ctx, v, lock); err != nil {
			return err
		}
	}
	if !v.soundList() {
		h, err := b.newHeader(ctx, v)
		if err != nil {
			return err
		}
		return b.writeList(v, h)
	}
	if v.unlisted == 0 {
		return nil
	}
	if twice, err := b.recordedOnce(v); err != nil || twice {
		if err != nil {
			return err
		}
		return b.writeList(v, v.header)
	}
	if err := b.readTail(); err != nil {
		return err
	}
	var records []byte
	last := b.list.last
	for i := range v.entries {
		if e := &v.entries[i]; !e.listed {
			if e.uid <= last {
				return b.writeList(v, v.header) // the index knew of higher UIDs: cannot be appended in order
			}
			records = listRecord{UID: e.uid, Base: baseName(v.name(e))}.append(records)
			last = e.uid
		}
	}
	_, err = b.appendRecords(records, last)
	return err
}

// moveListed finishes appends whose process died between listing its messages and moving them.
func (b *Mailbox) moveListed(v *view, lock *held) error {
	if !v.hasMoving {
		return nil
	}
	moved := false
	for i := range v.entries {
		e := &v.entries[i]
		if e.where != inTmp {
			continue
		}
		name := string(v.name(e))
		into := b.cur
		if e.where = inCur; bytes.IndexByte(v.name(e), infoSep) < 0 {
			into, e.where = b.fresh, inNew
		}
		if err := b.tmp.Rename(name, into, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return b.err("move", e.uid, "", err)
		}
		moved = true
		if err := lock.alive(); err != nil {
			return b.err("lock", 0, "", err)
		}
	}
	v.hasMoving = false
	if !moved {
		return nil
	}
	return errors.Join(b.syncDir(b.cur), b.syncDir(b.fresh))
}

func (b *Mailbox) syncDir(d *disk.Dir) error {
	if err := d.Sync(); err != nil {
		return b.err("make durable", 0, "", err)
	}
	return nil
}

// commitKeywords gives letters to new keywords of appends and changes. Letters that are taken already never change, so
// most names in tmp/ are right.
func (t *tx) commitKeywords() error {
	table, err := t.b.loadKeywords()
	if err != nil {
		return err
	}
	before := table
	for i := range t.appends {
		table.letters(t.appends[i].keywords)
	}
	for _, c := range t.changes {
		if c.change.Op != formats.RemoveFlags {
			table.letters(c.change.Keywords)
		}
	}
	t.table = table
	if table == before {
		return nil
	}
	return t.b.writeKeywords(&table)
}

// commitAppends lists the messages and moves them to cur/.
func (t *tx) commitAppends(ctx context.Context, lock *held, itx *index.Tx) (formats.Ranges, error) {
	if len(t.appends) == 0 {
		return nil, nil
	}
	least := t.b.list.next()
	if itx != nil {
		least = max(least, itx.NextUID())
	}
	uids, err := t.assign(least)
	if err == nil && itx == nil {
		err = t.keepRecent(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := t.rename(); err != nil {
		return nil, err
	}
	var records []byte
	for i := range t.appends {
		p := &t.appends[i]
		records = listRecord{UID: p.uid, Ext: []byte(p.ext), Base: baseName([]byte(p.name))}.append(records)
	}
	undone, err := t.b.appendRecords(records, t.appends[len(t.appends)-1].uid)
	t.listed = !undone
	if err != nil {
		return nil, err
	}
	return uids, t.move(lock)
}

// assign gives UIDs from next on to messages without one and checks the others.
func (t *tx) assign(next formats.UID) (formats.Ranges, error) {
	if t.sorted {
		slices.SortStableFunc(t.appends, func(a, b pending) int { return int(int64(a.uid) - int64(b.uid)) })
	}
	t.lastBefore = next - 1
	var uids formats.Ranges
	for i := range t.appends {
		p := &t.appends[i]
		if p.uid == 0 {
			p.uid = next
		}
		if p.uid < next || p.uid+1 == 0 {
			return nil, t.b.err("append", p.uid, "", formats.ErrUIDTaken)
		}
		next = p.uid + 1
		uids.Add(p.uid)
	}
	return uids, nil
}

// rename corrects names in tmp/ whose keyword letters turned out others.
func (t *tx) rename() error {
	renamed := false
	for i := range t.appends {
		p := &t.appends[i]
		if p.recent || len(p.keywords) == 0 {
			continue
		}
		name := string(withInfo(nil, []byte(p.name), p.flags, t.table.letters(p.keywords)))
		if name == p.name {
			continue
		}
		if err := t.b.tmp.Rename(p.name, t.b.tmp, name); err != nil {
			return t.b.err("append", p.uid, "", err)
		}
		p.name, renamed = name, true
	}
	if renamed {
		return t.b.syncDir(t.b.tmp)
	}
	return nil
}
