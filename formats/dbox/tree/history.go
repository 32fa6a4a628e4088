package tree

import (
	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// Expunged looks into the log of a folder's index in dir, as formats.Historian wants it; x is nil when there is none.
func Expunged(dir *disk.Dir, x *index.Index, since formats.ModSeq) (formats.Ranges, bool, error) {
	if x == nil {
		return nil, false, nil
	}
	return index.Expunged(dir, index.Prefix, since)
}

// Keywords are those that the index of a folder, nil if there is none, has ever seen.
func Keywords(x *index.Index) []string {
	if x == nil {
		return nil
	}
	return x.Snapshot().Keywords
}
