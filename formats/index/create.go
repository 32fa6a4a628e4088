package index

import (
	"context"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index/translog"
)

// firstSeq is the sequence that Dovecot gives to the first log of a mailbox.
const firstSeq = 2

// New describes an index to be made.
type New struct {
	// IndexID identifies the index; 0: the current time.
	IndexID uint32

	// LogSeq is the sequence of the log, above that of any log before it; 0: that of a new mailbox.
	LogSeq uint32

	// Created is written as the time of creation; zero: now.
	Created time.Time

	// UIDValidity 0: the current time.
	UIDValidity formats.UIDValidity

	// NextUID and FirstRecent; 0: the lowest possible, and NextUID.
	NextUID, FirstRecent formats.UID

	// HighestModSeq; 0: the lowest possible.
	HighestModSeq formats.ModSeq

	// Extensions with their header data. When the first one has no data in records (dbox-hdr, mdbox-hdr) it is the
	// format's own, which goes before everything else.
	Extensions []Extension

	// Messages in ascending order of UID. Their data of extensions is added by a later Update.
	Messages []Message
}

// Create makes a new index: a log that holds everything and a snapshot of the same, either of which is enough alone.
// An error wraps fs.ErrExist when there is a log already.
func Create(ctx context.Context, dir *disk.Dir, prefix string, n New) (*Index, error) {
	n.fill()
	log, s, err := n.build()
	if err != nil {
		return nil, &formats.Error{Op: "create index", Path: join(dir, prefix), Err: err}
	}
	f, err := newLog(ctx, dir, prefix, log)
	if err != nil {
		return nil, err
	}
	if err := dir.RenameNew(prefix+newLock, dir, prefix+".log"); err != nil {
		f.Close()
		dir.Remove(prefix + newLock)
		return nil, err
	}
	x := &Index{dir: dir, prefix: prefix, state: s, log: f, writable: true, behind: int64(len(log))}
	if err := replaceSnapshot(dir, prefix, s); err != nil { // syncs the folder, for the log's name too
		f.Close()
		return nil, err
	}
	x.behind = 0
	return x, nil
}

// fill replaces zeros by what they stand for.
func (n *New) fill() {
	if n.Created.IsZero() {
		n.Created = time.Now()
	}
	now := uint32(n.Created.Unix())
	if n.IndexID == 0 {
		n.IndexID = now
	}
	if n.LogSeq == 0 {
		n.LogSeq = firstSeq
	}
	if n.UIDValidity == 0 {
		n.UIDValidity = formats.UIDValidity(now)
	}
	if len(n.Messages) > 0 {
		n.NextUID = max(n.NextUID, n.Messages[len(n.Messages)-1].UID+1)
	}
	n.NextUID = max(n.NextUID, 1)
	if n.FirstRecent == 0 {
		n.FirstRecent = n.NextUID
	}
}

// build makes the log and the state that the snapshot is to hold.
func (n *New) build() (log []byte, s *State, err error) {
	head := translog.NewHeader(n.IndexID, n.LogSeq, uint32(n.Created.Unix()), 1)
	log, err = head.AppendBinary(nil)
	if err != nil {
		return nil, nil, err
	}
	exts := n.Extensions
	if len(exts) > 0 && exts[0].Size == 0 {
		// Dovecot logs this one by itself and not as External (mail-transaction-log-file.c log_write_ext_hdr_init_data).
		intro, patch := exts[0].introduction()
		log = translog.AppendRecord(log, translog.ExtIntro, intro)
		log = translog.AppendRecord(log, translog.ExtHdrUpdate, patch)
		exts = exts[1:]
	}
	tx := &Tx{state: newState(), nextUID: 1}
	for _, e := range exts {
		tx.Introduce(e)
	}
	tx.SetUIDValidity(n.UIDValidity)
	tx.SetTempScan(uint32(n.Created.Unix()))
	for _, m := range n.Messages {
		if _, err := tx.Append(m); err != nil {
			return nil, nil, err
		}
	}
	tx.RaiseNextUID(n.NextUID)
	tx.SetFirstRecent(n.FirstRecent)
	tx.RaiseModSeq(n.HighestModSeq)
	log = append(log, tx.records()...)
	if len(log) > maxLog {
		return nil, nil, formats.Corrupt("%d messages are too many for one log", len(n.Messages))
	}
	s, err = n.state(tx, head, log)
	return log, s, err
}

// introduction gives the payloads of an ExtIntro and an ExtHdrUpdate.
func (e *Extension) introduction() (intro, patch []byte) {
	in := translog.Intro{ID: translog.NoExtID, ResetID: e.ResetID, HeaderSize: uint32(len(e.Header)), Size: e.Size,
		Align: e.Align, Name: e.Name}
	return translog.AppendIntro(nil, in), translog.AppendPatch(nil, 0, e.Header)
}

// state replays the log, which also proves it, and gives the result the modseqs that a log cannot give (see
// chosenModSeqs).
func (n *New) state(tx *Tx, head translog.Header, log []byte) (*State, error) {
	s := newState()
	s.IndexID, s.LogSeq, s.modseq, s.minor = n.IndexID, head.Seq, head.InitialModSeq, head.Minor
	s.Head = uint32(head.Size)
	if err := applyOwn(s, log[head.Size:]); err != nil {
		return nil, err
	}
	tx.chosen.settle(s, head.InitialModSeq)
	if m := s.Ext("modseq"); m != nil {
		m.Header = s.modseqHeader()
	}
	s.Tail = s.Head
	s.TempScan = uint32(n.Created.Unix())
	return s, nil
}

// startLog makes a log for an index that has only a snapshot; it goes on where the lost one ended.
func (x *Index) startLog(ctx context.Context) error {
	log, _, err := x.nextLog(ctx)
	if err != nil {
		return err
	}
	log.Close()
	place := x.dir.RenameNew
	if st, err := x.dir.Stat(x.prefix + ".log"); err == nil && st.Size == 0 {
		place = x.dir.Rename // an empty log is as good as none; the lock file keeps others from making one
	}
	if err := place(x.prefix+newLock, x.dir, x.prefix+".log"); err != nil {
		x.dir.Remove(x.prefix + newLock)
		return err
	}
	return x.dir.Sync()
}
