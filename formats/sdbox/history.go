package sdbox

import (
	"context"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
)

// Expunged looks into the log of the index.
func (b *Mailbox) Expunged(_ context.Context, since formats.ModSeq) (formats.Ranges, bool, error) {
	return tree.Expunged(b.dir, b.idx, since)
}

// Keywords are those of the index.
func (b *Mailbox) Keywords() []string { return tree.Keywords(b.idx) }

var (
	_ formats.Historian     = (*Mailbox)(nil)
	_ formats.KeywordLister = (*Mailbox)(nil)
)
