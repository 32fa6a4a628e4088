package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
)

// The crash tests run each change in a process of its own that dies at the n-th write boundary, so that its lock and its
// leftovers are those of a dead process.
const (
	crashRoot  = "DOVETAIL_CRASH_ROOT"
	crashWhat  = "DOVETAIL_CRASH_WHAT"
	crashAt    = "DOVETAIL_CRASH_AT"
	crashCount = 3
)

func crashBody(uid formats.UID) string {
	return fmt.Sprintf("Subject: %d\n\n%s\n", uid, strings.Repeat("y", int(uid)))
}

func crashAppend(first, n formats.UID, keywords ...string) func(tx formats.Tx) error {
	return func(tx formats.Tx) error {
		for uid := first; uid < first+n; uid++ {
			m := formats.Message{UID: uid * 3, Flags: formats.Flagged, Keywords: keywords,
				Detail: formats.Detail{GUID: fmt.Sprintf("%032d", uid), InternalDate: time.Unix(1600000000, 0)}}
			if err := tx.Append(context.Background(), m, newBody(crashBody(uid))); err != nil {
				return err
			}
		}
		return nil
	}
}

// crashChanges are the changes that are interrupted. all tells that a reader must see all of it or nothing; of the
// others, each message is as before or as after.
var crashChanges = map[string]struct {
	all bool
	do  func(tx formats.Tx) error
}{
	"append of one message":             {true, crashAppend(10, 1)},
	"append of many with a new keyword": {true, crashAppend(10, 9, "fresh", "old")},
	"change of flags": {false, func(tx formats.Tx) error {
		return tx.SetFlags(formats.Ranges{{First: 1, Last: 9}}, formats.FlagChange{Op: formats.ReplaceFlags, Flags: formats.Seen, Keywords: []string{"fresh"}})
	}},
	"expunge": {false, func(tx formats.Tx) error { return tx.Expunge(formats.Ranges{{First: 1, Last: 6}}) }},
	"raise":   {true, func(tx formats.Tx) error { return tx.Raise(500, 0, 0) }},
}

func TestCrashHelper(t *testing.T) {
	root := os.Getenv(crashRoot)
	if root == "" {
		t.Skip("runs only as the process that is to die")
	}
	die, err := strconv.Atoi(os.Getenv(crashAt))
	if err != nil {
		t.Fatal(err)
	}
	files := dovecot.FS()
	s := openStore(t, Options{Root: root, FS: files})
	b := openBox(t, s, "INBOX")
	n := 0
	files.Fault = func(disk.Op, string) error {
		if n++; n == die {
			os.Exit(crashCount)
		}
		return nil
	}
	if _, err := b.Update(t.Context(), crashChanges[os.Getenv(crashWhat)].do); err != nil {
		t.Fatal(err)
	}
}

func TestDeathAtEveryWriteBoundary(t *testing.T) {
	dovecot.Need(t)
	total := 0
	base := crashTree(t)
	for what, change := range crashChanges {
		t.Run(what, func(t *testing.T) {
			old := crashState(t, base)
			finished := copyTree(t, base)
			update(t, openBox(t, openStore(t, Options{Root: finished, FS: dovecot.FS()}), "INBOX"), change.do)
			want := crashState(t, finished)
			for die := 1; ; die++ {
				root := copyTree(t, base)
				cmd := exec.Command(os.Args[0], "-test.run=^TestCrashHelper$")
				cmd.Env = append(os.Environ(), crashRoot+"="+root, crashWhat+"="+what, crashAt+"="+strconv.Itoa(die))
				out, err := cmd.CombinedOutput()
				if err == nil {
					total += die - 1
					t.Logf("%d write boundaries", die-1)
					return
				}
				if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != crashCount {
					t.Fatalf("%v\n%s", err, out)
				}
				dropEmptyLock(t, root)
				got := crashState(t, root)
				if change.all && got != old && got != want {
					t.Fatalf("death at boundary %d: a reader sees\n%swant\n%sor\n%s", die, got, old, want)
				}
				crashRerun(t, root, die, got == want, change.do, want)
			}
		})
	}
	t.Logf("%d write boundaries in all", total)
}

// dropEmptyLock removes a lock whose owner died before it wrote its process id into it: nobody can tell that it is dead
// before the two minutes are over after which any lock is stale.
func dropEmptyLock(t *testing.T, root string) {
	lock := filepath.Join(root, uidlistName+".lock")
	if st, err := os.Stat(lock); err == nil && st.Size() == 0 {
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
	}
}

// crashRerun does the change again unless it was done, and lets Dovecot look.
func crashRerun(t *testing.T, root string, die int, done bool, do func(formats.Tx) error, want string) {
	t.Helper()
	s := openStore(t, Options{Root: root, FS: dovecot.FS()})
	b := openBox(t, s, "INBOX")
	if !done {
		update(t, b, do)
	} else if _, err := b.Status(t.Context()); err != nil { // which moves what is in tmp/
		t.Fatal(err)
	}
	if got := crashState(t, root); got != want {
		t.Fatalf("rerun after death at boundary %d gives\n%swant\n%s", die, got, want)
	}
	if left, err := os.ReadDir(filepath.Join(root, "tmp")); err != nil || len(left) != 0 {
		t.Fatalf("rerun after death at boundary %d left %v in tmp, %v", die, left, err)
	}
	if die%4 != 1 {
		return // Dovecot takes its time
	}
	j := dovecot.New(t, "maildir:"+root)
	session := j.IMAP()
	session.Cmd("EXAMINE INBOX")
	session.Close()
	var theirs strings.Builder
	for _, m := range j.Fetch("INBOX") {
		fmt.Fprintln(&theirs, m.UID, m.Flags&formats.SystemFlags, len(m.Keywords), m.GUID, strings.ReplaceAll(m.Body, "\r", ""))
	}
	fmt.Fprintln(&theirs, j.Status("INBOX").UIDNext)
	if theirs.String() != want {
		t.Fatalf("after death at boundary %d and a rerun Dovecot shows\n%swant\n%s", die, theirs.String(), want)
	}
	j.MustBeClean()
}

// crashTree makes a mailbox with three messages.
func crashTree(t *testing.T) string {
	root := filepath.Join(dovecot.TempDir(t), "m")
	s := openStore(t, Options{Root: root, FS: dovecot.FS(), Create: true})
	if err := s.Create(t.Context(), "INBOX", formats.Status{UIDValidity: 7}); err != nil {
		t.Fatal(err)
	}
	update(t, openBox(t, s, "INBOX"), crashAppend(1, 3, "old"))
	return root
}

// copyTree is quicker than making it again: nothing is synced.
func copyTree(t *testing.T, tree string) string {
	root := filepath.Join(dovecot.TempDir(t), "m")
	if err := os.CopyFS(root, os.DirFS(tree)); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, root)
	return root
}

// crashState is what a reader sees.
func crashState(t *testing.T, root string) string {
	t.Helper()
	s := openStore(t, Options{Root: root, FS: &disk.FS{ReadOnly: true}})
	b := openBox(t, s, "INBOX")
	var out strings.Builder
	for m, err := range b.Messages(t.Context(), formats.Query{Want: formats.WantGUID}) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := b.Body(t.Context(), &m)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
		body.Close()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, m.UID, m.Flags&formats.SystemFlags, len(m.Keywords), m.GUID, string(text))
	}
	st, err := b.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&out, st.UIDNext)
	return out.String()
}
