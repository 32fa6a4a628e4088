package index

import (
	"errors"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index/translog"
)

// loaded is what reading an index from nothing gives.
type loaded struct {
	state  *State
	log    *disk.File // at state.Head; nil when there is none
	behind int64
}

// load reads snapshot and logs, again when they were rotated meanwhile. On an error the state is the best there is.
func load(dir *disk.Dir, prefix string) (loaded, error) {
	for try := 0; ; try++ {
		l, err := loadOnce(dir, prefix)
		if try == 10 || !rotated(dir, prefix, l.log) {
			return l, err
		}
		if l.log != nil {
			l.log.Close()
		}
	}
}

// rotated tells whether the log's name belongs to another file by now.
func rotated(dir *disk.Dir, prefix string, log *disk.File) bool {
	moved, _ := whereabouts(dir, prefix, log)
	return moved
}

// whereabouts tells whether the log's name belongs to another file by now, or is gone: what we have is the last state
// then.
func whereabouts(dir *disk.Dir, prefix string, log *disk.File) (moved, gone bool) {
	now, err := dir.Stat(prefix + ".log")
	if log == nil {
		return err == nil, false
	}
	if err != nil {
		return false, errors.Is(err, fs.ErrNotExist)
	}
	had, err := log.Stat()
	return err == nil && (had.Dev != now.Dev || had.Ino != now.Ino), false
}

// loadOnce follows Dovecot's order: log first, so that a snapshot cannot be older than the log it is used with.
func loadOnce(dir *disk.Dir, prefix string) (loaded, error) {
	log, head, logErr := openLog(dir, prefix+".log")
	snap, snapErr := openSnapshot(dir, prefix)
	gone := errors.Is(logErr, fs.ErrNotExist)
	if gone && errors.Is(snapErr, fs.ErrNotExist) {
		return loaded{}, &formats.Error{Op: "open index", Path: join(dir, prefix), Err: fs.ErrNotExist}
	}
	if errors.Is(snapErr, fs.ErrNotExist) {
		snapErr = nil
	}
	if gone { // Dovecot starts a new one and keeps what the snapshot has
		return loaded{state: snap}, snapErr
	}
	if logErr != nil {
		return loaded{state: snap}, errors.Join(logErr, snapErr)
	}
	l := loaded{log: log}
	var err error
	if snap != nil && snap.IndexID != head.IndexID {
		snapErr = badFile(dir, prefix, 16, formats.Corrupt("indexid %d, but the log has %d", snap.IndexID, head.IndexID))
		if !head.First() {
			return loaded{state: snap, log: log}, snapErr
		}
		snap = nil
	}
	l.state, l.behind, err = replay(dir, prefix, snap, log, head)
	return l, errors.Join(snapErr, err)
}

// openLog opens a log that can be used. One of no bytes or another version is as good as none, as with Dovecot
// (mail_transaction_log_file_read_hdr).
func openLog(dir *disk.Dir, name string) (*disk.File, translog.Header, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, translog.Header{}, err
	}
	h, err := translog.ReadHeader(f)
	if err == nil {
		return f, h, nil
	}
	defer f.Close()
	var first [1]byte
	if n, _ := f.ReadAt(first[:], 0); n == 0 {
		err = fs.ErrNotExist
	}
	return nil, h, badFile(dir, name, 0, err)
}

// openSnapshot reads the snapshot; an unusable one gives nil and an error.
func openSnapshot(dir *disk.Dir, prefix string) (*State, error) {
	f, err := dir.Open(prefix)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s, _, err := readSnapshot(f, st.Size)
	return s, inFile(dir, prefix, err)
}

// replay brings a snapshot (nil: none) up to the end of the log. behind is how much of logs that took.
func replay(dir *disk.Dir, prefix string, snap *State, log *disk.File, head translog.Header) (*State, int64, error) {
	name := prefix + ".log"
	switch {
	case snap == nil && !head.First():
		return withoutSnapshot(dir, prefix, log, head)
	case head.First() && (snap == nil || snap.LogSeq < head.Seq || snap.LogSeq == head.Seq && snap.Head <= uint32(head.Size)):
		// A first log begins a mailbox: what a snapshot holds of the time before is void, even when it only says that
		// it is good for none of the log (mail-transaction-log-view.c mail_transaction_log_view_set).
		s := newState()
		s.IndexID = head.IndexID
		s.modseq = head.InitialModSeq
		n, err := replayLog(s, log, head, int64(head.Size), -1)
		return s, n, inFile(dir, name, err)
	case snap.LogSeq == head.Seq:
		snap.modseq = head.InitialModSeq
		if err := countTo(snap, log, head); err != nil {
			return snap, 0, inFile(dir, name, err)
		}
		n, err := replayLog(snap, log, head, int64(snap.Head), -1)
		return snap, n, inFile(dir, name, err)
	case snap.LogSeq == head.PrevSeq:
		n, err := replayOld(dir, prefix, snap, head)
		if err != nil {
			return snap, 0, err
		}
		snap.Tail = 0
		snap.modseq = max(snap.modseq, head.InitialModSeq)
		m, err := replayLog(snap, log, head, int64(head.Size), -1)
		return snap, n + m, inFile(dir, name, err)
	}
	err := formats.Corrupt("log %d follows log %d, but the snapshot needs log %d", head.Seq, head.PrevSeq, snap.LogSeq)
	return snap, 0, badFile(dir, name, 0, err)
}

// replayOld brings a snapshot up to the end of the rotated log.
func replayOld(dir *disk.Dir, prefix string, s *State, head translog.Header) (int64, error) {
	if s.Head == head.PrevOffset {
		s.modseq = head.InitialModSeq
		return 0, nil
	}
	name := prefix + ".log.2"
	old, oldHead, err := openLog(dir, name)
	if err != nil {
		return 0, badFile(dir, name, 0, formats.Corrupt("the snapshot needs log %d: %w", s.LogSeq, err))
	}
	defer old.Close()
	if oldHead.Seq != s.LogSeq || oldHead.IndexID != s.IndexID {
		return 0, badFile(dir, name, 8, formats.Corrupt("this is log %d, but the snapshot needs log %d", oldHead.Seq, s.LogSeq))
	}
	s.modseq = oldHead.InitialModSeq
	if err := countTo(s, old, oldHead); err != nil {
		return 0, inFile(dir, name, err)
	}
	n, err := replayLog(s, old, oldHead, int64(s.Head), int64(head.PrevOffset))
	return n, inFile(dir, name, err)
}

// withoutSnapshot makes the best of a rotated log without a snapshot: when the log before it is still there and was the
// first one, nothing is lost. Dovecot rebuilds the mailbox in any case, so it is damage.
func withoutSnapshot(dir *disk.Dir, prefix string, log *disk.File, head translog.Header) (*State, int64, error) {
	lost := badFile(dir, prefix, 0, formats.Corrupt("snapshot is missing, and log %d does not hold everything", head.Seq))
	old, oldHead, err := openLog(dir, prefix+".log.2")
	if err != nil {
		return nil, 0, lost
	}
	defer old.Close()
	if !oldHead.First() || oldHead.Seq != head.PrevSeq || oldHead.IndexID != head.IndexID {
		return nil, 0, lost
	}
	s := newState()
	s.IndexID = head.IndexID
	s.modseq = oldHead.InitialModSeq
	if _, err := replayLog(s, old, oldHead, int64(oldHead.Size), int64(head.PrevOffset)); err != nil {
		return s, 0, errors.Join(lost, inFile(dir, prefix+".log.2", err))
	}
	s.modseq = max(s.modseq, head.InitialModSeq)
	n, err := replayLog(s, log, head, int64(head.Size), -1)
	return s, n, errors.Join(lost, inFile(dir, prefix+".log", err))
}

// replayLog applies a log from an offset to its end, which must be at want unless that is -1. It gives the number of
// bytes applied.
func replayLog(s *State, log *disk.File, head translog.Header, from, want int64) (int64, error) {
	size, err := logSize(log, from)
	if err != nil {
		return 0, err
	}
	if want >= 0 && size < want {
		return 0, badLog(size, formats.Corrupt("log has %d bytes, but had %d when it was rotated", size, want))
	}
	r := translog.NewReader(log, size)
	p := newReplayer(s, size-from)
	s.minor, p.minor = head.Minor, head.Minor
	end := from
	for rec, err := range r.Records(from) {
		if want >= 0 && rec.Offset >= want {
			break
		}
		if err == nil {
			err = p.apply(rec)
		}
		if err != nil {
			p.done(head.Seq, uint32(end))
			return end - from, badLog(rec.Offset, err)
		}
		p.track(rec)
		end = rec.Next()
	}
	p.done(head.Seq, uint32(end))
	if want >= 0 && end != want {
		return end - from, badLog(end, formats.Corrupt("log ends here, but had %d bytes when it was rotated", want))
	}
	return end - from, nil
}

// logSize is the log's size, which must be at least from.
func logSize(log *disk.File, from int64) (int64, error) {
	st, err := log.Stat()
	if err != nil {
		return 0, err
	}
	if from > st.Size {
		return 0, badLog(st.Size, formats.Corrupt("log ends here, but the snapshot is good up to %d", from))
	}
	return st.Size, nil
}

// countTo sets the modseq counter for the place in the log where the snapshot is good for. The snapshot has the counter
// for some place in the log, when it is the same log; else it is counted from the log's start (mail-transaction-log-file.c
// mail_transaction_log_file_skip_to_head).
func countTo(s *State, log *disk.File, head translog.Header) error {
	from := int64(head.Size)
	if seq, offset, highest, ok := s.counted(); ok && seq == head.Seq && offset >= uint32(head.Size) && offset <= s.Head {
		from, s.modseq = int64(offset), highest
	}
	if from == int64(s.Head) {
		return nil
	}
	size, err := logSize(log, int64(s.Head))
	if err != nil {
		return err
	}
	for rec, err := range translog.NewReader(log, min(size, int64(s.Head))).Records(from) {
		if err != nil {
			return err
		}
		s.modseq = rec.Count(s.modseq, head.Minor)
	}
	return nil
}

func badLog(offset int64, err error) error {
	if _, ok := errors.AsType[*formats.Error](err); ok {
		return err
	}
	return &formats.Error{Op: "read log", Offset: offset, Err: err}
}

func badFile(dir *disk.Dir, name string, offset int64, err error) error {
	return &formats.Error{Op: "read index", Path: join(dir, name), Offset: offset, Err: err}
}

// inFile puts the name of the file in an error that says where in it.
func inFile(dir *disk.Dir, name string, err error) error {
	if e, ok := errors.AsType[*formats.Error](err); ok && e.Path == "" {
		e.Path = join(dir, name)
	}
	return err
}

func join(dir *disk.Dir, name string) string { return dir.Path() + "/" + name }
