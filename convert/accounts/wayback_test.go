package accounts

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"dovetail/formats/disk"
)

// unpacked is a copy of the account files of the sample site.
func unpacked(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "site")
	if err := os.CopyFS(root, os.DirFS("../../auth/vpopmail/testdata/site")); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		for _, domain := range []string{"example.com", "example.net"} {
			if err := os.Chown(filepath.Join(root, "home/vpopmail/domains", domain), 89, 89); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// siteFiles are the lists of the site that vpopmail owns.
var siteFiles = []string{
	"home/vpopmail/domains/example.com/vpasswd", "home/vpopmail/domains/example.com/vpasswd.cdb",
	"home/vpopmail/domains/example.net/vpasswd", "home/vpopmail/domains/example.net/vpasswd.cdb",
}

func TestTheWayBackGivesVpopmailsOwnFiles(t *testing.T) {
	site := unpacked(t)
	want := map[string]string{}
	for _, name := range siteFiles {
		want[name] = read(t, filepath.Join(site, name))
	}
	users := filepath.Join(t.TempDir(), "users")
	vpopmail, list := place(t, "vpopmail:/home/vpopmail", site), place(t, "passwd-file:"+users, "")
	carry(t, vpopmail, list, Options{})

	if report := carry(t, list, vpopmail, Options{}); report.LeftOver() || report.Totals.Carried != 17 {
		t.Errorf("report %+v", report)
	}
	for _, name := range siteFiles {
		os.Remove(filepath.Join(site, name))
	}
	// Without any list there a domain is known from users/assign alone.
	report := carry(t, list, vpopmail, Options{})
	for _, f := range report.Files {
		if f.State != stateNew {
			t.Errorf("%+v", f)
		}
	}
	for _, name := range siteFiles {
		if got := read(t, filepath.Join(site, name)); got != want[name] {
			t.Errorf("%s differs:\n%q\nwant\n%q", name, got, want[name])
		}
	}
}

func TestAFolderOfSomebodyElseIsNotWrittenTo(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can write to folders of others")
	}
	site := unpacked(t)
	domain := filepath.Join(site, "home/vpopmail/domains/example.com")
	roots := t.TempDir()
	if err := errors.Join(os.RemoveAll(domain), os.Symlink(roots, domain)); err != nil {
		t.Fatal(err)
	}
	list := &List{Users: []User{{Name: "ann@example.com", Hash: "xYEzwLG5knggo", Home: "/h"}}}
	_, err := Prepare(context.Background(), list, Place{}, place(t, "vpopmail:/home/vpopmail", site), Options{})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

func TestDomainsThatTheTargetDoesNotHaveAreSetAside(t *testing.T) {
	site := unpacked(t)
	list := &List{
		Users: []User{
			{Name: "ann@nowhere.org", Hash: "xYEzwLG5knggo", Home: "/h"}, {Name: "alone", Hash: "xYEzwLG5knggo", Home: "/h"},
			{Name: "col:on@example.net", Hash: "xYEzwLG5knggo", Home: "/h"}, {Name: "new@example.net", Hash: "{SSHA}x", Home: "/h", Mail: "mbox:/m"},
		},
		Aliases: []Alias{{"example.org", "example.com"}, {"else.org", "example.com"}},
	}
	dst := place(t, "vpopmail:/home/vpopmail", site)
	if _, err := Prepare(context.Background(), list, Place{}, dst, Options{}); !errors.Is(err, ErrOthers) {
		t.Errorf("got %v", err)
	}
	report := apply(t, list, dst, Options{Overwrite: true})
	var got []string
	for _, r := range report.Remarks {
		if r.Kind != Note {
			got = append(got, string(r.Kind)+" "+r.User)
		}
	}
	slices.Sort(got)
	want := []string{"loss ", "loss new@example.net", "loss new@example.net", "set aside alone", "set aside ann@nowhere.org", "set aside col:on@example.net"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if text := read(t, filepath.Join(site, "home/vpopmail/domains/example.net/vpasswd")); text != "new::1:0::/h:NOQUOTA\n" {
		t.Errorf("written %q", text)
	}
	if text := read(t, filepath.Join(site, "home/vpopmail/domains/example.net/dovetail-old-vpasswd")); strings.Count(text, "\n") != 3 {
		t.Errorf("kept %q", text)
	}
}

func TestVpopmailsLockIsRespected(t *testing.T) {
	site := unpacked(t)
	dir, err := (*disk.FS)(nil).OpenRoot(filepath.Join(site, "home/vpopmail/domains/example.net"))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	lock, err := dir.Create(".vpasswd.lock", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if ok, err := lock.TryLock(true); !ok || err != nil {
		t.Fatal(ok, err)
	}
	list := &List{Users: []User{{Name: "ann@example.net", Hash: "xYEzwLG5knggo", Home: "/h"}}}
	plan, err := Prepare(context.Background(), list, Place{}, place(t, "vpopmail:/home/vpopmail", site), Options{Overwrite: true})
	if err != nil {
		t.Fatal(err)
	}
	before := read(t, filepath.Join(site, siteFiles[2]))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := plan.files[0].write(ctx); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("got %v", err)
	}
	if read(t, filepath.Join(site, siteFiles[2])) != before {
		t.Error("written in spite of the lock")
	}
}

// At every write of a run the disk fails; each file is then there as it was or as it is to be, and a second run ends it.
func TestADiskThatFailsAtAnyWriteLeavesWholeFiles(t *testing.T) {
	site := unpacked(t)
	src := place(t, "vpopmail:/home/vpopmail", site)
	old := &List{Users: []User{{Name: "alice@example.com", Hash: "xYEzwLG5knggo", UID: "89", GID: "89", Home: "/h"}}}
	start := func(dir string) Place {
		dst := place(t, "passwd-file:"+filepath.Join(dir, "users"), "")
		apply(t, old, dst, Options{})
		return dst
	}
	list, err := Read(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	dirs := [2]string{t.TempDir(), t.TempDir()}
	start(dirs[0])
	before := contents(t, dirs[0])
	run := func(dst Place, faulty *disk.FS) error {
		plan, err := Prepare(context.Background(), list, src, dst, Options{FS: faulty})
		if err != nil {
			t.Fatal(err)
		}
		return plan.Apply(context.Background())
	}
	writes := 0
	if err := run(start(dirs[1]), &disk.FS{Fault: func(disk.Op, string) error { writes++; return nil }}); err != nil {
		t.Fatal(err)
	}
	after := contents(t, dirs[1])
	if writes < 20 {
		t.Fatalf("only %d writes", writes)
	}
	for fail := range writes {
		dir := t.TempDir()
		dst, n := start(dir), 0
		err := run(dst, &disk.FS{Fault: func(op disk.Op, path string) error {
			if n++; n == fail+1 {
				return &fs.PathError{Op: string(op), Path: path, Err: unix.ENOSPC}
			}
			return nil
		}})
		for name, text := range contents(t, dir) {
			whole := text == without(before[name], dirs[0], dir) || text == without(after[name], dirs[1], dir)
			if !whole && !strings.HasSuffix(name, ".tmp") {
				t.Fatalf("write %d failed with %v and left %s:\n%s", fail, err, name, text)
			}
		}
		if err := run(dst, nil); err != nil {
			t.Fatal(err)
		}
		if got := contents(t, dir)["users"]; got != after["users"] {
			t.Fatalf("a second run gave\n%s", got)
		}
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all[e.Name()] = read(t, filepath.Join(dir, e.Name()))
	}
	return all
}

// without puts one folder's name in place of the other's, which stands in the configuration.
func without(text, dir, put string) string { return strings.ReplaceAll(text, dir, put) }
