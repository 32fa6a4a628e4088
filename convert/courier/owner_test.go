package courier

import (
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// owners gives user and group of everything in a tree, sorted.
func owners(t *testing.T, root string) []uint64 {
	t.Helper()
	var all []uint64
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		all = append(all, uint64(st.Uid)<<32|uint64(st.Gid))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}
