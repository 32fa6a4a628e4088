package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
)

func TestExitCodes(t *testing.T) {
	inMailbox := func(err error) error { return &formats.Error{Op: "open", Mailbox: "Work", Err: err} }
	for _, tc := range []struct {
		name string
		err  error
		want int
	}{
		{"no error", nil, 0},
		{"something unknown", errors.New("?"), 1},
		{"interrupted", fmt.Errorf("copy: %w", context.Canceled), 1},
		{"left over", errLeftOver, 2},
		{"left over and a failure", also(errLeftOver, errors.New("?")), 1},
		{"a failure and left over", also(errors.New("?"), errLeftOver), 1},
		{"usage", usagef("no"), 64},
		{"usage with a cause of its own", usagef("%w", fs.ErrNotExist), 64},
		{"corrupt", inMailbox(formats.Corrupt("magic")), 65},
		{"no mailbox", inMailbox(formats.ErrNoMailbox), 68},
		{"no store", &fs.PathError{Op: "open", Path: "x", Err: unix.ENOENT}, 68},
		{"locked", inMailbox(fmt.Errorf("%w: %w", disk.ErrLocked, context.DeadlineExceeded)), 75},
		{"disk full", inMailbox(unix.ENOSPC), 75},
		{"over quota", inMailbox(unix.EDQUOT), 75},
		{"permission", inMailbox(unix.EACCES), 77},
		{"not permitted", inMailbox(unix.EPERM), 77},
	} {
		if got := exitCode(tc.err); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}
