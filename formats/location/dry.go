package location

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// OpenDry opens a store so that everything can be asked of it, changes are told to would, and nothing is written. In place of
// one that does not exist stands an empty one of the same kind in a temporary folder. fsys is how it is read. done closes the
// store.
func OpenDry(ctx context.Context, l Location, fsys *disk.FS, would func(verb, mailbox, detail string)) (store formats.Store, done func(), err error) {
	real, err := Open(ctx, l, Options{FS: fsys})
	if err == nil {
		return formats.DryRun(real, would), func() { real.Close() }, nil
	}
	if !errors.Is(err, fs.ErrNotExist) || l.Driver == "" {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "dovetail-dry-run-")
	if err != nil {
		return nil, nil, err
	}
	if real, err = Open(ctx, l.moved(dir), Options{Create: true}); err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return formats.DryRun(real, would), func() { real.Close(); os.RemoveAll(dir) }, nil
}
