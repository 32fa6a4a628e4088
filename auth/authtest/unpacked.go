package authtest

import (
	"os"
	"path/filepath"
	"testing"
)

// Unpacked gives the path of a file of a Debian package that scripts/deps has unpacked without installing it: fail2ban,
// libnss-extrausers. The test is skipped where it is not.
func Unpacked(t testing.TB, path string) string {
	t.Helper()
	cache := "/var/cache"
	if os.Getuid() != 0 {
		own, err := os.UserCacheDir()
		if err != nil {
			t.Skip(err)
		}
		cache = own
	}
	at := filepath.Join(cache, "dovetail-test", "tools", path)
	if _, err := os.Stat(at); err != nil {
		t.Skipf("%v: scripts/deps unpacks it", err)
	}
	return at
}
