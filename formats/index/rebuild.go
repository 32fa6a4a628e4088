package index

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index/translog"
)

// Broken is added to the names of damaged files that Rebuild sets aside.
const Broken = ".broken"

// repaired is the flag in the header of an index that Dovecot has checked after damage and not yet rebuilt from the
// mailbox (MAIL_INDEX_HDR_FLAG_FSCKD): until that is done it may lack messages.
const repaired = 4

// Remains is what is left of an index that is lost or damaged.
type Remains struct {
	// State is the best that is known, nil when that is nothing.
	State *State

	// Backup is the snapshot before the last one (dovecot.index.backup), which only dbox keeps; nil when there is none.
	Backup *State

	// Damage says what is the matter; never nil.
	Damage error
}

// Rebuild makes an index anew in the place of one that is lost or damaged, under the lock that all its writers take:
// describe is called with the lock held and says what the new index is to hold. When the index turns out to be sound by
// then, because another program has done the same, nothing is done.
//
// known is a state that was seen before the damage, nil if there is none. The files that were there keep their content
// under names with Broken added. Death in between leaves the old files, or the new snapshot beside the old log, which is
// rebuilt once more and has everything.
func Rebuild(ctx context.Context, dir *disk.Dir, prefix string, known *State, describe func(Remains) (New, error)) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	l, err := lockLost(ctx, dir, prefix)
	if err != nil {
		return false, err
	}
	defer l.unlock()
	rest, err := remains(dir, prefix, known)
	if err != nil || rest.Damage == nil {
		return false, err
	}
	l.salvage(&rest)
	n, err := describe(rest)
	if err != nil {
		return false, err
	}
	n.IndexID, n.LogSeq = l.head.IndexID, l.head.Seq+1
	if s := rest.State; s != nil {
		n.IndexID, n.LogSeq = s.IndexID, max(n.LogSeq, s.LogSeq+1)
	}
	return true, l.replace(&n)
}

// remains reads what there is, the log being locked.
func remains(dir *disk.Dir, prefix string, known *State) (r Remains, err error) {
	l, err := load(dir, prefix)
	if l.log != nil {
		defer l.log.Close()
	}
	switch {
	case err == nil:
		r.Damage, err = l.damage(dir, prefix)
		if err != nil {
			return r, err
		}
		if r.Damage == nil && known.After(l.state) {
			r.Damage = badFile(dir, prefix+".log", int64(l.state.Head), formats.Corrupt("log ends here, but was longer"))
		}
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, formats.ErrCorrupt):
		r.Damage = err
	default:
		return r, err
	}
	if r.State = l.state; r.State == nil || known.After(r.State) {
		r.State = known
	}
	if r.Damage == nil {
		return r, nil
	}
	r.Backup, _ = openSnapshot(dir, prefix+".backup") // if it cannot be read either, there is none
	return r, nil
}

// After tells whether a state, which may be nil, is newer than another one of the same index.
func (s *State) After(other *State) bool {
	if s == nil || other == nil {
		return s != nil
	}
	return s.IndexID == other.IndexID && (s.LogSeq > other.LogSeq || s.LogSeq == other.LogSeq && s.Head > other.Head)
}

// damage tells what is wrong with an index that could be read.
func (l *loaded) damage(dir *disk.Dir, prefix string) (error, error) {
	if l.state.Header.Flags&repaired != 0 {
		return badFile(dir, prefix, 20, formats.Corrupt("it was repaired, and messages may be missing")), nil
	}
	if l.log == nil {
		return logGone(dir, prefix), nil
	}
	st, err := l.log.Stat()
	if err != nil || st.Size <= int64(l.state.Head) {
		return nil, err
	}
	return tornAt(dir, prefix, int64(l.state.Head), st.Size), nil
}

func logGone(dir *disk.Dir, prefix string) error {
	return badFile(dir, prefix+".log", 0, formats.Corrupt("it is gone, and what was behind the snapshot with it"))
}

// salvage reads what the log has when nothing else was found, or only an older snapshot: records can be sound although
// the header of the log is not, which is also how Dovecot marks a log in which it found damage.
func (l *lostLog) salvage(r *Remains) {
	base := r.State
	if base == nil {
		base = r.Backup
	}
	head, s, from := l.head, newState(), int64(0)
	if head.Size == 0 { // nothing of it can be read
		head = translog.NewHeader(0, 0, 0, 1)
		if base != nil {
			head.Seq = base.LogSeq
		}
	}
	if l.log == nil || r.State != nil && r.State.LogSeq != head.Seq {
		return
	}
	switch {
	case base != nil && base.LogSeq == head.Seq:
		s, from = base.clone(), int64(base.Head)
	case head.First():
		s.modseq, from = head.InitialModSeq, int64(head.Size)
	default:
		return
	}
	replayLog(s, l.log, head, from, -1) // what comes before an error is as good as it gets
	if s.UIDValidity != 0 && (r.State == nil || s.After(r.State)) {
		r.State = s
	}
}

// lostLog is the lock on an index that may be in any state.
type lostLog struct {
	dir    *disk.Dir
	prefix string
	log    *disk.File      // nil when there is none
	head   translog.Header // of log, if it can be read
	next   *disk.File      // the log that is being made
	placed bool            // it has its name
}

// lockLost locks the log, and then the name under which a new one is made; where there is no log, only that.
func lockLost(ctx context.Context, dir *disk.Dir, prefix string) (*lostLog, error) {
	for {
		l := &lostLog{dir: dir, prefix: prefix}
		if err := l.lock(ctx); err != nil {
			l.unlock()
			return nil, err
		}
		if !rotated(dir, prefix, l.log) {
			return l, nil
		}
		l.unlock()
	}
}

func (l *lostLog) lock(ctx context.Context) (err error) {
	l.log, err = l.dir.OpenWrite(l.prefix+".log", os.O_APPEND)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.log = nil
	case err != nil:
		return err
	default:
		if err := l.log.Lock(ctx, true); err != nil {
			return err
		}
		l.head, _ = translog.ReadHeader(l.log) // damaged: then nothing of it is used
	}
	if l.next, err = lockNew(ctx, l.dir, l.prefix); err != nil {
		return err
	}
	return l.next.Lock(ctx, true) // so that nobody takes it for abandoned
}

func (l *lostLog) unlock() {
	if l.next != nil {
		if !l.placed {
			l.dir.Remove(l.prefix + newLock)
		}
		l.next.Close()
	}
	if l.log != nil {
		l.log.Close()
	}
}

// replace puts the new files in place: the snapshot first, which is enough alone.
func (l *lostLog) replace(n *New) error {
	n.fill()
	log, s, err := n.build()
	if err != nil {
		return &formats.Error{Op: "create index", Path: join(l.dir, l.prefix), Err: err}
	}
	if _, err := l.next.Write(log); err != nil {
		return err
	}
	if err := l.next.Sync(); err != nil {
		return err
	}
	if err := setAside(l.dir, l.prefix); err != nil {
		return err
	}
	if err := replaceSnapshot(l.dir, l.prefix, s); err != nil {
		return err
	}
	if err := l.dir.Rename(l.prefix+newLock, l.dir, l.prefix+".log"); err != nil {
		return err
	}
	l.placed = true
	// What Dovecot has cached belongs to the index that was.
	if err := l.dir.Remove(l.prefix + ".cache"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return l.dir.Sync()
}

// setAside gives the files a second name; they are replaced in one step each later. The old log is of no use without
// the others.
func setAside(dir *disk.Dir, prefix string) error {
	for _, name := range []string{prefix, prefix + ".log"} {
		if err := dir.Remove(name + Broken); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := dir.Link(name, dir, name+Broken); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := dir.Rename(prefix+".log.2", dir, prefix+".log.2"+Broken)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
