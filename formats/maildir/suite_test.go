package maildir

import (
	"context"
	"path/filepath"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest"
)

func inLayout(layout string) formatstest.Factory {
	return func(ctx context.Context, root string, fsys *disk.FS, create bool) (formats.Store, error) {
		return Open(ctx, Options{Root: root, Layout: layout, FS: fsys, Create: create})
	}
}

func withLists(lists Lists) formatstest.Factory {
	return func(ctx context.Context, root string, fsys *disk.FS, create bool) (formats.Store, error) {
		return Open(ctx, Options{Root: root, Lists: lists, FS: fsys, Create: create})
	}
}

func TestCourierSuite(t *testing.T) {
	t.Run("Courier 4", func(t *testing.T) { formatstest.Run(t, withLists(Courier4Lists)) })
	t.Run("Courier 5", func(t *testing.T) { formatstest.Run(t, withLists(Courier5Lists)) })
}

func TestCourierCrash(t *testing.T) { formatstest.CrashPerMessage(t, withLists(Courier5Lists)) }

func TestSuite(t *testing.T) {
	t.Run("Maildir++", func(t *testing.T) { formatstest.Run(t, inLayout("")) })
	t.Run("fs", func(t *testing.T) { formatstest.Run(t, inLayout("fs")) })
	t.Run("roots of their own", func(t *testing.T) {
		formatstest.Run(t, func(ctx context.Context, root string, fsys *disk.FS, create bool) (formats.Store, error) {
			return Open(ctx, Options{Root: filepath.Join(root, "mail"), Control: filepath.Join(root, "control"),
				Index: filepath.Join(root, "index"), FS: fsys, Create: create})
		})
	})
}

func TestCrash(t *testing.T) { formatstest.CrashPerMessage(t, inLayout("")) }

func TestEachChangeMayFail(t *testing.T) { formatstest.Failing(t, inLayout("")) }

func TestFullDisk(t *testing.T) { formatstest.FullDisk(t, inLayout("")) }
