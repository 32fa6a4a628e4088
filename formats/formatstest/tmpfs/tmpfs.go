// Package tmpfs lets the tests of a package keep their files in memory, where syncing a file costs nothing. It is for tests
// of what is written and in which order, which a disk does not change; those of a full disk make one of their own.
package tmpfs

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// What a file system in memory must have left to be used. A container often has 64 MB.
const (
	place      = "/dev/shm"
	freeBytes  = 2 << 30
	freeInodes = 500_000
)

// Main runs the tests of a package, with t.TempDir in memory if there is room:
//
//	func TestMain(m *testing.M) { tmpfs.Main(m) }
//
// A TMPDIR that is set is kept.
func Main(m *testing.M) {
	if os.Getenv("TMPDIR") == "" && usable() {
		os.Setenv("TMPDIR", place)
	}
	os.Exit(m.Run())
}

// usable tells whether programs may be started there, too, as tests do that copy themselves.
func usable() bool {
	var fs unix.Statfs_t
	if unix.Statfs(place, &fs) != nil || fs.Type != unix.TMPFS_MAGIC || fs.Flags&(unix.ST_RDONLY|unix.ST_NOEXEC) != 0 {
		return false
	}
	return fs.Bavail*uint64(fs.Bsize) >= freeBytes && fs.Ffree >= freeInodes && unix.Access(place, unix.W_OK) == nil
}
