package mbox

import (
	"errors"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// readIndex gives the state of Dovecot's index of a mailbox: nil when there is none that can be read. A damaged index
// costs flags that were not yet written to the file; Check says so.
//
// wished are the messages whose flags are in the state as somebody wants them, and not yet in the file, nor marked dirty:
// Dovecot notes so much before it has the lock of the file.
func readIndex(dir *disk.Dir) (state *index.State, wished formats.Ranges) {
	if dir == nil {
		return nil, nil
	}
	if x, err := index.Open(dir, index.Prefix); err == nil {
		defer x.Close()
		list, _ := x.Wishes() // of a log that has gone wrong in the meantime: they are told next time
		for _, w := range list {
			if !w.Expunge {
				wished = addRanges(wished, w.UIDs)
			}
		}
		return x.Snapshot(), wished
	}
	state, err := index.Read(dir, index.Prefix)
	if err != nil && !errors.Is(err, formats.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return state, nil
}

func addRanges(to, uids formats.Ranges) formats.Ranges {
	for _, r := range uids {
		to.AddRange(r.First, r.Last)
	}
	return to
}
