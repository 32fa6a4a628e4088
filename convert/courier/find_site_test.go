package courier_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"dovetail/convert/courier"
	"dovetail/formats/formatstest/couriersite"
)

// TestR373UsersAreFoundWhereverTheyLie finds all users of the shipped site by name, however it was rearranged.
func TestR373UsersAreFoundWhereverTheyLie(t *testing.T) {
	s := couriersite.Unpack(t)
	empty(t, s)
	move := func(t *testing.T, root string, from, to string) {
		t.Helper()
		to = filepath.Join(root, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(root, from), to); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(t *testing.T, root string, names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.Remove(filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	const domains, users = "home/vpopmail/domains/", "var/qmail/users/"
	for _, tc := range []struct {
		name   string
		change func(t *testing.T, root string)
		named  int // how many are found by the name of their account
	}{
		{"as it is", func(*testing.T, string) {}, 17},
		{"the compiled list of domains alone", func(t *testing.T, root string) { remove(t, root, users+"assign") }, 17},
		{"compiled lists of accounts alone", func(t *testing.T, root string) {
			remove(t, root, domains+"example.com/vpasswd", domains+"example.net/vpasswd")
		}, 17},
		{"lists of accounts as text alone", func(t *testing.T, root string) {
			remove(t, root, domains+"example.com/vpasswd.cdb", domains+"example.net/vpasswd.cdb")
		}, 17},
		{"no list of domains", func(t *testing.T, root string) { remove(t, root, users+"assign", users+"cdb") }, 17},
		{"no lists at all", func(t *testing.T, root string) {
			remove(t, root, users+"assign", users+"cdb")
			remove(t, root, domains+"example.com/vpasswd", domains+"example.net/vpasswd")
			remove(t, root, domains+"example.com/vpasswd.cdb", domains+"example.net/vpasswd.cdb")
		}, 0},
		{"accounts in a database", func(t *testing.T, root string) {
			remove(t, root, domains+"example.com/vpasswd", domains+"example.com/vpasswd.cdb")
		}, 3},
		{"a domain on another disk, linked by root", func(t *testing.T, root string) {
			move(t, root, domains+"example.com", "disk2/example.com")
			if err := os.Symlink("/disk2/example.com", filepath.Join(root, domains, "example.com")); err != nil {
				t.Fatal(err)
			}
		}, 17},
		{"users in three levels of folders", func(t *testing.T, root string) {
			move(t, root, domains+"example.net/zoe", domains+"example.net/0/a/Z/zoe")
			move(t, root, domains+"example.net/yuki", domains+"example.net/new/yuki")
			remove(t, root, users+"assign", users+"cdb", domains+"example.net/vpasswd", domains+"example.net/vpasswd.cdb")
		}, 14},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "site")
			if out, err := exec.Command("cp", "-a", s.Root, root).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			tc.change(t, root)
			named, found := 0, map[string]bool{}
			for f, err := range courier.Find(t.Context(), []string{filepath.Join(root, domains)}, courier.FindOptions{Recursive: true, Root: root}) {
				switch {
				case err != nil:
					t.Fatal(err)
				case f.Kind.IsUser():
					found[f.Maildir] = true
					if _, known := s.Users[f.Name]; known {
						named++
					}
				}
			}
			if len(found) != len(s.Users) || named != tc.named {
				t.Errorf("found %d users of %d, %d of them by name, want %d", len(found), len(s.Users), named, tc.named)
			}
		})
	}
}

// empty takes the mail out of the Maildirs: only where they lie matters.
func empty(t *testing.T, s *couriersite.Site) {
	for user := range s.Users {
		for _, pattern := range []string{".[^.]*", "cur/*", "new/*"} {
			names, err := filepath.Glob(filepath.Join(s.Maildir(user), pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if err := os.RemoveAll(name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
