package maildir

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"slices"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// scanTries is how often a folder is read again because it changed while it was read. After that what was found counts:
// a message may be missing once in a mailbox that never rests.
const scanTries = 5

// scan reads the whole mailbox. It takes no lock: the names are read before the list, so that a file that is there has
// its record unless nobody gave it a UID yet.
func (b *Mailbox) scan(ctx context.Context) (*view, error) { return b.scanAnd(ctx, false) }

// scanAnd keeps the files for scanList if keep is set.
func (b *Mailbox) scanAnd(ctx context.Context, keep bool) (*view, error) {
	var v *view
	for try := 0; ; try++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		before, err := b.stamp()
		if err != nil {
			return nil, err
		}
		v = &view{stamps: before, readAt: before.at, sets: make([][]string, 1), setOf: map[setKey]uint32{}}
		names := newByBase(v)
		if err := (&scanner{Mailbox: b, v: v, names: names, keep: keep}).run(); err != nil {
			return nil, err
		}
		if !b.store.readOnly() { // a source is read once
			v.names = names
		}
		after, err := b.stamp()
		if err != nil {
			return nil, err
		}
		if after.sameFolders(before) || try == scanTries {
			v.noteUnusual()
			return v, nil
		}
	}
}

// scanList reads the mailbox's lists and joins them with files that were found in the same folder by another mailbox.
func (b *Mailbox) scanList(files *foundFiles) (*view, error) {
	s := &scanner{Mailbox: b, v: files.v, names: files.names}
	err := s.joinLists()
	s.v.noteUnusual()
	return s.v, err
}

// scanner joins the files of a mailbox with its list into a view.
type scanner struct {
	*Mailbox
	v      *view
	names  *byBase
	keep   bool              // view.files is wanted
	colons map[string]int    // places of files whose base has a colon, by the whole base; nil until they are needed
	moving map[string]string // file names in tmp/ by base name; nil until they are needed
}

func (b *scanner) run() error {
	// new before cur: a message that is moved meanwhile is seen in one of them or in both, never in none.
	if err := b.scanFolder(b.fresh, inNew); err != nil {
		return err
	}
	if err := b.scanFolder(b.cur, inCur); err != nil {
		return err
	}
	if b.keep {
		b.v.files = b.v.copyFiles(b.names)
	}
	return b.joinLists()
}

// joinLists gives the files their meaning.
func (b *scanner) joinLists() error {
	v := b.v
	if err := b.readKeywordTable(); err != nil {
		return err
	}
	if err := b.readList(); err != nil {
		return err
	}
	b.readIndex()
	if err := b.numberUnlisted(); err != nil {
		return err
	}
	v.sortByUID(b.names)
	return b.readMeanings()
}

// scanFolder adds the names of one folder. A folder that is missing holds nothing.
func (b *scanner) scanFolder(d *disk.Dir, in where) error {
	if d == nil {
		return nil
	}
	return d.Each(func(name []byte, kind fs.FileMode) error {
		if name[0] == '.' {
			return nil // Dovecot, too, skips such names
		}
		if kind == fs.ModeDir || noListName(name) {
			b.v.addStray(d, name, kind)
			return nil
		}
		return b.addFile(name, in, kind != 0)
	})
}

// noListName: names with line ends cannot stand in a list.
func noListName(name []byte) bool { return bytes.ContainsAny(name, "\r\n") || len(name) > 255 }

func (b *scanner) addFile(name []byte, in where, bad bool) error {
	v, names := b.v, b.names
	v.doubts = v.doubts || colons(name)
	e := entry{nameLen: uint8(len(name)), where: in, bad: bad}
	if i, twice := names.get(baseName(name)); twice {
		one, err := b.sameMessage(i, name, in)
		if err != nil {
			return err
		}
		if one {
			e.name = v.text.add(name)
			v.entries[i] = e
			return nil
		}
		e.name = v.text.add(name)
		v.entries = append(v.entries, e)
		v.doubts = true
		if colons(v.name(&v.entries[i])) {
			names.prefer(len(v.entries) - 1)
		}
		return nil
	}
	e.name = v.text.add(name)
	v.entries = append(v.entries, e)
	names.put(len(v.entries) - 1)
	return nil
}

// colons tells whether a base name has a colon: such a file has the base of another one only by mistake.
func colons(name []byte) bool { return bytes.IndexByte(lastBase(name), infoSep) >= 0 }

// sameMessage tells whether a second name with the same base is the same message, seen before and after it was renamed
// or linked, and not another file.
func (b *scanner) sameMessage(i int, name []byte, in where) (bool, error) {
	first, err := b.folderAt(b.v.entries[i].where).Stat(string(b.v.name(&b.v.entries[i])))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	second, err := b.folderAt(in).Stat(string(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // gone: if it was renamed, it comes again under its newer name
	}
	return err == nil && first.Ino == second.Ino && first.Dev == second.Dev, err
}

func (b *Mailbox) folderAt(w where) *disk.Dir {
	switch w {
	case inNew:
		return b.fresh
	case inTmp:
		return b.tmp
	}
	return b.cur
}

// readList joins the files with the list that the store goes by. Where there is no dovecot-uidlist Courier's is read.
func (b *scanner) readList() error {
	v := b.v
	if b.store.opts.Lists.courier() {
		return b.readCourier()
	}
	f, err := b.control.Open(uidlistName)
	if errors.Is(err, fs.ErrNotExist) {
		return b.readCourier()
	}
	if errors.Is(err, disk.ErrNotRegular) && b.notMade() {
		v.damage = err
		return nil
	}
	if err != nil {
		return b.err("read list", 0, uidlistName, err)
	}
	defer f.Close()
	r := newListReader(f)
	if v.header, err = r.header(); errors.Is(err, formats.ErrCorrupt) {
		v.damage = err // Dovecot, too, starts a new list then
		return nil
	}
	if err != nil {
		return b.err("read list", 0, uidlistName, err)
	}
	v.hasList = true
	last := r.offset
	for {
		at := r.offset
		rec, ok, err := r.record()
		if err != nil {
			return b.err("read list", 0, uidlistName, err)
		}
		if !ok {
			break
		}
		b.joinRecord(rec)
		last = at
	}
	v.tail = seenTail{size: r.offset, record: last, last: r.last}
	v.damage = r.damage
	v.uidNext = max(v.header.UIDNext, r.last+1)
	return nil
}

// joinRecord gives a file its UID. Of two records for one name the later one counts (Dovecot 2.3, maildir-uidlist.c).
func (b *scanner) joinRecord(rec listRecord) {
	v, names := b.v, b.names
	i, ok := names.get(rec.Base)
	if !ok {
		i, ok = b.findMoving(rec.Base)
	}
	if !ok {
		v.dead++
		return
	}
	e := &v.entries[i]
	if e.uid != 0 {
		v.dead++
	}
	e.uid, e.listed, e.extLen = rec.UID, true, 0
	if len(rec.Ext) > 0 {
		e.ext, e.extLen = v.text.add(rec.Ext), uint16(len(rec.Ext))
	}
}

// findMoving looks in tmp/ for a message that is in the list already: whoever appended it died before moving it. The
// folder is read once, at the first record without a file.
func (b *scanner) findMoving(base []byte) (int, bool) {
	if b.moving == nil {
		b.moving = map[string]string{}
		if b.tmp != nil {
			b.tmp.Each(func(name []byte, kind fs.FileMode) error { // best effort: it is there or it is not
				if kind == 0 && (b.store.opts.Lists.courier() || bytes.Contains(name, []byte(",W="))) {
					b.moving[string(baseName(name))] = string(name)
				}
				return nil
			})
		}
	}
	name, ok := b.moving[string(base)]
	if !ok {
		return 0, false
	}
	v := b.v
	v.entries = append(v.entries, entry{name: v.text.add([]byte(name)), nameLen: uint8(len(name)), where: inTmp})
	b.names.put(len(v.entries) - 1)
	return len(v.entries) - 1, true
}

// numberUnlisted gives the next UIDs to files without one, in the order in which the server that owns the list would.
func (b *scanner) numberUnlisted() error {
	v := b.v
	v.uidNext = max(v.uidNext, 1)
	var fresh []int
	for i := range v.entries {
		if v.entries[i].uid == 0 {
			fresh = append(fresh, i)
		}
	}
	v.unlisted, v.first = len(fresh), v.uidNext
	order := compareDovecot
	if v.courier {
		order = compareCourier
	}
	slices.SortFunc(fresh, func(i, j int) int {
		if c := order(v.name(&v.entries[i]), v.name(&v.entries[j])); c != 0 {
			return c
		}
		return bytes.Compare(v.name(&v.entries[i]), v.name(&v.entries[j]))
	})
	if len(fresh) > int(math.MaxUint32-v.uidNext) {
		v.damage = formats.Corrupt("no UIDs left above %d", v.uidNext)
		if b.store.readOnly() || v.courier || v.found != nil {
			return b.err("number messages", 0, uidlistName, v.damage)
		}
		fresh = v.startOver(fresh)
	}
	for _, i := range fresh {
		v.entries[i].uid = v.uidNext
		v.uidNext++
	}
	return nil
}

// readIndex looks for an index that belongs to this list. Where the list itself is lost, the index still has the
// UIDVALIDITY and the UIDs that must not be given again (Dovecot 2.3 goes on from there, too). An index that cannot be
// read is none: Check reports it.
func (b *scanner) readIndex() {
	v := b.v
	v.indexSeen = b.indexState()
	if v.index = v.indexSeen; v.index == nil {
		return
	}
	if !v.hasList && !v.courier {
		v.header.UIDValidity = v.index.UIDValidity
		v.uidNext = max(v.uidNext, v.index.NextUID)
	}
	if v.index.UIDValidity != v.header.UIDValidity {
		v.index = nil
		return
	}
	v.uidNext = max(v.uidNext, v.index.NextUID)
}
