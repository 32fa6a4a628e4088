package index

import (
	"errors"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index/translog"
)

// Expunged gives the UIDs of messages that were expunged when the mailbox's highest modseq rose above since, from the log
// and the one before it. complete is false if these do not reach so far back (lib-storage's
// mailbox_get_expunges of 2.3 looks in the same places).
func Expunged(dir *disk.Dir, prefix string, since formats.ModSeq) (uids formats.Ranges, complete bool, err error) {
	log, head, err := openLog(dir, prefix+".log")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer log.Close()
	h := history{since: uint64(since)}
	complete = head.InitialModSeq <= h.since // not if it is the first one: a mailbox that was carried over has a past
	if !complete {
		if complete, err = h.readOld(dir, prefix, head); err != nil {
			return nil, false, err
		}
	}
	if err := h.read(log, head, -1); err != nil {
		return nil, false, inFile(dir, prefix+".log", err)
	}
	return h.gone, complete && !h.leap, nil
}

type history struct {
	since uint64
	gone  formats.Ranges
	leap  bool // the counter was raised past since: nobody knows what happened in between
}

// readOld reads the log before the one with that header, if it is still there.
func (h *history) readOld(dir *disk.Dir, prefix string, next translog.Header) (complete bool, err error) {
	log, head, err := openLog(dir, prefix+".log.2")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer log.Close()
	if head.Seq != next.PrevSeq || head.IndexID != next.IndexID {
		return false, nil
	}
	if err := h.read(log, head, int64(next.PrevOffset)); err != nil {
		return false, inFile(dir, prefix+".log.2", err)
	}
	return head.InitialModSeq <= h.since, nil
}

// read collects what a log tells up to an offset; -1: its end.
func (h *history) read(log *disk.File, head translog.Header, end int64) error {
	size, err := logSize(log, int64(head.Size))
	if err != nil {
		return err
	}
	if end >= 0 {
		size = min(size, end)
	}
	modseq := head.InitialModSeq
	for rec, err := range translog.NewReader(log, size).Records(int64(head.Size)) {
		if err != nil {
			return badLog(rec.Offset, err)
		}
		before := modseq
		modseq = rec.Count(modseq, head.Minor)
		h.leap = h.leap || rec.Type == translog.ModSeqUpdate && before <= h.since && h.since+1 < modseq
		if modseq <= h.since || !rec.External {
			continue
		}
		switch rec.Type {
		case translog.ExpungeGUID:
			for uid := range rec.GUIDs() {
				h.gone.Add(formats.UID(uid))
			}
		case translog.Expunge:
			for first, last := range rec.Ranges() {
				h.gone.AddRange(formats.UID(first), formats.UID(last))
			}
		}
	}
	return nil
}
