package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

var errDied = errors.New("died here")

// dieAt is a file system whose n-th change, counted from 0, and all later ones fail: the process is dead for the disk.
func dieAt(n int, count *int) *disk.FS {
	return &disk.FS{Fault: func(op disk.Op, path string) error {
		*count++
		if *count > n {
			return fmt.Errorf("%s %s: %w", op, filepath.Base(path), errDied)
		}
		return nil
	}}
}

// copyDir copies the files of a folder; hard links become files.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func describe(s *State) string {
	if s == nil {
		return "nothing"
	}
	return fmt.Sprintf("%d %d %d %d %q", s.UIDValidity, s.NextUID, s.HighestModSeq(), s.Len(), known(s))
}

// everyDeath runs change on copies of the folder start, dying at each of its changes of the disk, and demands the state
// from before or after, and that the next change works.
func everyDeath(t *testing.T, start string, change func(d *disk.Dir) error, acceptable ...string) {
	t.Helper()
	total := 0
	run := func(n int) (path string, err error) {
		total = 0
		path = copyDir(t, start)
		d, err := dieAt(n, &total).OpenRoot(path)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		return path, change(d)
	}
	whole, err := run(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	n := total
	want := append(acceptable, stateIn(t, start), stateIn(t, whole))
	for i := range n {
		path, _ := run(i)
		if got := stateIn(t, path); !slices.Contains(want, got) {
			t.Errorf("died at change %d of %d: state\n%s\nis none of\n%q", i+1, n, got, want)
		}
		changeAgain(t, path)
	}
	t.Logf("%d write boundaries", n)
}

func stateIn(t *testing.T, path string) string {
	t.Helper()
	d, err := (&disk.FS{ReadOnly: true}).OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s, err := Read(d, Prefix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read: %v", err)
	}
	return describe(s)
}

// changeAgain makes a small change where a change died, as the rerun does.
func changeAgain(t *testing.T, path string) {
	t.Helper()
	var f *disk.FS
	d, err := f.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	x, err := Open(d, Prefix)
	if errors.Is(err, fs.ErrNotExist) {
		os.Remove(filepath.Join(path, "dovecot.index"+newLock)) // instead of waiting until it counts as abandoned
		x, err = Create(t.Context(), d, Prefix, goldenNew())
	}
	if err != nil {
		t.Errorf("open again: %v", err)
		return
	}
	defer x.Close()
	var uid formats.UID
	err = x.Update(t.Context(), func(tx *Tx) (err error) { uid, err = tx.Append(Message{}); return err })
	if err != nil {
		t.Errorf("change again: %v", err)
	}
	s, err := Read(d, Prefix)
	if err != nil {
		t.Errorf("read again: %v", err)
		return
	}
	if _, ok := s.Find(uid); !ok {
		t.Errorf("the message appended after the death is not there")
	}
}

// goldenDir holds the sample index.
func goldenDir(t *testing.T) string {
	t.Helper()
	d := testDir(t, nil)
	x, err := Create(t.Context(), d, Prefix, goldenNew())
	if err != nil {
		t.Fatal(err)
	}
	x.Close()
	return d.Path()
}

// with opens the index and runs do on it.
func with(ctx context.Context, do func(x *Index) error) func(d *disk.Dir) error {
	return func(d *disk.Dir) error {
		x, err := Open(d, Prefix)
		if err != nil {
			return err
		}
		defer x.Close()
		return do(x)
	}
}

func TestDeathDuringCreate(t *testing.T) {
	everyDeath(t, t.TempDir(), func(d *disk.Dir) error {
		x, err := Create(t.Context(), d, Prefix, goldenNew())
		if err == nil {
			x.Close()
		}
		return err
	})
}

func TestDeathDuringUpdate(t *testing.T) {
	everyDeath(t, goldenDir(t), with(t.Context(), func(x *Index) error {
		return x.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.Append(Message{Keywords: []string{"a", "b"}})
			tx.UpdateFlags(formats.RangesOf(7), formats.Answered, formats.Seen)
			return err
		})
	}))
}

// When modseqs were chosen that a log cannot hold, death between log and snapshot leaves higher ones.
func TestDeathDuringUpdateWithChosenModSeqs(t *testing.T) {
	everyDeath(t, goldenDir(t), with(t.Context(), func(x *Index) error {
		return x.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.Append(Message{UID: 12, ModSeq: 3})
			return err
		})
	}), `1700000000 13 10 2 ["7 [\"$Forwarded\" \"\\\\Flagged\" \"\\\\Seen\"] 5" "12 [] 10"]`)
}

func TestDeathDuringRotation(t *testing.T) {
	start := goldenDir(t)
	for _, c := range []struct {
		name    string
		without string
	}{
		{"with a snapshot", ""},
		{"of the first log without a snapshot", "dovecot.index"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyDir(t, start)
			if c.without != "" {
				os.Remove(filepath.Join(dir, c.without))
			}
			everyDeath(t, dir, with(t.Context(), rotateNow))
		})
	}
}

// rotateNow rotates whatever the log's size.
func rotateNow(x *Index) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	ctx := context.Background()
	if err := x.lock(ctx); err != nil {
		return err
	}
	return x.rotate(ctx)
}

// A second rotation removes the .log.2 that an old snapshot may need.
func TestDeathDuringSecondRotation(t *testing.T) {
	start := goldenDir(t)
	d, err := (&disk.FS{}).OpenRoot(start)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	old := readFile(t, d, "dovecot.index")
	err = with(t.Context(), func(x *Index) error {
		err := x.Update(t.Context(), func(tx *Tx) error { _, err := tx.Append(Message{}); return err })
		if err != nil {
			return err
		}
		return rotateNow(x)
	})(d)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, d, "dovecot.index", old) // as if whoever rotated had died before the snapshot
	if _, err := Read(d, Prefix); err != nil {
		t.Fatal(err)
	}
	everyDeath(t, start, with(t.Context(), rotateNow))
}

// The last transaction of the log is cut at every byte, or has zeros from one of its records on: after a power failure
// a file may have its new size but not all of its new content.
func TestTornLog(t *testing.T) {
	start := goldenDir(t)
	d, err := (&disk.FS{}).OpenRoot(start)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	before := stateIn(t, start)
	err = with(t.Context(), func(x *Index) error {
		return x.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.Append(Message{Keywords: []string{"a"}})
			return err
		})
	})(d)
	if err != nil {
		t.Fatal(err)
	}
	log := readFile(t, d, "dovecot.index.log")
	torn := map[string][]byte{}
	for cut := 392; cut < len(log); cut++ {
		torn[fmt.Sprint("cut at ", cut)] = log[:cut]
	}
	for _, record := range []int{392, 404, 420} {
		torn[fmt.Sprint("zeros from ", record)] = slices.Concat(log[:record], make([]byte, len(log)-record))
	}
	for name, b := range torn {
		path := copyDir(t, start)
		if err := os.WriteFile(filepath.Join(path, "dovecot.index.log"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := stateIn(t, path); got != before {
			t.Errorf("%s: state %s, want %s", name, got, before)
		}
		changeAgain(t, path)
	}
}
