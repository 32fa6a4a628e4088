package mdbox_test

import (
	"context"
	"path/filepath"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest"
	"dovetail/formats/mdbox"
)

func oneRoot(ctx context.Context, root string, fsys *disk.FS, create bool) (formats.Store, error) {
	return mdbox.Open(ctx, mdbox.Options{Root: filepath.Join(root, "mail"), FS: fsys, Create: create})
}

func smallFiles(ctx context.Context, root string, fsys *disk.FS, create bool) (formats.Store, error) {
	return mdbox.Open(ctx, mdbox.Options{Root: filepath.Join(root, "mail"), Rotation: mdbox.Rotation{Size: 64 << 10}, FS: fsys, Create: create})
}

func manyRoots(ctx context.Context, root string, fsys *disk.FS, create bool) (formats.Store, error) {
	return mdbox.Open(ctx, mdbox.Options{Root: filepath.Join(root, "mail"), Index: filepath.Join(root, "index"),
		Control: filepath.Join(root, "control"), Alt: filepath.Join(root, "alt"), Rotation: mdbox.Rotation{Size: 2 << 10}, FS: fsys, Create: create})
}

func TestSuite(t *testing.T) { formatstest.Run(t, oneRoot) }

func TestSuiteWithRootsOfTheirOwnAndSmallFiles(t *testing.T) { formatstest.Run(t, manyRoots) }

func TestDeathAtEveryBoundary(t *testing.T) { formatstest.Crash(t, oneRoot) }

func TestEachChangeMayFail(t *testing.T) { formatstest.Failing(t, oneRoot) }

func TestFullDisk(t *testing.T) { formatstest.FullDisk(t, smallFiles) }
