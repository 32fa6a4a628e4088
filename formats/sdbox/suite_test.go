package sdbox_test

import (
	"context"
	"path/filepath"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest"
	"dovetail/formats/sdbox"
)

func oneRoot(ctx context.Context, root string, fsys *disk.FS, create bool) (formats.Store, error) {
	return sdbox.Open(ctx, sdbox.Options{Root: filepath.Join(root, "mail"), FS: fsys, Create: create})
}

func manyRoots(ctx context.Context, root string, fsys *disk.FS, create bool) (formats.Store, error) {
	return sdbox.Open(ctx, sdbox.Options{Root: filepath.Join(root, "mail"), Index: filepath.Join(root, "index"),
		Control: filepath.Join(root, "control"), Alt: filepath.Join(root, "alt"), FS: fsys, Create: create})
}

func TestSuite(t *testing.T) { formatstest.Run(t, oneRoot) }

func TestSuiteWithRootsOfTheirOwn(t *testing.T) { formatstest.Run(t, manyRoots) }

func TestDeathAtEveryBoundary(t *testing.T) { formatstest.Crash(t, oneRoot) }

func TestEachChangeMayFail(t *testing.T) { formatstest.Failing(t, oneRoot) }

func TestFullDisk(t *testing.T) { formatstest.FullDisk(t, oneRoot) }
