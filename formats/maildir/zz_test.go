package maildir

import (
	"context"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest"
)

func factory(ctx context.Context, root string, fsys *disk.FS, create bool) (formats.Store, error) {
	return Open(ctx, Options{Root: root, FS: fsys, Create: create})
}

func TestSuite(t *testing.T) { formatstest.Run(t, factory) }

func TestCrash(t *testing.T) { formatstest.CrashPerMessage(t, factory) }
