package sdbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
	"dovetail/formats/layout"
)

// A store with Options.Mended mends its mailboxes by itself, as Dovecot does (2.3, sdbox-sync-rebuild.c), with the lock of
// the index held:
//
//   - An index that is lost, cut or damaged is made anew. Messages are those that have a file; flags, keywords,
//     UIDVALIDITY and the rest are from the newest of: what an open handle has seen before the damage, what can be read
//     of the index, its backup with the log behind it. Where none has a UIDVALIDITY it is a new one.
//   - The record of a message whose file is gone is expunged when somebody wants to read it.
//   - A file of which nothing can be read is renamed to u.<uid>.broken, and its record is expunged.

// lostChanges is more than a log that was lost can have counted: it is rotated at a megabyte. What clients have seen is
// below the modseqs of a new index, so that those with QRESYNC ask for everything anew.
const lostChanges = 100_000

// errCut: the index has less than it had.
var errCut = formats.Corrupt("index has less than it had")

func (b *Mailbox) mends() bool { return b.store.Options.Mended != nil && !b.store.ReadOnly() }

// hurt tells whether what was read of the index, after it had the state was, calls for making it anew.
func (b *Mailbox) hurt(was *index.State, err error) bool {
	if !b.mends() {
		return false
	}
	if err != nil {
		return errors.Is(err, formats.ErrCorrupt) || errors.Is(err, fs.ErrNotExist)
	}
	st := b.idx.Snapshot()
	return !st.Deleted && (b.idx.Gone() || was.After(st))
}

// alive is false when the folder was deleted.
func (b *Mailbox) alive() bool {
	dir, err := b.dir.StatSelf()
	return err == nil && dir.Links > 0
}

// mend makes the index anew, unless somebody else has done so. known is what a handle has seen of it before.
func (b *Mailbox) mend(ctx context.Context, known *index.State) error {
	var said string
	done, err := index.Rebuild(ctx, b.dir, index.Prefix, known, func(r index.Remains) (index.New, error) {
		n, kept, err := b.remake(ctx, r)
		said = fmt.Sprintf("sdbox %s: index made anew: %v; %s", b.mail.Path(), r.Damage, kept)
		return n, err
	})
	if err != nil {
		return b.fail("rebuild index", 0, nil, err)
	}
	if done {
		b.store.told(said)
	}
	return nil
}

func (s *Store) told(text string) {
	if s.Options.Mended != nil {
		s.Options.Mended(text)
	}
}

// mendIndex is for an index that cannot be opened, or should not be used as it is.
func (b *Mailbox) mendIndex(ctx context.Context) (err error) {
	if err := b.makeDir(ctx); err != nil {
		return err
	}
	if err := b.mend(ctx, nil); err != nil {
		return err
	}
	if b.idx != nil {
		b.idx.Close()
	}
	if b.idx, err = index.Open(b.dir, index.Prefix); err == nil {
		b.idx.Strict = b.mends()
	}
	return err
}

// makeDir makes the folder of the index where it has one of its own.
func (b *Mailbox) makeDir(ctx context.Context) error {
	if b.dir != nil {
		return nil
	}
	p, err := b.store.Find(ctx, b.name)
	if err != nil {
		return err
	}
	b.dir, err = b.store.Index.MakeDir(p.Index, 0o700)
	return err
}

// remake describes the new index, and says what it has of the old one.
func (b *Mailbox) remake(ctx context.Context, r index.Remains) (n index.New, kept string, err error) {
	files, err := b.files()
	if err != nil {
		return n, "", err
	}
	best, backup := r.State, r.Backup
	if best != nil && backup != nil && best.UIDValidity != backup.UIDValidity {
		backup = nil // of a mailbox that had the name before
	}
	if best == nil || best.UIDValidity == 0 && best.Len() == 0 {
		best, backup = backup, nil
	}
	like := formats.Status{}
	if best != nil {
		like = tree.Status(best, extDbox)
	}
	validity := "kept"
	if like.UIDValidity == 0 {
		validity = "new"
		if like.UIDValidity, err = layout.NextUIDValidity(ctx, b.store.Control); err != nil {
			return n, "", err
		}
	}
	c := collected{b: b, files: files, ours: best, others: backup, highest: like.HighestModSeq + lostChanges}
	if backup != nil {
		like.UIDNext, like.FirstRecent = max(like.UIDNext, backup.NextUID), max(like.FirstRecent, backup.FirstRecent)
		c.highest = max(c.highest, backup.HighestModSeq()+lostChanges)
	}
	if best != nil {
		like.HighestModSeq = c.highest
	}
	n = tree.NewIndex(extDbox, rebuilds(best)+1, b.name, like)
	n.Messages = c.messages()
	b.announceIn(&n, best, c.found)
	return n, fmt.Sprintf("%d messages have their flags, %d were found that it does not list, %d that it lists have no file; UIDVALIDITY %d is %s",
		len(n.Messages)-len(c.found), len(c.found), c.lost, like.UIDValidity, validity), nil
}

// rebuilds is how often the index was made anew, by which Dovecot's sessions recognise that it was.
func rebuilds(st *index.State) uint32 {
	h := tree.Header(st, extDbox)
	if h == nil {
		return 0
	}
	return binary.LittleEndian.Uint32(h)
}

// collected are the messages of a new index.
type collected struct {
	b            *Mailbox
	files        map[formats.UID]formats.Flags
	ours, others *index.State // what is known of them, best first; may be nil
	highest      formats.ModSeq

	found []formats.UID // that ours does not list
	lost  int           // that it lists and have no file
}

// messages lists what has a file. A message that was moved to the alt root stays listed when that has no folder for it
// now: its disk may not be there.
func (c *collected) messages() []index.Message {
	uids := make([]formats.UID, 0, len(c.files))
	for uid := range c.files {
		uids = append(uids, uid)
	}
	if c.ours != nil {
		for i := range c.ours.Len() {
			uid := c.ours.UID(i)
			if _, there := c.files[uid]; there {
				continue
			}
			if c.b.alt == nil && c.ours.Flags(i)&index.Backend != 0 {
				uids, c.files[uid] = append(uids, uid), index.Backend
				continue
			}
			c.lost++
		}
	}
	slices.Sort(uids)
	list := make([]index.Message, 0, len(uids))
	for _, uid := range uids {
		list = append(list, c.message(uid))
	}
	return list
}

func (c *collected) message(uid formats.UID) index.Message {
	m, known := recordOf(c.ours, uid)
	if !known {
		c.found = append(c.found, uid)
		m, _ = recordOf(c.others, uid)
	}
	m.ModSeq = 0
	if c.ours != nil && c.ours.KeepsModSeqs() {
		m.ModSeq = c.highest
	}
	m.Flags = m.Flags&formats.SystemFlags | c.files[uid]
	return m
}

func recordOf(st *index.State, uid formats.UID) (index.Message, bool) {
	if st != nil {
		if i, ok := st.Find(uid); ok {
			return st.Message(i), true
		}
	}
	return index.Message{UID: uid}, false
}

// announceIn tells of POP3 data in messages. Those that the index had have theirs announced there.
func (b *Mailbox) announceIn(n *index.New, had *index.State, found []formats.UID) {
	var have, more byte
	if h := tree.Header(had, extDbox); h != nil {
		have = h[tree.FlagsOffset]
	} else {
		found = found[:0:0]
		for _, m := range n.Messages {
			found = append(found, m.UID)
		}
	}
	for _, uid := range found {
		more |= b.pop3Bits(uid)
	}
	n.Extensions[0].Header[tree.FlagsOffset] = have | more
	i := slices.IndexFunc(n.Extensions, func(e index.Extension) bool { return e.Name == tree.POP3Ext })
	if i < 0 {
		return
	}
	if had != nil && more == 0 {
		if e := had.Ext(tree.POP3Ext); e != nil {
			n.Extensions[i].Header = slices.Clone(e.Header)
			return
		}
	}
	if have|more != 0 {
		n.Extensions = slices.Delete(n.Extensions, i, i+1) // without it every message is asked for its UIDL
	}
}

// files gives the messages that have a file, with the flag that tells of its root.
func (b *Mailbox) files() (map[formats.UID]formats.Flags, error) {
	files := map[formats.UID]formats.Flags{}
	for _, d := range []*disk.Dir{b.mail, b.alt} {
		if d == nil {
			continue
		}
		err := d.Each(func(name []byte, kind fs.FileMode) error {
			uid, ok := parseFileName(string(name))
			if _, twice := files[uid]; ok && kind == 0 && !twice {
				files[uid] = b.altFlag(d)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}
