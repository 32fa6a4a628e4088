package mdbox

import (
	"context"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
)

// Expunged looks into the log of the index.
func (b *Mailbox) Expunged(_ context.Context, since formats.ModSeq) (formats.Ranges, bool, error) {
	return tree.Expunged(b.dir, b.idx, since)
}

// Keywords are those of the index.
func (b *Mailbox) Keywords() []string { return tree.Keywords(b.idx) }

// Side is the folder of the index.
func (b *Mailbox) Side() (*disk.Dir, fs.FileMode, error) {
	if b.idx == nil {
		return nil, 0, fs.ErrNotExist
	}
	d, err := b.dir.OpenDir(".")
	return d, 0o600, err
}

// StillNamed looks where the name leads.
func (b *Mailbox) StillNamed(ctx context.Context) bool {
	p, err := b.store.Find(ctx, b.name)
	if err != nil {
		return false
	}
	root, path := b.store.Mail, p.Mail
	if b.store.Index != b.store.Mail {
		root, path = b.store.Index, p.Index
	}
	d, err := root.OpenDir(path)
	if err != nil {
		return false
	}
	defer d.Close()
	return d.Same(b.dir)
}

var (
	_ formats.Historian     = (*Mailbox)(nil)
	_ formats.KeywordLister = (*Mailbox)(nil)
	_ formats.Sidecar       = (*Mailbox)(nil)
	_ formats.Renamable     = (*Mailbox)(nil)
)
