package mbox_test

import (
	"context"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest"
	"dovetail/formats/mbox"
)

func factory(ctx context.Context, root string, fsys *disk.FS, create bool) (formats.Store, error) {
	s, err := mbox.Open(ctx, mbox.Options{Root: root + "/mail", FS: fsys, Create: create})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func TestSuite(t *testing.T) { formatstest.Run(t, factory) }

func TestCrash(t *testing.T) { formatstest.Crash(t, factory) }

func TestEachChangeMayFail(t *testing.T) { formatstest.Failing(t, factory) }

func TestFullDisk(t *testing.T) { formatstest.FullDisk(t, factory) }
