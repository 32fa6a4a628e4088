package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// identifyCourier writes the list of a folder that is being made.
func (s *Store) identifyCourier(ctx context.Context, name string, f folder, box *disk.Dir, like formats.Status) error {
	b := &Mailbox{store: s, name: name, folder: f, mode: 0o600, box: box, control: box}
	v := &view{uidNext: max(like.UIDNext, 1), header: listHeader{UIDValidity: like.UIDValidity}}
	validity, err := s.courierUIDValidity(ctx, like.UIDValidity)
	if err != nil {
		return err
	}
	v.header.UIDValidity = validity
	return b.writeUIDDB(v, nil)
}

func (s *Store) nextCourierUIDValidity(ctx context.Context) (formats.UIDValidity, error) {
	return s.courierUIDValidity(ctx, 0)
}

const (
	// courierEpoch is what Courier takes off the time to make a UIDVALIDITY (imap/imapscanclient.c, IMAP_EPOCH).
	courierEpoch = 1000000000

	// validityName is a note of ours with the highest UIDVALIDITY given, so that a folder that is deleted and made again
	// in the same second gets another one.
	validityName = notePrefix + "uidvalidity"
)

// courierUIDValidity gives the value wanted, or a new one as Courier would, above all given before.
func (s *Store) courierUIDValidity(ctx context.Context, want formats.UIDValidity) (formats.UIDValidity, error) {
	lock, err := s.root.Dotlock(ctx, validityName, staleLock, 0o600)
	if err != nil {
		return 0, err
	}
	text, err := s.root.ReadFile(validityName, 64)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, errors.Join(err, lock.Unlock())
	}
	last, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	v := uint64(want)
	if v == 0 {
		v = max(last+1, uint64(time.Now().Unix()-courierEpoch))
	}
	err = nil
	if v > last {
		err = s.root.ReplaceFile(validityName, 0o600, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, v)
			return err
		})
	}
	return formats.UIDValidity(v), errors.Join(err, lock.Unlock())
}

// setCourierSubscriptions replaces the names of folders in courierimapsubscribed; those of other namespaces stay.
func (s *Store) changeCourierSubscriptions(ctx context.Context, change func([]string) []string) error {
	fail := func(err error) error { return &formats.Error{Op: "write subscriptions", Err: err} }
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	now, err := s.courierSubscriptions()
	names := change(now)
	if err != nil || slices.Equal(now, names) {
		return err
	}
	text, err := s.root.ReadFile(courierSubscribedName, maxControl)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	var lines []string
	for _, name := range names {
		line := inboxName
		if name != inboxName {
			storage, err := s.naming.Storage(name)
			if err != nil {
				return fail(fmt.Errorf("%q: %w", name, err))
			}
			line += "." + storage
		}
		lines = append(lines, line)
	}
	for _, name := range ParseCourierSubscribed(text) {
		if _, ok := courierFolder(name); !ok {
			lines = append(lines, name)
		}
	}
	err = s.root.ReplaceFile(courierSubscribedName, 0o600, func(w io.Writer) error {
		_, err := w.Write(AppendCourierSubscribed(nil, lines))
		return err
	})
	if err != nil {
		return fail(err)
	}
	return nil
}
