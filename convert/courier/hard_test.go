package courier_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"dovetail/convert/courier"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/couriersite"
)

// What the process that dies is told.
const (
	hardAt   = "DOVETAIL_TEST_COURIER_DIE_AT" // the boundary, from 1; 0 only counts
	hardTo   = "DOVETAIL_TEST_COURIER_TO"
	hardRoot = "DOVETAIL_TEST_COURIER_ROOT"
)

// TestKilledRun is no test: it is the process that TestKilledRunsAreFinished starts and that kills itself.
func TestKilledRun(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(hardAt))
	if err != nil {
		t.Skip("only a child process of TestKilledRunsAreFinished")
	}
	var boundaries atomic.Int64
	o := courier.Options{Convert: true, Fault: func(disk.Op, string) error {
		if boundaries.Add(1) == int64(n) {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
		return nil
	}}
	if os.Getenv(hardTo) == "courier" {
		o.To = courier.ToCourier
	}
	if _, err := courier.Run(t.Context(), courier.User{Name: "killed", Maildir: os.Getenv(hardRoot)}, o); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("boundaries %d\n", boundaries.Load())
}

// killedAt runs in a process that dies at boundary n, and gives the number of boundaries if it lived.
func killedAt(t *testing.T, root, to string, n int) (boundaries int, died bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledRun$", "-test.v")
	cmd.Env = append(os.Environ(), hardAt+"="+strconv.Itoa(n), hardTo+"="+to, hardRoot+"="+root)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
			return n, true
		}
	}
	_, rest, ok := strings.Cut(string(out), "boundaries ")
	if err != nil || !ok {
		t.Fatalf("child at boundary %d: %v\n%s", n, err, out)
	}
	fmt.Sscan(rest, &boundaries)
	return boundaries, false
}

// copyTree copies with owners, times and links.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// runUser converts one Maildir.
func runUser(t *testing.T, root string, o courier.Options) (*courier.UserReport, error) {
	t.Helper()
	o.Convert = true
	return courier.Run(t.Context(), courier.User{Name: "user", Maildir: root}, o)
}

var anyGUID = regexp.MustCompile(` G[0-9a-f]{32}`)

// kept is all that counts of a Maildir: names of messages and contents of control files, without our own notes and what is
// chosen at random.
func kept(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(path, root)
		switch parent := filepath.Base(filepath.Dir(path)); {
		case d.IsDir(), strings.HasPrefix(d.Name(), "dovetail-"), parent == "tmp":
			return nil
		case parent == "cur", parent == "new":
			all[rel] = "message"
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		all[rel] = anyGUID.ReplaceAllString(string(b), "")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// mustBeWholeLists fails if a list is neither as before nor as after.
func mustBeWholeLists(t *testing.T, when string, now, before, after map[string]string) {
	t.Helper()
	for path, text := range now {
		switch filepath.Base(path) {
		default:
			continue
		case "dovecot-uidlist", "dovecot-keywords", "subscriptions", "courierimapuiddb", "courierpop3dsizelist", "courierimapsubscribed", ":list":
		}
		if text != before[path] && text != after[path] && text != "message" {
			t.Fatalf("%s: %s is neither as before nor as after:\n%q", when, path, text)
		}
	}
}

func mustBeEqual(t *testing.T, when string, want, got map[string]string) {
	t.Helper()
	if reflect.DeepEqual(want, got) {
		return
	}
	for path := range want {
		if got[path] != want[path] {
			t.Errorf("%s: %s is\n%q\nwant\n%q", when, path, got[path], want[path])
		}
	}
	for path := range got {
		if _, wanted := want[path]; !wanted {
			t.Errorf("%s: %s is left over", when, path)
		}
	}
}

// both gives a user of the site at the start of a conversion in either direction, and what it is to end with.
func both(t *testing.T, user string, each func(t *testing.T, to string, start string, end map[string]string)) {
	s := couriersite.Unpack(t)
	start := s.Maildir(user)
	for _, to := range []courier.Direction{courier.ToDovecot, courier.ToCourier} {
		t.Run("to "+to.String(), func(t *testing.T) {
			done := filepath.Join(t.TempDir(), "done")
			copyTree(t, start, done)
			if r, err := runUser(t, done, courier.Options{To: to}); err != nil || r.ExitCode() != 0 {
				t.Fatalf("%v, %+v", err, r)
			}
			each(t, to.String(), start, kept(t, done))
		})
		if _, err := runUser(t, start, courier.Options{}); err != nil { // the way back begins here
			t.Fatal(err)
		}
		forgetCourier(t, s)
	}
}

// A run that is killed at any write leaves every list as before or as after, and the next run ends where one that was not
// killed would have ended.
func TestKilledRunsAreFinished(t *testing.T) {
	both(t, "judy@example.com", func(t *testing.T, to, start string, end map[string]string) {
		before := kept(t, start)
		root := filepath.Join(t.TempDir(), "killed")
		o := courier.Options{}
		if to == "courier" {
			o.To = courier.ToCourier
		}
		for n := 1; ; n++ {
			if err := os.RemoveAll(root); err != nil {
				t.Fatal(err)
			}
			copyTree(t, start, root)
			boundaries, died := killedAt(t, root, to, n)
			if !died {
				t.Logf("%d boundaries", boundaries)
				return
			}
			when := fmt.Sprintf("killed at boundary %d", n)
			mustBeWholeLists(t, when, kept(t, root), before, end)
			if r, err := runUser(t, root, o); err != nil || r.ExitCode() != 0 {
				t.Fatalf("%s, then: %v, %+v", when, err, r)
			}
			mustBeEqual(t, when, end, kept(t, root))
			if t.Failed() {
				return
			}
		}
	})
}

// A disk that is full at any write ends the run with an error or is reported; no list is cut short, and a run with room ends
// where it would have ended.
func TestFullDiskAtAnyWrite(t *testing.T) {
	both(t, "ulla@example.net", func(t *testing.T, to, start string, end map[string]string) {
		before := kept(t, start)
		root := filepath.Join(t.TempDir(), "full")
		o := courier.Options{}
		if to == "courier" {
			o.To = courier.ToCourier
		}
		for n := 1; ; n += 1 + n/10 { // each of the first, then fewer
			if err := os.RemoveAll(root); err != nil {
				t.Fatal(err)
			}
			copyTree(t, start, root)
			when := fmt.Sprintf("full from boundary %d", n)
			count, hit := 0, false
			full := o
			full.Fault = func(op disk.Op, path string) error {
				if count++; count < n || op == disk.OpRemove || op == disk.OpRename || op == disk.OpTruncate {
					return nil
				}
				hit = true
				return &fs.PathError{Op: string(op), Path: path, Err: syscall.ENOSPC}
			}
			r, err := runUser(t, root, full)
			if !hit {
				t.Logf("%d boundaries", count)
				return
			}
			if err == nil && r.ExitCode() == 0 {
				mustBeEqual(t, when+", which nobody said", end, kept(t, root))
			}
			mustBeWholeLists(t, when, kept(t, root), before, end)
			if r, err := runUser(t, root, o); err != nil || r.ExitCode() != 0 {
				t.Fatalf("%s, then: %v, %+v", when, err, r)
			}
			mustBeEqual(t, when, end, kept(t, root))
			if t.Failed() {
				return
			}
		}
	})
}

// The same on a disk that is really full, with more room each time.
func TestReallyFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	s := couriersite.Unpack(t)
	small := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("no small file system can be mounted: %v", err)
	}
	defer syscall.Unmount(small, 0)
	user := "alice@example.com"
	done := filepath.Join(filepath.Dir(s.Maildir(user)), "done")
	copyTree(t, s.Maildir(user), done)
	if _, err := runUser(t, done, courier.Options{}); err != nil {
		t.Fatal(err)
	}
	before, end := kept(t, s.Maildir(user)), kept(t, done)
	root, filler := filepath.Join(small, "Maildir"), filepath.Join(small, "filler")
	for room := int64(0); room < 1<<20; room += 20 << 10 {
		if err := os.RemoveAll(root); err != nil {
			t.Fatal(err)
		}
		copyTree(t, s.Maildir(user), root)
		fill(t, small, filler, room)
		when := fmt.Sprintf("%d bytes of room", room)
		r, err := runUser(t, root, courier.Options{})
		if err == nil && r.ExitCode() == 0 {
			mustBeEqual(t, when, end, kept(t, root))
			if room == 0 {
				t.Error("no room was needed: nothing was tested")
			}
			return
		}
		mustBeWholeLists(t, when, kept(t, root), before, end)
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		if _, err := runUser(t, root, courier.Options{}); err != nil {
			t.Fatalf("%s, then: %v", when, err)
		}
		mustBeEqual(t, when, end, kept(t, root))
		if t.Failed() {
			return
		}
	}
}

// fill leaves so much room and no more.
func fill(t *testing.T, dir, filler string, room int64) {
	t.Helper()
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	if size := int64(st.Bavail)*st.Bsize - room; size > 0 {
		if err := syscall.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
			t.Fatal(err)
		}
	}
}
