package sync_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/location"
	"dovetail/sync"
)

// What the child that dies is told.
const (
	dieAt     = "DOVETAIL_TEST_DIE_AT" // the boundary, from 1; 0 only counts
	dieSource = "DOVETAIL_TEST_SOURCE"
	dieTarget = "DOVETAIL_TEST_TARGET"
)

// TestDyingChild is no test: it is the process that TestKillAtEveryBoundary starts and that kills itself.
func TestDyingChild(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(dieAt))
	if err != nil {
		t.Skip("only a child process of TestKillAtEveryBoundary")
	}
	var boundaries atomic.Int64 // several goroutines write messages
	fsys := dovecot.FS()
	fsys.Fault = func(disk.Op, string) error {
		if boundaries.Add(1) == int64(n) {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
		return nil
	}
	convertOnce(t, os.Getenv(dieSource), os.Getenv(dieTarget), fsys)
	fmt.Printf("boundaries %d\n", boundaries.Load())
}

func convertOnce(t *testing.T, source, target string, fsys *disk.FS) {
	t.Helper()
	src := openStore(t, source, &disk.FS{ReadOnly: true}, false)
	dst := openStore(t, target, fsys, true)
	// One worker and small groups: the same boundaries in each run, and several commits.
	report, err := sync.Mirror(t.Context(), src, dst, sync.Options{Jobs: 1, GroupMessages: 2})
	if err != nil || len(report.SetAside) > 0 {
		t.Fatalf("%v, set aside %+v", err, report)
	}
}

// child runs a conversion in another process that dies at boundary n, and gives the number of boundaries if it lived.
func child(t *testing.T, source, target string, n int) (boundaries int, died bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDyingChild$", "-test.v")
	cmd.Env = append(os.Environ(), dieAt+"="+strconv.Itoa(n), dieSource+"="+source, dieTarget+"="+target)
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

// A conversion that is killed at any write leaves nothing that a client could take for another mailbox than the source's
// of before or after, and the next run completes it. The first run fills an empty target; the later one finds new,
// changed and expunged messages.
func TestKillAtEveryBoundary(t *testing.T) {
	dovecot.Need(t)
	before, after := smallSources(t)
	for _, to := range []string{"mbox", "maildir", "maildir-fs", "sdbox", "mdbox"} {
		t.Run(to+", first run", func(t *testing.T) {
			t.Parallel()
			k := newKill(t, to, before, before)
			k.everywhere(func(string) {})
		})
		t.Run(to+", later run", func(t *testing.T) {
			t.Parallel()
			k := newKill(t, to, before, after)
			done := k.path("done")
			convertOnce(t, before, dovecot.Location(to, done), dovecot.FS())
			k.everywhere(func(root string) { copyStore(t, done, root) })
		})
	}
}

// smallSources gives the locations of one Maildir at two times.
func smallSources(t *testing.T) (before, after string) {
	dir := dovecot.TempDir(t)
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	j := dovecot.New(t, "maildir:"+one)
	s := j.IMAP()
	s.Cmd("CREATE " + dovecot.Quote("Work/Größe"))
	s.Cmd("SUBSCRIBE " + dovecot.Quote("Work/Größe"))
	for i, flags := range []string{`\Seen kw1`, "", `\Flagged kw2`} {
		s.Append("INBOX", flags, "01-Jan-2020 00:00:00 +0000", fmt.Sprintf("Subject: %d\r\n\r\nbody %d\r\nFrom here\r\n", i, i))
	}
	s.Append("Work/Größe", "", "02-Jan-2020 00:00:00 +0000", "Subject: work\r\n\r\nx\r\n")
	s.Close()
	copyStore(t, one, two)
	j = dovecot.New(t, "maildir:"+two)
	s = j.IMAP()
	s.Append("INBOX", `\Draft kw3`, "03-Jan-2020 00:00:00 +0000", "Subject: new\r\n\r\nlater\r\n")
	s.Append("INBOX", "", "03-Jan-2020 00:00:00 +0000", "Subject: new 2\r\n\r\nlater\r\n")
	s.Select("INBOX")
	s.Cmd(`UID STORE 1 FLAGS.SILENT (\Answered kw4)`)
	s.Cmd(`UID STORE 2 +FLAGS.SILENT (\Deleted)`)
	s.Cmd("UID EXPUNGE 2")
	s.Cmd("CREATE New")
	s.Append("New", "", "", "Subject: in a new mailbox\r\n\r\nx\r\n")
	s.Close()
	return "maildir:" + one, "maildir:" + two
}

// dovecotEvery is how many boundaries go by between two looks of Dovecot, each of which takes a while.
const dovecotEvery = 13

type kill struct {
	t        *testing.T
	dir, to  string
	source   string
	old, now view
	fresh    bool // the target is empty before
}

func newKill(t *testing.T, to, before, after string) *kill {
	k := &kill{t: t, dir: dovecot.TempDir(t), to: to, source: after, fresh: before == after}
	k.old, k.now = k.look(before), k.look(after)
	return k
}

func (k *kill) path(name string) string { return filepath.Join(k.dir, name) }

// everywhere kills at each boundary; prepare makes the target as it was before the run.
func (k *kill) everywhere(prepare func(root string)) {
	t := k.t
	for n := 1; ; n++ {
		root := k.path("target")
		for _, old := range []string{root, root + "-inbox", k.path("copy"), k.path("copy-inbox")} {
			if err := os.RemoveAll(old); err != nil {
				t.Fatal(err)
			}
		}
		prepare(root)
		target := dovecot.Location(k.to, root)
		boundaries, died := child(t, k.source, target, n)
		if !died {
			t.Logf("%d boundaries", boundaries)
			return
		}
		k.neither(n, k.look(target))
		if n%dovecotEvery == 0 {
			k.dovecotLooks(n, root)
		}
		minuteLater(t, root)
		convertOnce(t, k.source, target, dovecot.FS())
		if got := k.look(target); !reflect.DeepEqual(got, k.now) {
			t.Fatalf("killed at boundary %d, after the next run\n got %v\nwant %v", n, got, k.now)
		}
	}
}

// dovecotLooks lets Dovecot read a copy of what the killed process left, because reading writes.
func (k *kill) dovecotLooks(n int, root string) {
	copied := k.path("copy")
	copyStore(k.t, root, copied)
	forgetNewlocks(k.t, copied)
	j := dovecot.New(k.t, dovecot.Location(k.to, copied))
	got := view{}
	for _, e := range j.List() {
		if e.NoSelect {
			continue
		}
		box := map[formats.UID]string{}
		for _, m := range j.Fetch(e.Name) {
			box[m.UID] = shape(m.Flags, m.Keywords, m.Body)
		}
		got[e.Name] = box
	}
	k.neither(n, got)
	if log := j.Log(); log != "" {
		k.t.Errorf("killed at boundary %d, Dovecot says\n%s", n, log)
	}
}

// minuteLater ages the files in which new index logs were being written. They name no process, so who finds one waits:
// we five seconds, Dovecot two minutes, to be sure that nobody writes it any more.
func minuteLater(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".newlock") {
			err = os.Chtimes(path, time.Time{}, time.Now().Add(-time.Minute))
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// forgetNewlocks removes them, for Dovecot.
func forgetNewlocks(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".newlock") {
			err = os.Remove(path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// view is what a store shows: mailbox, UID, and the message as text.
type view map[string]map[formats.UID]string

func shape(flags formats.Flags, keywords []string, body string) string {
	body = strings.ReplaceAll(body, "\r\n", "\n")
	return fmt.Sprintf("%v %v %q", flags&formats.SystemFlags, slices.Sorted(slices.Values(keywords)), body)
}

// look reads a store with our own code; one that is not there is empty.
func (k *kill) look(where string) view {
	t := k.t
	t.Helper()
	l, err := location.Parse(where, location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := location.Open(t.Context(), l, location.Options{FS: &disk.FS{ReadOnly: true}})
	if errors.Is(err, fs.ErrNotExist) {
		return view{}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	infos, err := s.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := view{}
	for _, info := range infos {
		if info.Err != nil {
			t.Fatalf("%s: %v", info.Name, info.Err)
		}
		if !info.NoSelect {
			all[info.Name] = lookInto(t, s, info.Name)
		}
	}
	return all
}

func lookInto(t *testing.T, s formats.Store, name string) map[formats.UID]string {
	t.Helper()
	box, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	defer box.Close()
	msgs := map[formats.UID]string{}
	for m, err := range box.Messages(t.Context(), formats.Query{Want: formats.WantAll}) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		msgs[m.UID] = shape(m.Flags, m.Keywords, readBody(t, t.Context(), box, &m))
	}
	return msgs
}

func readBody(t *testing.T, ctx context.Context, box formats.Mailbox, m *formats.Message) string {
	t.Helper()
	body, err := box.Body(ctx, m)
	if err != nil {
		t.Fatalf("%s uid %d: %v", box.Name(), m.UID, err)
	}
	defer body.Close()
	var text strings.Builder
	if _, err := body.WriteTo(&text); err != nil {
		t.Fatalf("%s uid %d: %v", box.Name(), m.UID, err)
	}
	return text.String()
}

// neither fails if there is a message that is neither as before nor as after.
func (k *kill) neither(n int, got view) {
	k.t.Helper()
	for name, msgs := range got {
		for uid, text := range msgs {
			if text != k.old[name][uid] && text != k.now[name][uid] {
				k.t.Fatalf("killed at boundary %d, %s uid %d is %s\nneither %s\nnor %s", n, name, uid, text, k.old[name][uid], k.now[name][uid])
			}
		}
		for uid := range k.old[name] {
			_, kept := k.now[name][uid]
			if _, there := msgs[uid]; kept && !there && !k.fresh {
				k.t.Fatalf("killed at boundary %d, %s uid %d is gone", n, name, uid)
			}
		}
	}
}

// copyStore copies a store with its modification times, owners and hard links.
func copyStore(t *testing.T, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-inbox"} {
		if _, err := os.Lstat(from + suffix); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if out, err := exec.Command("cp", "-a", from+suffix, to+suffix).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}
