package index

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index/translog"
)

// rotatedDir holds the sample with a message appended, the log rotated and another message appended.
func rotatedDir(t *testing.T) *disk.Dir {
	t.Helper()
	d := testDir(t, nil)
	x, err := Create(t.Context(), d, Prefix, goldenNew())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	appendOne(t, x)
	if err := rotateNow(x); err != nil {
		t.Fatal(err)
	}
	appendOne(t, x)
	return d
}

func appendOne(t *testing.T, x *Index) (uid formats.UID) {
	t.Helper()
	err := x.Update(t.Context(), func(tx *Tx) (err error) { uid, err = tx.Append(Message{}); return err })
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

func uids(s *State) (out []formats.UID) {
	if s == nil {
		return nil
	}
	for _, m := range s.All() {
		out = append(out, m.UID)
	}
	return out
}

func TestReadMakesTheBestOfWhatIsThere(t *testing.T) {
	for _, c := range []struct {
		name    string
		rotated bool // start with rotatedDir, else with the sample
		spoil   func(t *testing.T, d *disk.Dir)
		want    []formats.UID
		err     string // "": none
	}{
		{"nothing wrong", false, func(*testing.T, *disk.Dir) {}, []formats.UID{7}, ""},
		{"nothing wrong after a rotation", true, func(*testing.T, *disk.Dir) {}, []formats.UID{7, 12, 13}, ""},
		{"no log", false, remove("dovecot.index.log"), []formats.UID{7}, ""},
		{"an empty log", false, patch("dovecot.index.log", 0, -1), []formats.UID{7}, ""},
		{"no snapshot", false, remove("dovecot.index"), []formats.UID{7}, ""},
		{"no files", false, func(t *testing.T, d *disk.Dir) {
			remove("dovecot.index")(t, d)
			remove("dovecot.index.log")(t, d)
		}, nil, "file does not exist"},
		{"no old log", true, remove("dovecot.index.log.2"), []formats.UID{7, 12, 13}, ""},
		{"no snapshot after a rotation", true, remove("dovecot.index"), []formats.UID{7, 12, 13}, "snapshot is missing"},
		{"neither snapshot nor old log", true, func(t *testing.T, d *disk.Dir) {
			remove("dovecot.index")(t, d)
			remove("dovecot.index.log.2")(t, d)
		}, nil, "snapshot is missing"},
		{"a log marked as corrupted", false, patch("dovecot.index.log", 4, 0, 0, 0, 0), []formats.UID{7}, "indexid 0"},
		{"indexids that differ", false, patch("dovecot.index", 16, 9), []formats.UID{7}, "indexid 1700000009"},
		{"a snapshot cut off", false, patch("dovecot.index", 430, -1), []formats.UID{7}, "do not fit"},
		{"a snapshot that is ahead of its log", false, patch("dovecot.index", 69, 9), []formats.UID{7}, "good up to"},
		{"a snapshot for a log that is long gone", true, patch("dovecot.index", 60, 1), []formats.UID{7, 12}, "the snapshot needs log 1"},
		{"a damaged record in the log", true, patch("dovecot.index.log", 40+4, 0x11), []formats.UID{7, 12}, "at byte 40"},
		{"a first log as good as its snapshot's nothing", false, patch("dovecot.index", 68, 40, 0), []formats.UID{7}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d *disk.Dir
			if c.rotated {
				d = rotatedDir(t)
			} else {
				d, _ = (&disk.FS{}).OpenRoot(goldenDir(t))
				defer d.Close()
			}
			c.spoil(t, d)
			s, err := Read(d, Prefix)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if err != nil && !errors.Is(err, formats.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error %v is not one of damage", err)
			}
			if got := uids(s); !slices.Equal(got, c.want) {
				t.Errorf("messages %v, want %v", got, c.want)
			}
		})
	}
}

func remove(name string) func(*testing.T, *disk.Dir) {
	return func(t *testing.T, d *disk.Dir) {
		if err := os.Remove(filepath.Join(d.Path(), name)); err != nil {
			t.Fatal(err)
		}
	}
}

// patch writes bytes at an offset of a file; -1 cuts it off there.
func patch(name string, at int, b ...int) func(*testing.T, *disk.Dir) {
	return func(t *testing.T, d *disk.Dir) {
		content := readFile(t, d, name)
		for i, v := range b {
			if v < 0 {
				content = content[:at+i]
				break
			}
			content[at+i] = byte(v)
		}
		writeFile(t, d, name, content)
	}
}

func TestReadingChangesNothing(t *testing.T) {
	dir := rotatedDir(t).Path()
	d, err := (&disk.FS{ReadOnly: true}).OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	x, err := Open(d, Prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if _, err := x.Refresh(); err != nil {
		t.Error(err)
	}
	err = x.Update(t.Context(), func(tx *Tx) error { return nil })
	if !errors.Is(err, disk.ErrReadOnly) {
		t.Errorf("update of a source gave %v", err)
	}
}

func TestRefreshFollowsRotations(t *testing.T) {
	d := testDir(t, nil)
	writer, err := Create(t.Context(), d, Prefix, goldenNew())
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	reader, err := Open(d, Prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for round := range 6 {
		before := reader.Snapshot()
		n := before.Len()
		appendOne(t, writer)
		for range round {
			if err := rotateNow(writer); err != nil {
				t.Fatal(err)
			}
			appendOne(t, writer)
		}
		changed, err := reader.Refresh()
		if err != nil || !changed {
			t.Fatalf("round %d: refreshed %t, %v", round, changed, err)
		}
		if got, want := describe(reader.Snapshot()), describe(writer.Snapshot()); got != want {
			t.Errorf("round %d: reader knows %s, writer %s", round, got, want)
		}
		if before.Len() != n {
			t.Errorf("round %d: a snapshot that was handed out changed", round)
		}
		if changed, err := reader.Refresh(); changed || err != nil {
			t.Errorf("round %d: refreshed again: %t, %v", round, changed, err)
		}
	}
}

func TestUpdateWaitsForTheLock(t *testing.T) {
	d := testDir(t, nil)
	x, err := Create(t.Context(), d, Prefix, goldenNew())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	y, err := Open(d, Prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	err = x.Update(t.Context(), func(tx *Tx) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := y.Update(ctx, func(*Tx) error { t.Error("two updates at once"); return nil })
		if !errors.Is(err, disk.ErrLocked) {
			t.Errorf("error %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Several handles on one index, as several sessions in one process have.
func TestHandlesTakeTurns(t *testing.T) {
	d := testDir(t, nil)
	x, err := Create(t.Context(), d, Prefix, goldenNew())
	if err != nil {
		t.Fatal(err)
	}
	x.Close()
	done := make(chan error)
	for range 4 {
		go func() {
			done <- with(t.Context(), func(x *Index) error {
				for i := range 25 {
					err := x.Update(t.Context(), func(tx *Tx) error { _, err := tx.Append(Message{}); return err })
					if err != nil {
						return err
					}
					if i%10 == 0 {
						if err := rotateNow(x); err != nil {
							return err
						}
					}
				}
				return nil
			})(d)
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	s, err := Read(d, Prefix)
	if err != nil || s.Len() != 101 || s.NextUID != 112 {
		t.Errorf("%d messages, next UID %d, %v; want 101 and 112", s.Len(), s.NextUID, err)
	}
}

// A few bytes of log must not make gigabytes of records.
func TestSizesAreBoundedByTheBytesRead(t *testing.T) {
	var b translog.Builder
	b.Add(translog.Append|translog.External, func() (p []byte) {
		for uid := range byte(100) {
			p = append(p, uid+1, 0, 0, 0, 0, 0, 0, 0)
		}
		return p
	}())
	for i := range byte(40) {
		in := translog.Intro{ID: translog.NoExtID, Name: string([]byte{'a' + i/26, 'a' + i%26}), HeaderSize: 15 << 20, Size: 3000, Align: 4}
		b.Add(translog.ExtIntro|translog.External, translog.AppendIntro(nil, in))
	}
	head, _ := translog.NewHeader(1, 2, 3, 1).AppendBinary(nil)
	d := testDir(t, nil)
	writeFile(t, d, "dovecot.index.log", slices.Concat(head, b.Bytes()))
	if _, err := Read(d, Prefix); !errors.Is(err, formats.ErrCorrupt) {
		t.Errorf("error %v", err)
	}
}

func TestCompact(t *testing.T) {
	for _, c := range []struct {
		name     string
		messages int
		old      bool // the log was made in 1970
		seq      uint32
	}{
		{"nothing to do", 0, false, 2},
		{"a snapshot for a small log", 1, false, 2},
		{"a new log for an old one of 40 KB", 5000, true, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := testDir(t, nil)
			x, err := Create(t.Context(), d, Prefix, goldenNew())
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			err = x.Update(t.Context(), func(tx *Tx) error {
				for range c.messages {
					tx.Append(Message{})
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if c.old {
				patch("dovecot.index.log", 20, 1, 0, 0, 0)(t, d)
			} else {
				patch("dovecot.index.log", 20, 0xff, 0xff, 0xff, 0xff)(t, d) // 2106
			}
			if err := x.Compact(t.Context()); err != nil {
				t.Fatal(err)
			}
			s, err := Read(d, Prefix)
			if err != nil || s.Len() != c.messages+1 || s.LogSeq != c.seq {
				t.Errorf("%d messages, log %d, %v", s.Len(), s.LogSeq, err)
			}
			remove("dovecot.index.log")(t, d)
			if s, err = Read(d, Prefix); err != nil || s.Len() != c.messages+1 {
				t.Errorf("the snapshot has %d messages, %v", s.Len(), err)
			}
		})
	}
}
