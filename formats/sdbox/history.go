package sdbox

import (
	"context"

	"dovetail/formats"
	"dovetail/formats/index"
)

// Expunged looks into the log of the index.
func (b *Mailbox) Expunged(_ context.Context, since formats.ModSeq) (formats.Ranges, bool, error) {
	if b.idx == nil {
		return nil, false, nil
	}
	return index.Expunged(b.dir, index.Prefix, since)
}

// Keywords are those of the index.
func (b *Mailbox) Keywords() []string {
	if b.idx == nil {
		return nil
	}
	return b.idx.Snapshot().Keywords
}

var (
	_ formats.Historian     = (*Mailbox)(nil)
	_ formats.KeywordLister = (*Mailbox)(nil)
)
