package disk

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func open(t *testing.T, f *FS, path string) *Dir {
	t.Helper()
	d, err := f.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNothingBelowARootIsReachedThroughALink(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	put(t, outside+"/secret", "secret")
	put(t, root+"/sub/own", "own")
	for link, to := range map[string]string{
		"abs": outside + "/secret", "dir": outside, "up": "../" + filepath.Base(outside) + "/secret", "inside": "sub/own", "insidedir": "sub",
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	d := open(t, nil, root)
	for _, name := range []string{"abs", "dir/secret", "up", "inside", "insidedir/own", "../" + filepath.Base(outside) + "/secret"} {
		if f, err := d.Open(name); err == nil {
			f.Close()
			t.Errorf("Open(%q) followed a link", name)
		}
		if f, err := d.OpenWrite(name, 0); err == nil {
			f.Close()
			t.Errorf("OpenWrite(%q) followed a link", name)
		}
	}
	for _, name := range []string{"dir", "insidedir"} {
		if sub, err := d.OpenDir(name); err == nil {
			sub.Close()
			t.Errorf("OpenDir(%q) followed a link", name)
		}
		if err := d.RemoveAll(name); err == nil {
			t.Errorf("RemoveAll(%q) went through a link", name)
		}
	}
	if _, err := d.Open("abs"); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a link gave %v, want ErrNotRegular", err)
	}
	if f, err := d.Open("sub/own"); err != nil {
		t.Errorf("a plain file two levels down: %v", err)
	} else {
		f.Close()
	}
}

func TestARootMayBeRefusedThroughALinkToo(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put(t, root+"/home/Maildir/file", "x")
	if err := os.Symlink("home", root+"/link"); err != nil {
		t.Fatal(err)
	}
	strict := &FS{NoLinks: true}
	d := open(t, strict, root+"/home/Maildir")
	if got, want := d.Path(), root+"/home/Maildir"; got != want {
		t.Errorf("path %q, want %q", got, want)
	}
	open(t, strict, "/")
	open(t, nil, root+"/link/Maildir")
	for _, path := range []string{root + "/link", root + "/link/Maildir", "relative"} {
		if d, err := strict.OpenRoot(path); err == nil {
			d.Close()
			t.Errorf("OpenRoot(%q) followed a link", path)
		}
	}
	if _, err := strict.MakeRoot(root+"/link/new", 0o700); err == nil {
		t.Error("MakeRoot followed a link")
	}
}

func TestAFIFOIsRefusedWithoutWaiting(t *testing.T) {
	root := t.TempDir()
	if err := unix.Mkfifo(root+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	d := open(t, nil, root)
	if _, err := d.Open("fifo"); !errors.Is(err, ErrNotRegular) {
		t.Errorf("got %v, want ErrNotRegular", err)
	}
}

func TestAReadOnlyFileSystemRefusesEveryChange(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/a", "a")
	d := open(t, &FS{ReadOnly: true}, root)
	_, create := d.Create("b", 0o600)
	_, write := d.OpenWrite("a", 0)
	_, lock := d.TryDotlock("a", 0o600)
	for what, err := range map[string]error{
		"create": create, "open for writing": write, "dotlock": lock,
		"mkdir": d.Mkdir("m", 0o700), "rename": d.Rename("a", d, "c"), "remove": d.Remove("a"), "link": d.Link("a", d, "l"),
		"chtimes": d.Chtimes("a", time.Now()), "sync": d.Sync(), "syncfs": d.SyncAll(),
		"replace": d.ReplaceFile("a", 0o600, func(w io.Writer) error { return nil }),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: got %v, want ErrReadOnly", what, err)
		}
	}
	if entries, _ := os.ReadDir(root); len(entries) != 1 {
		t.Errorf("the folder changed: %v", entries)
	}
}

func TestReplaceFileLeavesTheOldContentWhenAnyStepFails(t *testing.T) {
	steps := 0
	for stop := 1; ; stop++ {
		root := t.TempDir()
		put(t, root+"/f", "old")
		put(t, root+"/f.tmp", "left by a dead process")
		steps = 0
		boom := errors.New("boom")
		d := open(t, &FS{Fault: func(Op, string) error {
			if steps++; steps >= stop {
				return boom
			}
			return nil
		}}, root)
		err := d.ReplaceFile("f", 0o600, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err })
		got, _ := os.ReadFile(root + "/f")
		if err == nil {
			if string(got) != "new" {
				t.Errorf("no error, but content %q", got)
			}
			return
		}
		if !errors.Is(err, boom) {
			t.Fatalf("step %d: %v", stop, err)
		}
		if s := string(got); s != "old" && s != "new" {
			t.Errorf("step %d left %q", stop, s)
		}
	}
}

func TestLocksExcludeOtherOpenFilesOfTheSameProcess(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/f", "")
	d := open(t, nil, root)
	a, err := d.OpenWrite("f", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := d.OpenWrite("f", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if ok, err := a.TryLock(true); !ok || err != nil {
		t.Fatalf("first lock: %v %v", ok, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Lock(ctx, true); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: got %v, want ErrLocked", err)
	}
	if err := a.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := b.Lock(context.Background(), true); err != nil {
		t.Errorf("after the unlock: %v", err)
	}
}

func TestADotlock(t *testing.T) {
	host, _ := os.Hostname()
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	gone := strconv.Itoa(dead.Process.Pid) + ":" + host
	for _, tc := range []struct {
		name, content string
		stale         time.Duration
		taken         bool
	}{
		{"of a dead process of this host is overridden at once", gone, time.Hour, true},
		{"of a living process is respected", strconv.Itoa(os.Getpid()) + ":" + host, time.Hour, false},
		{"of another host is respected", "1:elsewhere.example", time.Hour, false},
		{"that is empty is respected until it is stale", "", time.Hour, false},
		{"of another host is overridden when stale", "1:elsewhere.example", time.Millisecond, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			put(t, root+"/list.lock", tc.content)
			d := open(t, nil, root)
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			l, err := d.Dotlock(ctx, "list", tc.stale, 0o600)
			if tc.taken != (err == nil) {
				t.Fatalf("got error %v, want taken %v", err, tc.taken)
			}
			if err != nil {
				return
			}
			if err := l.Unlock(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(root + "/list.lock"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the lock file is still there: %v", err)
			}
		})
	}
}

func TestReadFileRefusesWhatIsLargerThanItsLimit(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/f", "12345")
	d := open(t, nil, root)
	if b, err := d.ReadFile("f", 5); err != nil || string(b) != "12345" {
		t.Errorf("at the limit: %q, %v", b, err)
	}
	if _, err := d.ReadFile("f", 4); !errors.Is(err, errTooLarge) {
		t.Errorf("above the limit: %v", err)
	}
	if b, err := d.ReadFile("f", 1<<20); err != nil || len(b) != 5 {
		t.Errorf("below the limit: %q, %v", b, err)
	}
}

func TestFilesAndFoldersBelongToTheMailUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	root := t.TempDir()
	f := &FS{Own: true, UID: 30001, GID: 30002}
	d, err := f.MakeRoot(root+"/a/b", 0o750)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	sub, err := d.MakeDir("c/d", 0o700)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	file, err := sub.Create("m", 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for path, mode := range map[string]fs.FileMode{"a": 0o750, "a/b": 0o750, "a/b/c": 0o700, "a/b/c/d": 0o700, "a/b/c/d/m": 0o640} {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(root, path), &st); err != nil {
			t.Fatal(err)
		}
		if st.Uid != 30001 || st.Gid != 30002 || fs.FileMode(st.Mode).Perm() != mode {
			t.Errorf("%s: %d:%d %o, want 30001:30002 %o", path, st.Uid, st.Gid, st.Mode&0o777, mode)
		}
	}
}

func TestADotlockIsNeverSeenWithoutItsOwner(t *testing.T) {
	root := t.TempDir()
	var seen []string
	d := open(t, &FS{Fault: func(op Op, path string) error {
		if b, err := os.ReadFile(root + "/list.lock"); err == nil {
			seen = append(seen, string(op)+" "+string(b))
		}
		return nil
	}}, root)
	l, err := d.TryDotlock("list", 0o600)
	if err != nil || l == nil {
		t.Fatal(l, err)
	}
	if len(seen) > 0 {
		t.Errorf("the lock was there before it was whole: %q", seen)
	}
	if b, err := os.ReadFile(root + "/list.lock"); err != nil || !strings.HasPrefix(string(b), strconv.Itoa(os.Getpid())+":") {
		t.Errorf("the lock holds %q, %v", b, err)
	}
	if again, err := d.TryDotlock("list", 0o600); again != nil || err != nil {
		t.Errorf("taken twice: %v, %v", again, err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestWhenTimesAreSettled(t *testing.T) {
	now := time.Unix(1000, 500_000_000)
	at := func(ago time.Duration) unix.Timespec { return unix.NsecToTimespec(now.Add(-ago).UnixNano()) }
	for _, c := range []struct {
		name string
		id   ID
		want bool
	}{
		{"no file", ID{}, true},
		{"changed long ago", ID{Ino: 1, MTime: at(time.Hour), CTime: at(time.Minute)}, true},
		{"written a moment ago", ID{Ino: 1, MTime: at(20 * time.Millisecond), CTime: at(20 * time.Millisecond)}, false},
		{"a time set back a moment ago", ID{Ino: 1, MTime: at(time.Hour), CTime: at(20 * time.Millisecond)}, false},
		{"a clock of fractions has ticked", ID{Ino: 1, MTime: at(60 * time.Millisecond), CTime: at(60 * time.Millisecond)}, true},
		{"a clock of seconds may not have", ID{Ino: 1, CTime: unix.Timespec{Sec: 999}}, false},
		{"a whole second that was set", ID{Ino: 1, MTime: unix.Timespec{Sec: 1001}, CTime: at(time.Minute)}, true},
		{"a clock that went back", ID{Ino: 1, CTime: at(-time.Minute)}, false},
	} {
		if got := c.id.Settled(now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
