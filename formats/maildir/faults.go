package maildir

import (
	"errors"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"dovetail/formats/disk"
)

// What goes on when the disk is full, or when somebody put other things where files of the mailbox are expected.

// cannotWrite tells that a mailbox can be read, but nothing can be added to its files.
func cannotWrite(err error) bool {
	return disk.Full(err) || errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission)
}

// listedOnly is the view without messages that have no UID of their own yet.
func (v *view) listedOnly() *view {
	is := *v
	is.entries, is.sizes = make([]entry, 0, len(v.entries)), nil
	for i := range v.entries {
		if !v.entries[i].listed {
			continue
		}
		is.entries = append(is.entries, v.entries[i])
		if v.sizes != nil {
			is.sizes = append(is.sizes, v.sizes[i])
		}
	}
	is.counts, is.unlisted, is.uidNext = false, 0, v.first
	return &is
}

// notMade tells that under the name of the list is a folder, a FIFO or a device, which no mail server made. A link is
// left to whoever made it: it may be an administrator.
func (b *Mailbox) notMade() bool {
	st, err := b.control.Stat(uidlistName)
	return err == nil && !b.store.readOnly() && st.Mode.Type() != 0 && st.Mode.Type() != fs.ModeSymlink
}

// startOver takes all UIDs back: with a new UIDVALIDITY there are enough (RFC 3501 section 2.3.1.1). It gives the places of
// all messages, those that had UIDs first, in their order.
func (v *view) startOver(fresh []int) []int {
	all := make([]int, 0, len(v.entries))
	for i := range v.entries {
		if v.entries[i].uid != 0 {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(i, j int) int { return int(int64(v.entries[i].uid) - int64(v.entries[j].uid)) })
	for _, i := range all {
		v.entries[i].listed = false
	}
	all = append(all, fresh...)
	v.header.UIDValidity, v.index, v.uidNext = 0, nil, 1
	v.unlisted, v.first = len(all), 1
	return all
}

// withdraw takes messages back whose commit failed after they were listed. Their records stay, and with them their UIDs,
// which another session may have seen: a record without a file is nothing.
func (t *tx) withdraw() {
	t.listed = false
	for i := range t.appends {
		p := &t.appends[i]
		into := t.b.cur
		if p.recent {
			into = t.b.fresh
		}
		err := into.Remove(p.name)
		if errors.Is(err, fs.ErrNotExist) {
			err = t.b.tmp.Remove(p.name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.listed = true // it cannot be taken back: let it be a message rather than half of one
		}
	}
}
