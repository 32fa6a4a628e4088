package layout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// uidValidityFile holds the highest UIDVALIDITY given in a store as 8 lower-case hexadecimal digits. Beside it stands an
// empty marker file whose name ends in the same digits: Dovecot renames the marker to allocate a value, and scans for
// the highest marker when the file is missing or broken (Dovecot 2.3, src/lib-storage/mailbox-uidvalidity.c).
const uidValidityFile = "dovecot-uidvalidity"

// uidValidityStale is when the lock of another host's program counts as left behind; holding it takes no time at all.
const uidValidityStale = 10 * time.Second

// RaiseUIDValidity makes the next mailbox that is created get a value above v, so that a mailbox that is deleted and
// made again never has an old one.
func RaiseUIDValidity(ctx context.Context, dir *disk.Dir, v formats.UIDValidity) error {
	// Mailboxes are created by many goroutines at once; two that both find no marker would each leave one of their own.
	lock, err := dir.Dotlock(ctx, uidValidityFile, uidValidityStale, 0o600)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	last, markers, err := lastUIDValidity(dir)
	if err != nil || last >= v {
		return err
	}
	return setUIDValidity(dir, markers, v)
}

// NextUIDValidity allocates a value for a new mailbox: the last one + 1, or the time for the first.
func NextUIDValidity(ctx context.Context, dir *disk.Dir) (formats.UIDValidity, error) {
	lock, err := dir.Dotlock(ctx, uidValidityFile, uidValidityStale, 0o600)
	if err != nil {
		return 0, err
	}
	defer lock.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		last, markers, err := lastUIDValidity(dir)
		if err != nil {
			return 0, err
		}
		next := last + 1
		if last == 0 {
			next = formats.UIDValidity(time.Now().Unix())
		}
		err = setUIDValidity(dir, markers, next)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			continue // another program allocated meanwhile
		}
		return next, err
	}
}

func markerName(v formats.UIDValidity) string {
	return fmt.Sprintf("%s.%08x", uidValidityFile, uint32(v))
}

// lastUIDValidity gives the highest value of the file and the markers, and all markers.
func lastUIDValidity(dir *disk.Dir) (formats.UIDValidity, []formats.UIDValidity, error) {
	var last formats.UIDValidity
	b, err := dir.ReadFile(uidValidityFile, 64)
	if err == nil {
		last, _ = parseHex8(string(b)) // a broken file counts as a missing one
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, nil, err
	}
	if last != 0 {
		if _, err := dir.Stat(markerName(last)); err == nil {
			return last, []formats.UIDValidity{last}, nil
		}
	}
	names, err := dir.Names()
	if err != nil {
		return 0, nil, err
	}
	var markers []formats.UIDValidity
	for _, name := range names {
		if digits, ok := strings.CutPrefix(name, uidValidityFile+"."); ok {
			if v, ok := parseHex8(digits); ok {
				markers = append(markers, v)
				last = max(last, v)
			}
		}
	}
	return last, markers, nil
}

func parseHex8(s string) (formats.UIDValidity, bool) {
	v, err := strconv.ParseUint(s, 16, 32)
	return formats.UIDValidity(v), len(s) == 8 && err == nil && v != 0
}

// setUIDValidity moves the marker first: who wins the rename owns the value.
func setUIDValidity(dir *disk.Dir, markers []formats.UIDValidity, v formats.UIDValidity) error {
	var old formats.UIDValidity
	for _, m := range markers {
		old = max(old, m)
	}
	if old != 0 {
		if err := dir.RenameNew(markerName(old), dir, markerName(v)); err != nil {
			return err
		}
	} else {
		f, err := dir.Create(markerName(v), 0o444)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return dir.ReplaceFile(uidValidityFile, 0o600, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%08x", uint32(v))
		return err
	})
}
