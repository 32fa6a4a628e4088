package maildir

import (
	"context"
	"slices"

	"dovetail/formats"
)

// View is what the names of files, the list and the index tell.
func (b *Mailbox) View(ctx context.Context) (formats.View, error) {
	v, err := b.outline(ctx)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !v.counts {
		v.status, v.counts = v.count(), true
	}
	return v, nil
}

// FileName is the base name: what is before ":".
func (b *Mailbox) FileName(ctx context.Context, uid formats.UID) (string, error) {
	v, err := b.state(ctx)
	if err != nil {
		return "", err
	}
	e, ok := v.find(uid)
	if !ok {
		return "", b.err("look up", uid, "", formats.ErrNoMessage)
	}
	return string(baseName(v.name(e))), nil
}

// StillNamed looks where the name leads.
func (b *Mailbox) StillNamed(context.Context) bool {
	d, err := b.store.openBox(b.folder)
	if err != nil {
		return false
	}
	defer d.Close()
	return d.Same(b.box)
}

// Status is the mailbox's, once View has given v.
func (v *view) Status() formats.Status { return v.status }

// Len is the number of messages.
func (v *view) Len() int { return len(v.entries) }

// Find gives the place of a message.
func (v *view) Find(uid formats.UID) (int, bool) { return v.findPlace(uid) }

// Same compares with an older view. Views that do not come from the same scan number sets of keywords each in its way.
func (v *view) Same(i int, older formats.View, j, n int) bool {
	o, ok := older.(*view)
	if !ok || len(o.sets) > len(v.sets) || &o.sets[0] != &v.sets[0] && !slices.EqualFunc(o.sets, v.sets[:len(o.sets)], slices.Equal) {
		return false
	}
	for k := range n {
		a, b := &v.entries[i+k], &o.entries[j+k]
		if a.uid != b.uid || a.flags != b.flags || a.set != b.set {
			return false
		}
	}
	return n == 0 || v.sameModSeqs(o, v.entries[i].uid, v.entries[i+n-1].uid)
}

// sameModSeqs compares the modseqs of messages with UIDs from first to last, which are the same in both.
func (v *view) sameModSeqs(o *view, first, last formats.UID) bool {
	if v.index == o.index {
		return true
	}
	if v.index == nil || o.index == nil || v.index.KeepsModSeqs() != o.index.KeepsModSeqs() {
		return false
	}
	if !v.index.KeepsModSeqs() {
		return true
	}
	i, _ := v.index.Find(first)
	j, _ := o.index.Find(first)
	iEnd, _ := v.index.Find(last + 1)
	jEnd, _ := o.index.Find(last + 1)
	return iEnd-i == jEnd-j && v.index.Same(i, o.index, j, iEnd-i)
}

// Records describes messages.
func (v *view) Records(records []formats.Record, i int, number func(keywords []string) uint32) {
	last, n := uint32(0), uint32(0)
	for k := range records {
		e := &v.entries[i+k]
		if e.set != last {
			if last, n = e.set, 0; len(v.sets[last]) > 0 {
				n = number(v.sets[last])
			}
		}
		size := int64(-1)
		if v.sizes != nil {
			size = int64(v.sizes[i+k]) - 1
		} else if n, ok := sizeField(v.name(e), 'W'); ok {
			size = n
		}
		records[k] = formats.Record{UID: e.uid, Keywords: n, Flags: e.flags & formats.SystemFlags, VirtualSize: size}
	}
	if v.index == nil || !v.index.KeepsModSeqs() || len(records) == 0 {
		return
	}
	at, _ := v.index.Find(records[0].UID)
	for k := range records {
		for at < v.index.Len() && v.index.UID(at) < records[k].UID {
			at++
		}
		if at < v.index.Len() && v.index.UID(at) == records[k].UID {
			records[k].ModSeq = v.index.ModSeq(at)
		}
	}
}

var (
	_ formats.Viewer   = (*Mailbox)(nil)
	_ formats.View     = (*view)(nil)
	_ formats.Streamer = (*Mailbox)(nil)

	_ formats.Renamable = (*Mailbox)(nil)
)

// Keywords are those of the index, as Dovecot lists them, then those that the letters of file names stand for.
func (b *Mailbox) Keywords() (all []string) {
	b.mu.Lock()
	v := b.seen
	b.mu.Unlock()
	if v == nil {
		return nil
	}
	if v.index != nil {
		all = slices.Clone(v.index.Keywords)
	}
	for _, name := range v.keywords {
		if name != "" && !formats.HasKeyword(all, name) {
			all = append(all, name)
		}
	}
	return all
}

var _ formats.KeywordLister = (*Mailbox)(nil)
