package sync

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/location"
)

// kinds are the formats that can be written.
var kinds = []string{"sdbox", "mdbox", "maildir", "maildir:LAYOUT=fs", "courier", "mbox"}

// locate gives the location of a kind in a folder.
func locate(kind, dir string) string {
	root := filepath.Join(dir, "mail")
	switch kind {
	case "maildir:LAYOUT=fs":
		return "maildir:" + root + ":LAYOUT=fs"
	case "mbox":
		return "mbox:" + root + ":INBOX=" + filepath.Join(dir, "inbox")
	}
	return kind + ":" + root
}

func open(t *testing.T, kind, dir string, fs *disk.FS) formats.Store {
	t.Helper()
	l, err := location.Parse(locate(kind, dir), location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := location.Open(context.Background(), l, location.Options{FS: fs, Create: !fs.ReadOnly})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestEveryPairOfFormats carries mail from each format into each, twice, with changes between.
func TestEveryPairOfFormats(t *testing.T) {
	for _, from := range kinds {
		for _, to := range kinds {
			t.Run(from+" to "+to, func(t *testing.T) { carryBetween(t, from, to) })
		}
	}
}

func carryBetween(t *testing.T, from, to string) {
	origin := sample()
	a, b := t.TempDir(), t.TempDir()
	fill := func() {
		s := open(t, from, a, &disk.FS{})
		mustMirror(t, origin, s, Options{Source: "origin"})
		if v := mustVerify(t, origin, s, Options{Source: "origin"}); len(v.Differences) > 0 {
			t.Fatalf("filling the source: %v", v.Differences)
		}
		s.Close()
	}
	carry := func() {
		src, dst := open(t, from, a, &disk.FS{ReadOnly: true}), open(t, to, b, &disk.FS{})
		r := mustMirror(t, src, dst, Options{Source: "a"})
		if len(r.SetAside) > 0 {
			t.Errorf("set aside %v", r.SetAside)
		}
		v := mustVerify(t, src, dst, Options{Source: "a"})
		if v.ExitCode() != 0 {
			t.Errorf("verify: %v %v", v.Differences, v.SetAside)
		}
		r = mustMirror(t, src, dst, Options{Source: "a"})
		if t1 := r.Totals; t1.Appended+t1.Flagged+t1.Expunged > 0 || r.ExitCode() != 0 {
			t.Errorf("the rerun did %+v, losses %v, aside %v", t1, r.Losses, r.SetAside)
		}
		src.Close()
		dst.Close()
	}
	fill()
	carry()
	changeMuch(origin)
	fill()
	carry()
}

func mustVerify(t *testing.T, src, dst formats.Store, o Options) *Report {
	t.Helper()
	r, err := Verify(context.Background(), src, dst, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTwoRunsDoNotFillOneTarget(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			dst, other := open(t, kind, dir, &disk.FS{}), open(t, kind, dir, &disk.FS{})
			src := newFake(formats.Limits{})
			src.deliver("INBOX", "Subject: x\n\nx\n")
			release, err := other.(formats.Claimer).Claim()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Mirror(context.Background(), src, dst, Options{}); !errors.Is(err, disk.ErrLocked) {
				t.Errorf("beside another run: %v", err)
			}
			release()
			if _, err := Mirror(context.Background(), src, dst, Options{}); err != nil {
				t.Errorf("after the other run: %v", err)
			}
			if _, err := Mirror(context.Background(), src, other, Options{}); err != nil {
				t.Errorf("the claim was not given back: %v", err)
			}
		})
	}
}
