package maildir

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// catchUp brings the view up to date by reading only folders and files that changed, or could have changed since without
// a sign; where that is not enough it scans. mu is held.
func (b *Mailbox) catchUp(ctx context.Context) (*view, error) {
	b.recallOnce()
	for try := 0; ; try++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		now, err := b.stamp()
		if err != nil {
			return nil, err
		}
		v := b.glance(now)
		if v == nil {
			break
		}
		b.seen = v
		after, err := b.stamp()
		if err != nil {
			return nil, err
		}
		if after.sameFolders(now) || try == scanTries {
			return v, nil
		}
	}
	v, err := b.scan(ctx)
	if err != nil {
		return nil, err
	}
	b.seen = v
	return v, nil
}

// recallOnce begins with what is in the file of names.
func (b *Mailbox) recallOnce() {
	if b.seen == nil && !b.tried {
		b.tried, b.seen = true, b.recall()
	}
}

// glance gives the view of what is there now, nil when only a scan can.
func (b *Mailbox) glance(now stamps) *view {
	if b.seen == nil || !b.seen.lookable() {
		return nil
	}
	l := looker{Mailbox: b, old: b.seen, now: now}
	v := l.run()
	if v == nil {
		b.seen.forgetNames() // they may have been changed on the way
	}
	return v
}

// known tells whether the names are, or can be, in memory.
func (v *view) known() bool {
	if !v.recalled {
		return v.names != nil
	}
	return v.text.whole()
}

// lookable tells whether there is nothing unusual in the mailbox, which only a scan understands.
func (v *view) lookable() bool {
	return v.known() && v.hasList && v.soundList() && !v.courier && v.found == nil && !v.doubts && v.nStrays == 0 &&
		!v.hasMoving && !v.hasBad && v.looked <= len(v.entries)+1000
}

// looker makes a view out of the one before. Whenever it finds something that it does not understand it gives up.
type looker struct {
	*Mailbox
	old *view
	now stamps

	readNew, readCur bool
	marked           []uint64 // bits of places in old.entries whose file was found
	own              bool     // the changes are ours: a file that is not marked is gone, wherever it was
	renamed          []foundFile
	added            []foundFile
	places           map[string]int // of added, by base name
	records          []foundRecord
	tail             seenTail
}

// foundFile is a file with the place that its message has, if it has one.
type foundFile struct {
	place int
	name  string
	in    where
}

// foundRecord is a new record of the list.
type foundRecord struct {
	uid  formats.UID
	ext  string
	base string
}

// run gives the new view, the old one when nothing changed, or nil.
func (l *looker) run() *view {
	was := &l.old.stamps
	if l.now.keywords != was.keywords || !was.keywords.Settled(was.at) {
		if table, err := l.loadKeywords(); err != nil || table != l.old.keywords {
			return nil
		}
	}
	l.readNew = l.now.fresh != was.fresh || !was.fresh.Settled(was.at)
	l.readCur = l.old.mustRead(l.now)
	if l.readNew || l.readCur {
		l.old.nameAll()
		l.marked = make([]uint64, (len(l.old.entries)+63)/64)
		l.places = map[string]int{}
	}
	// new before cur and names before the list, as in a scan.
	if l.readNew && !l.readFolder(l.fresh, inNew) {
		return nil
	}
	l.readCur = l.readCur || l.readNew && l.leftNew()
	if l.readCur && !l.readFolder(l.cur, inCur) {
		return nil
	}
	l.tail = l.old.tail
	if (l.now.list != was.list || !was.list.Settled(was.at) || len(l.added) > 0) && !l.readRecords() {
		return nil
	}
	idx := l.indexState()
	if !l.old.goesWith(idx) || l.cameBack() {
		return nil
	}
	if gone := l.gone(); gone > 0 || len(l.renamed)+len(l.added)+len(l.records) > 0 || idx != l.old.indexSeen {
		return l.build(idx, gone)
	}
	l.old.stamps = l.now
	if l.readCur {
		l.old.unsure, l.old.readAt = false, l.now.at
	}
	return l.old
}

// leftNew tells whether messages have left new/. They may be in cur/ now, whatever its stamps say: those of two changes
// within one tick of the kernel's clock are the same.
func (l *looker) leftNew() bool {
	for i := range l.old.entries {
		if l.old.entries[i].where == inNew && l.marked[i/64]>>(i%64)&1 == 0 {
			return true
		}
	}
	return false
}

// cameBack tells whether a file may be of a message that was not found for a moment: its record is none of the new ones,
// and only a scan finds it. What is delivered comes to new/, so there is seldom such a file.
func (l *looker) cameBack() bool {
	if l.old.dead == 0 || !slices.ContainsFunc(l.added, func(f foundFile) bool { return f.in == inCur }) {
		return false
	}
	listed := map[string]bool{}
	for _, r := range l.records {
		listed[r.base] = true
	}
	return slices.ContainsFunc(l.added, func(f foundFile) bool { return f.in == inCur && !listed[string(baseName([]byte(f.name)))] })
}

// goesWith tells whether an index has the place in the mailbox that the one before had.
func (v *view) goesWith(idx *index.State) bool {
	return (idx == nil) == (v.indexSeen == nil) && (idx == nil || (idx.UIDValidity == v.header.UIDValidity) == (v.index != nil))
}

// trust is how long changes of our own stand for all there were in cur/; Dovecot trusts its own as long (2.3,
// maildir-sync.c, MAILDIR_SYNC_SECS).
const trust = time.Second

// mustRead tells whether cur/ can hold other files than the view knows. After changes of ours its stamps tell only of what
// came behind them.
func (v *view) mustRead(now stamps) bool {
	switch {
	case now.cur != v.stamps.cur:
		return true
	case v.unsure:
		return now.at.Sub(v.readAt) >= trust
	}
	return !v.stamps.cur.Settled(v.stamps.at)
}

// errUnusual ends the reading of a folder.
var errUnusual = errors.New("only a scan can tell")

// readFolder compares the names in a folder with those that are known.
func (l *looker) readFolder(d *disk.Dir, in where) bool {
	if d == nil {
		return true
	}
	return d.Each(func(name []byte, kind fs.FileMode) error {
		if name[0] == '.' {
			return nil
		}
		if kind != 0 || noListName(name) || colons(name) {
			return errUnusual
		}
		place, known := l.old.names.get(baseName(name))
		if !known {
			base := string(baseName(name))
			if _, twice := l.places[base]; twice {
				return errUnusual
			}
			l.places[base] = len(l.added)
			l.added = append(l.added, foundFile{-1, string(name), in})
			return nil
		}
		word, bit := place/64, uint64(1)<<(place%64)
		if l.marked[word]&bit != 0 {
			return errUnusual // two names for one message: it is being moved
		}
		l.marked[word] |= bit
		if e := &l.old.entries[place]; e.where != in || string(l.old.name(e)) != string(name) {
			l.renamed = append(l.renamed, foundFile{place, string(name), in})
		}
		return nil
	}) == nil
}

// isGone tells whether the message at a place has no file any more.
func (l *looker) isGone(place int) bool {
	if l.marked == nil || l.marked[place/64]>>(place%64)&1 != 0 {
		return false
	}
	if l.old.entries[place].where == inNew {
		return l.readNew || l.own
	}
	return l.readCur || l.own
}

func (l *looker) gone() (n int) {
	if l.marked == nil {
		return 0
	}
	for i := range l.old.entries {
		if l.isGone(i) {
			n++
		}
	}
	return n
}

// readRecords reads what was appended to the list.
func (l *looker) readRecords() bool {
	f, err := l.control.Open(uidlistName)
	if err != nil {
		return false
	}
	defer f.Close()
	st, err := f.Stat()
	was := &l.old.stamps.list
	if err != nil || st.Dev != was.Dev || st.Ino != was.Ino || st.Size < l.tail.size {
		return false
	}
	if st.Size == l.tail.size && st.ID == *was {
		return true
	}
	if h, err := newListReader(f.Section(0, maxLine)).header(); err != nil || h != l.old.header {
		return false
	}
	r := newListReader(f.Section(l.tail.record, st.Size-l.tail.record))
	r.version = l.old.header.Version
	if l.tail.last != 0 { // the last record that is known must still be there: an inode may be used again
		if rec, ok, err := r.record(); err != nil || !ok || rec.UID != l.tail.last || l.tail.record+r.offset != l.tail.size {
			return false
		}
	}
	begin := l.tail.record
	for {
		at := begin + r.offset
		rec, ok, err := r.record()
		if err != nil || r.damage != nil {
			return false
		}
		if !ok {
			break
		}
		l.records = append(l.records, foundRecord{rec.UID, string(rec.Ext), string(rec.Base)})
		l.tail.record, l.tail.last = at, rec.UID
	}
	l.tail.size = begin + r.offset
	return true
}
