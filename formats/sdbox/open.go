package sdbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// openIndex reads the index, or what the names of the message files tell when it is gone.
func (b *Mailbox) openIndex(ctx context.Context) error {
	var err error
	if b.dir != nil {
		b.idx, err = index.Open(b.dir, index.Prefix)
	} else {
		err = fs.ErrNotExist
	}
	if err == nil && b.mends() {
		b.idx.Strict = true
		err = b.idx.Unsound()
	}
	if err == nil {
		return b.findUnlisted()
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, formats.ErrCorrupt) {
		return b.fail("open index", 0, nil, err)
	}
	if b.mends() {
		return b.mendIndex(ctx)
	}
	b.idx = nil
	if b.dir != nil && errors.Is(err, formats.ErrCorrupt) {
		if b.damaged, _ = index.Read(b.dir, index.Prefix); b.damaged != nil {
			b.lost = b.fail("open index", 0, nil, fmt.Errorf("%w; what could be read of it is used", err))
			return nil
		}
	}
	damage := err
	if b.salvaged, err = b.fileUIDs(); err != nil {
		return b.fail("list messages", 0, nil, err)
	}
	if len(b.salvaged) > 0 {
		b.lost = b.fail("open index", 0, nil, formats.Corrupt(
			"flags, keywords, UIDVALIDITY and mailbox GUID of %d messages are lost: %w", len(b.salvaged), damage))
	}
	return nil
}

// findUnlisted looks in a source for message files without a record: a log that lost its end tells nothing of the
// messages behind it. Dovecot, too, shows what the log has and no more, and files of expunged messages may be left after
// a crash, so they are not carried, but whoever carries the mailbox must know.
func (b *Mailbox) findUnlisted() error {
	if !b.store.ReadOnly() {
		return nil
	}
	if err := b.idx.Torn(); err != nil {
		b.lost = b.fail("read index", 0, nil, err)
	}
	files, err := b.fileUIDs()
	if err != nil {
		return b.fail("list messages", 0, nil, err)
	}
	for range 2 { // a file that is being saved or expunged now is in the newer state, or gone
		st, err := b.refresh()
		if err != nil {
			return err
		}
		files = slices.DeleteFunc(files, func(uid formats.UID) bool {
			_, listed := st.Find(uid)
			return listed || !b.hasFile(uid)
		})
	}
	if len(files) > 0 {
		b.lost = errors.Join(b.lost, b.fail("list messages", 0, nil, formats.Corrupt(
			"%d message files that the index does not list are left out (see check and repair): UIDs %s",
			len(files), formats.RangesOf(files...))))
	}
	return nil
}

// hasFile: what cannot be opened is there, too.
func (b *Mailbox) hasFile(uid formats.UID) bool {
	f, err := b.openFile(uid)
	if err == nil {
		f.Close()
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// fileUIDs gives the UIDs that have a file, ascending.
func (b *Mailbox) fileUIDs() ([]formats.UID, error) {
	var uids []formats.UID
	for _, d := range []*disk.Dir{b.mail, b.alt} {
		if d == nil {
			continue
		}
		names, err := d.Names()
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if uid, ok := parseFileName(name); ok {
				uids = append(uids, uid)
			}
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids), nil
}

// parseFileName accepts only the one spelling that a UID has.
func parseFileName(name string) (formats.UID, bool) {
	digits, ok := strings.CutPrefix(name, "u.")
	n, err := strconv.ParseUint(digits, 10, 32)
	ok = ok && err == nil && n > 0 && n < 1<<32-1 && strconv.FormatUint(n, 10) == digits
	return formats.UID(n), ok
}
