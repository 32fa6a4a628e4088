package courier

import (
	"context"
	"maps"
	"strings"
	"syscall"
	"testing"

	"dovetail/formats/disk"
)

// TestAFullDiskLeavesNothingByHalf lets every n-th write and all after it fail, as on a full disk, and then frees the disk.
func TestAFullDiskLeavesNothingByHalf(t *testing.T) {
	tree := crashTree(t)
	whole := copyOf(t, tree)
	convert(t, whole, Options{Convert: true})
	want := kept(t, whole)
	for at := 1; ; at++ {
		root := copyOf(t, tree)
		n := 0
		r, err := Run(context.Background(), User{Name: "tester", Maildir: root}, Options{Convert: true, Fault: func(op disk.Op, _ string) error {
			if op != disk.OpCreate && op != disk.OpWrite && op != disk.OpMkdir {
				return nil
			}
			if n++; n >= at {
				return syscall.ENOSPC
			}
			return nil
		}})
		if n < at {
			t.Logf("%d writes", n)
			return
		}
		if err == nil || !strings.Contains(err.Error(), "no space left") || r.ExitCode() != 2 {
			t.Fatalf("when write %d and all after it fail: %v\n%s", at, err, text(r))
		}
		if at == 1 && r.Totals.Converted != 0 {
			t.Errorf("nothing could be written, and %d folders are said to be converted", r.Totals.Converted)
		}
		if r := convert(t, root, Options{Convert: true}); r.ExitCode() != 0 {
			t.Fatalf("after write %d failed: %s", at, text(r))
		}
		if got := kept(t, root); !maps.Equal(got, want) {
			t.Fatalf("after write %d failed a rerun leaves %q", at, differing(want, got))
		}
	}
}
