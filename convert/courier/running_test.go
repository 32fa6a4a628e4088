package courier

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
)

func hostname(t *testing.T) string {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return host
}

func TestR365ALockOfCourierMeansThatItIsRunning(t *testing.T) {
	for _, tc := range []struct {
		name, lock string
		running    bool
	}{
		{"a living process", fmt.Sprintf("%d:%s", os.Getpid(), hostname(t)), true},
		{"a process of another host", "1:elsewhere.example", true},
		{"a dead process", fmt.Sprintf("%d:%s", deadProcess(t), hostname(t)), false},
	} {
		f := files{}.box("", 1, 1, 2).box(".A", 2, 3, 3)
		f[".A/tmp/courier.lock"] = tc.lock
		root := mailbox(t, f)
		before := sums(t, root)
		for _, run := range []Options{{}, {Convert: true}} {
			r := convert(t, root, run)
			if running := r.Outcome == Skipped && strings.Contains(r.Reason, "Courier: it is running"); running != tc.running {
				t.Errorf("%s: %s", tc.name, r.Line())
			}
			if (r.ExitCode() == 2) != tc.running {
				t.Errorf("%s: exit code %d", tc.name, r.ExitCode())
			}
		}
		if diff := changes(before, sums(t, root)); tc.running && len(diff) > 0 {
			t.Errorf("%s: changed %q", tc.name, diff)
		}
	}
}

// deadProcess gives the id of a process that has ended.
func deadProcess(t *testing.T) int {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func TestR376ListsThatChangeWhileTheyAreReadSetTheUserAside(t *testing.T) {
	root := mailbox(t, files{}.box("", 1, 1, 2).box(".A", 2, 3, 3).box(".B", 3, 4, 4))
	uiddb := filepath.Join(root, ".B", "courierimapuiddb")
	work := func() {
		if err := os.WriteFile(uiddb, []byte("1 3 200\n40 "+base(4)+"\n"), 0o600); err != nil {
			t.Error(err)
		}
	}
	o := Options{Convert: true, Fault: func(op disk.Op, path string) error {
		if work != nil && op == disk.OpRename && strings.HasSuffix(path, "/dovecot-uidlist") {
			work()
			work = nil
		}
		return nil
	}}
	r := convert(t, root, o)
	if r.Outcome != Partly || !strings.Contains(r.Reason, "running") || r.ExitCode() != 2 {
		t.Errorf("%s", text(r))
	}
	if _, err := os.Stat(filepath.Join(root, ".B", "dovecot-uidlist")); err == nil {
		t.Error("the list that changed was converted")
	}
	if r := convert(t, root, Options{Convert: true}); r.Outcome != Converted || r.ExitCode() != 0 {
		t.Errorf("the next run: %s", text(r))
	}
	if b, err := os.ReadFile(filepath.Join(root, ".B", "dovecot-uidlist")); err != nil || !strings.Contains(string(b), "V3 N200") {
		t.Errorf("the list of .B is %q, %v", b, err)
	}
}

func TestR380ARunCanWaitUntilCourierIsQuiet(t *testing.T) {
	root := mailbox(t, files{}.box("", 1, 1, 2).box(".A", 2, 3, 3))
	uiddb := filepath.Join(root, ".A", "courierimapuiddb")
	var last atomic.Int64
	begun := make(chan bool)
	go func() {
		for next := int64(200); next < 300; next++ {
			text := fmt.Sprintf("1 2 %d\n30 %s\n", next, base(3))
			if err := os.WriteFile(uiddb, []byte(text), 0o600); err != nil {
				t.Error(err)
			}
			last.Store(next)
			if next == 200 {
				close(begun)
			}
			time.Sleep(time.Millisecond) // this is the pace of the work, nobody waits for it
		}
	}()
	<-begun
	r := convert(t, root, Options{Convert: true, WaitIdle: time.Second})
	if r.Outcome != Converted || last.Load() != 299 {
		t.Errorf("ended when Courier had reached %d: %s", last.Load(), r.Line())
	}
	if b, err := os.ReadFile(filepath.Join(root, ".A", "dovecot-uidlist")); err != nil || !strings.Contains(string(b), "V2 N299") {
		t.Errorf("the list is %q, %v", b, err)
	}
	dovecot.Own(t, root)
}

func TestNoFolderIsRenamedBesideARunningCourier(t *testing.T) {
	root := mailbox(t, files{}.box("", 1, 1, 2).box(".Entwürfe", 2, 3, 3).box(".R&-D", 3, 4, 4))
	beside := convert(t, root, Options{Convert: true, IgnoreRunning: true})
	if got := outcomes(beside); beside.Totals.Renamed != 0 || got[".Entwürfe"] != Converted || beside.ExitCode() != 2 {
		t.Errorf("%s", text(beside))
	}
	if again := convert(t, root, Options{Convert: true, IgnoreRunning: true}); len(again.Steps) > 0 || again.ExitCode() != 2 {
		t.Errorf("again: %s", text(again))
	}
	files{}.box(".Entwürfe", 2, 3, 5).plantAt(t, root) // Courier goes on
	last := convert(t, root, Options{Convert: true})
	if got := outcomes(last); last.Totals.Renamed != 2 || got[".Entwürfe"] != Converted || got[".R&-D"] != Already || last.ExitCode() != 0 {
		t.Errorf("the last run: %s", text(last))
	}
	if b, err := os.ReadFile(filepath.Join(root, ".Entw&APw-rfe", "dovecot-uidlist")); err != nil || !strings.Contains(string(b), "V2 N150") {
		t.Errorf("the list is %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(root, ".R&--D", "dovecot-uidlist")); err != nil {
		t.Error(err)
	}
}
