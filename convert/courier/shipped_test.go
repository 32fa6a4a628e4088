package courier_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dovetail/convert/courier"
	"dovetail/formats/formatstest/couriersite"
	"dovetail/formats/formatstest/dovecot"
)

// runSite finds the users of the shipped site by their accounts and works on them.
func runSite(t *testing.T, s *couriersite.Site, o courier.Options) *courier.Report {
	t.Helper()
	found := courier.Find(t.Context(), []string{s.Domains()}, courier.FindOptions{
		Recursive: true, Root: s.Root, Assign: filepath.Join(s.Root, "var/qmail/users/assign"),
	})
	r, err := courier.Site(t.Context(), found, o)
	if err != nil {
		t.Fatal(err)
	}
	if n := r.NUsers(); n != len(s.Users) {
		t.Errorf("%d users were found, want %d", n, len(s.Users))
	}
	for _, u := range r.Users {
		if _, known := s.Users[u.User]; !known {
			t.Errorf("user %s (%s) is not one of the site", u.User, u.Maildir)
		}
	}
	return r
}

// plainly is what a report says of all users, without what differs between looking and doing.
func plainly(t *testing.T, r *courier.Report) []string {
	t.Helper()
	var lines []string
	for _, u := range r.Users {
		copied := *u
		copied.DryRun = false
		b, err := json.MarshalIndent(copied, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(string(b), "\n")...)
	}
	return lines
}

func mustSayTheSame(t *testing.T, looked, done *courier.Report) {
	t.Helper()
	a, b := plainly(t, looked), plainly(t, done)
	if slices.Equal(a, b) {
		return
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("looking said otherwise than doing, line %d\nlooked %s\n  done %s", i, strings.Join(a[max(0, i-8):i+1], "\n"), b[i])
		}
	}
	t.Fatalf("looking said %d lines, doing %d", len(a), len(b))
}

// wrote says what a run did, a line for each change.
func wrote(r *courier.Report) (steps []string) {
	for _, u := range r.Users {
		for _, s := range u.Steps {
			steps = append(steps, fmt.Sprintf("%s: %+v", u.User, s))
		}
	}
	return steps
}

// snapshot is every file below root: what it is, whose, since when, and what is in it.
func snapshot(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		line := fmt.Sprintf("%v %d:%d inode %d at %v", info.Mode(), st.Uid, st.Gid, st.Ino, info.ModTime().UnixNano())
		if info.IsDir() {
			line = fmt.Sprintf("%v %d:%d inode %d", info.Mode(), st.Uid, st.Gid, st.Ino) // locks come and go in folders
		}
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(b))
		}
		files[strings.TrimPrefix(path, root)] = line
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// mustBeUntouched compares two snapshots.
func mustBeUntouched(t *testing.T, when string, before, after map[string]string) {
	t.Helper()
	if reflect.DeepEqual(before, after) {
		return
	}
	for path, was := range before {
		if after[path] != was {
			t.Errorf("%s: %s\n was %s\n  is %s", when, path, was, after[path])
		}
	}
	for path := range after {
		if before[path] == "" {
			t.Errorf("%s: %s is new", when, path)
		}
	}
}

// mustKeepCourier fails if a file of Courier's is another than before, following the renames of folders.
func mustKeepCourier(t *testing.T, s *couriersite.Site, r *courier.Report, before map[string]string) {
	t.Helper()
	after := snapshot(t, s.Root)
	for path, was := range before {
		if !strings.Contains(path, "courier") && !strings.HasSuffix(path, "maildirsize") || strings.HasPrefix(path, "/etc/") {
			continue
		}
		if now := after[renamed(s, r, path)]; now != was && !strings.HasPrefix(was, "d") {
			t.Errorf("Courier's %s\n was %s\n  is %s", path, was, now)
		}
	}
}

// renamed gives the path of a file after the renames of folders that a run announced.
func renamed(s *couriersite.Site, r *courier.Report, path string) string {
	for _, u := range r.Users {
		rest, ok := strings.CutPrefix(path, strings.TrimPrefix(u.Maildir, s.Root)+"/")
		if !ok {
			continue
		}
		for _, f := range u.Folders {
			if f.Was == "" {
				continue
			}
			if below, ok := strings.CutPrefix(rest, f.Was+"/"); ok {
				return strings.TrimSuffix(path, rest) + f.Path + "/" + below
			}
		}
	}
	return path
}

// mustBelongTo fails if anything below the users' homes is not the mail user's or is open to others who could not read
// the Maildir before.
func mustBelongTo(t *testing.T, s *couriersite.Site) {
	t.Helper()
	uid, gid := couriersite.IDs()
	for _, name := range s.Names() {
		err := filepath.WalkDir(s.Maildir(name), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != uid || int(st.Gid) != gid {
				t.Errorf("%s belongs to %d:%d", path, st.Uid, st.Gid)
			}
			if d.Name() == "dovecot-uidlist" && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The shipped site, converted in place and served by real Dovecot, is for every client what it was under Courier.
func TestShippedSite(t *testing.T) {
	dovecot.Need(t)
	couriersite.NeedChecker(t)
	s := couriersite.Unpack(t)
	before := snapshot(t, s.Root)
	looked := runSite(t, s, courier.Options{})
	t.Run("R-372 looking changes nothing and names every user", func(t *testing.T) {
		mustBeUntouched(t, "looking", before, snapshot(t, s.Root))
		if looked.Outcomes[courier.Converted] != 15 || looked.Outcomes[courier.Nothing] != 2 { // two never met Courier
			t.Errorf("outcomes %v", looked.Outcomes)
		}
	})
	done := runSite(t, s, courier.Options{Convert: true})
	t.Run("R-374 looking lists exactly what is then done", func(t *testing.T) { mustSayTheSame(t, looked, done) })
	t.Run("R-379 what is written belongs to the mail user", func(t *testing.T) { mustBelongTo(t, s) })
	t.Run("Courier's files stay as they are", func(t *testing.T) { mustKeepCourier(t, s, done, before) })
	for _, u := range done.Users {
		for _, l := range u.Losses {
			t.Logf("%s lost %+v", u.User, l)
		}
		for _, p := range u.Problems {
			t.Logf("%s problem %+v", u.User, p)
		}
	}
	after := snapshot(t, s.Root)
	t.Run("R-376 a second run writes nothing", func(t *testing.T) {
		again := runSite(t, s, courier.Options{Convert: true})
		mustBeUntouched(t, "the second run", after, snapshot(t, s.Root))
		if steps := wrote(again); len(steps) > 0 {
			t.Errorf("the second run says it does %q", steps)
		}
		if again.Outcomes[courier.Already] != 15 || again.Outcomes[courier.Nothing] != 2 {
			t.Errorf("outcomes %v", again.Outcomes)
		}
	})
	d := s.Serve("")
	t.Run("R-306 R-373 R-377 R-378 the checker finds no loss for 17 of 17 users", func(t *testing.T) { s.MustBeWhole("converted", d) })
	t.Run("a run after Dovecot has served it harms nothing", func(t *testing.T) {
		again := runSite(t, s, courier.Options{Convert: true})
		if steps := wrote(again); len(steps) > 0 {
			t.Errorf("it says it does %q", steps)
		}
		s.MustBeWhole("converted again", d)
	})
	d.Stop()
	d.MustBeClean()
}
