package index

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"dovetail/formats/disk"
	"dovetail/formats/index/translog"
)

// Broken is added to the names of damaged files that Restore sets aside.
const Broken = ".broken"

// Restore makes a sound index of a state that Read could give in spite of damage. The files that were there are kept
// under names with Broken added. Another program must not have the mailbox open.
//
// The new log looks like one that was just rotated: for a first log without records Dovecot would take the snapshot as
// void.
func Restore(ctx context.Context, dir *disk.Dir, prefix string, s *State) error {
	seq, unlock, err := lockBroken(ctx, dir, prefix)
	if err != nil {
		return err
	}
	defer unlock()
	now := uint32(time.Now().Unix())
	next := s.clone()
	next.Deleted, next.Header.Flags = false, s.Header.Flags&2
	if next.IndexID == 0 {
		next.IndexID = now
	}
	head := translog.NewHeader(next.IndexID, max(seq, s.LogSeq)+1, now, max(s.modseq, 1))
	head.PrevSeq, head.PrevOffset = head.Seq-1, translog.HeaderSize
	next.LogSeq, next.Head, next.Tail = head.Seq, translog.HeaderSize, translog.HeaderSize
	next.Log2Rotated = NoLog2
	b, err := head.AppendBinary(nil)
	if err != nil {
		return err
	}
	log, err := newLog(ctx, dir, prefix, b)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := setAside(dir, prefix); err != nil {
		dir.Remove(prefix + newLock)
		return err
	}
	if err := replaceSnapshot(dir, prefix, next); err != nil {
		dir.Remove(prefix + newLock)
		return err
	}
	if err := dir.Rename(prefix+newLock, dir, prefix+".log"); err != nil {
		return err
	}
	return dir.Sync()
}

// lockBroken locks a log that may be unreadable and gives its sequence, 0 when it has none.
func lockBroken(ctx context.Context, dir *disk.Dir, prefix string) (seq uint32, unlock func(), err error) {
	f, err := dir.OpenWrite(prefix+".log", os.O_APPEND)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, func() {}, nil
	}
	if err != nil {
		return 0, nil, err
	}
	if err := f.Lock(ctx, true); err != nil {
		f.Close()
		return 0, nil, err
	}
	if h, err := translog.ReadHeader(f); err == nil {
		seq = h.Seq
	}
	return seq, func() { f.Close() }, nil
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
