package layout

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

var (
	plusplus = Naming{Separator: '.', Format: "Maildir++"}
	fsNames  = Naming{Separator: '/', Reserved: []string{"cur", "new", "tmp"}, Format: "Maildir"}
	escaped  = Naming{Separator: '.', Escape: '\\', Reserved: []string{"cur"}, Format: "Maildir++"}
)

func TestStorageNames(t *testing.T) {
	for _, tc := range []struct {
		naming        Naming
		name, storage string
	}{
		{plusplus, "Größe", "Gr&APYA3w-e"},
		{plusplus, "Arbeit/Größe/2024", "Arbeit.Gr&APYA3w-e.2024"},
		{plusplus, "R&D", "R&-D"},
		{plusplus, "日本語", "&ZeVnLIqe-"},
		{plusplus, "\U0001f600", "&2D3eAA-"},
		{plusplus, "ü&ü", "&APw-&-&APw-"},
		{plusplus, "u\u0308", "u&Awg-"},
		{plusplus, `a b%*"\^`, `a b%*"\^`},
		{fsNames, "A/B.C", "A/B.C"},
		{fsNames, "a/.b", "a/.b"},
		{Naming{Separator: '/', UTF8: true}, "Größe&x", "Größe&x"},
		{escaped, "a.b/c", `a\2eb.c`},
		{escaped, "~x/~y", `\7ex.\7ey`},
		{escaped, `a\b`, `a\5cb`},
		{Naming{Separator: '/', Escape: '\\', Reserved: []string{"dbox-Mails"}}, "a/dbox-Mails", `a/\64box-Mails`},
		{escaped, "..", `\2e\2e`},
	} {
		got, err := tc.naming.Storage(tc.name)
		if err != nil || got != tc.storage {
			t.Errorf("Storage(%q) = %q, %v; want %q", tc.name, got, err, tc.storage)
		}
		if back := tc.naming.Name(tc.storage); back != tc.name {
			t.Errorf("Name(%q) = %q, want %q", tc.storage, back, tc.name)
		}
	}
}

func TestStorageNamesThatAreNotValidAreShownAsFound(t *testing.T) {
	for _, storage := range []string{"Größe", "A&B", "x&AA-", "&AOQ", "&AGE-", "&APw-&APw-", "a\xff"} {
		if got := fsNames.Name(storage); got != storage {
			t.Errorf("Name(%q) = %q", storage, got)
		}
	}
}

func TestRefusedNamesHaveASafeOne(t *testing.T) {
	long := strings.Repeat("ü", 120)
	for _, tc := range []struct {
		naming     Naming
		name, safe string
	}{
		{plusplus, "", "_"},
		{plusplus, "a//b", "a/b"},
		{plusplus, "/a", "a"},
		{plusplus, "a.b", "a_b"},
		{fsNames, "..", "_.."},
		{fsNames, "a/cur", "a/_cur"},
		{fsNames, "~root", "_~root"},
		{fsNames, "a\x01b", "a_b"},
		{fsNames, "a\xffb", "a_b"},
		{fsNames, long, ""},
		{plusplus, "Inbox", "Inbox_"},
		{plusplus, "inbox/a", "INBOX/a"},
		{Naming{Separator: '/', Beside: true}, "a/dovecot.index.log", "a/_dovecot.index.log"},
		{plusplus, strings.Repeat("deep/", 60) + "x", ""},
		{fsNames, strings.Repeat("deep/", 700) + "x", ""},
	} {
		if tc.naming.Problem(tc.name) == "" {
			t.Errorf("%q is not refused", tc.name)
		}
		if _, err := tc.naming.Storage(tc.name); !errors.Is(err, formats.ErrBadName) {
			t.Errorf("Storage(%q): %v, want ErrBadName", tc.name, err)
		}
		got := tc.naming.Safe(tc.name)
		if tc.safe != "" && got != tc.safe {
			t.Errorf("Safe(%q) = %q, want %q", tc.name, got, tc.safe)
		}
		if problem := tc.naming.Problem(got); problem != "" {
			t.Errorf("Safe(%q) = %q, which is refused: %s", tc.name, got, problem)
		}
	}
}

func TestSubscriptionsKeepTheirVersion(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		naming     Naming
		want       Subscriptions
	}{
		{"version 1", "Arbeit.Gr&APYA3w-e.2024\nINBOX\n", plusplus, Subscriptions{1, []string{"Arbeit/Größe/2024", "INBOX"}}},
		{"version 2", "V\t2\n\nArbeit\tGr&APYA3w-e\nA\x01tB\n", fsNames, Subscriptions{2, []string{"Arbeit/Größe", "A\tB"}}},
		{"empty version 2", "V\t2\n\n", fsNames, Subscriptions{2, nil}},
	} {
		got := tc.naming.ParseSubscriptions([]byte(tc.file))
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
		if tc.name == "version 2" {
			continue // a tab in a mailbox's name cannot be written by anyone but old servers
		}
		if back := tc.naming.FormatSubscriptions(got); string(back) != tc.file {
			t.Errorf("%s: written as %q, want %q", tc.name, back, tc.file)
		}
	}
}

func TestChangeSubscriptionsLeavesNothingElseBehind(t *testing.T) {
	dir, path := root(t)
	for _, names := range [][]string{{"A", "B/Ü"}, {"A"}, {}} {
		if err := fsNames.ChangeSubscriptions(context.Background(), dir, "subscriptions", 0o600, func([]string) []string { return names }); err != nil {
			t.Fatal(err)
		}
		got, err := fsNames.ReadSubscriptions(dir, "subscriptions")
		if err != nil || got.Version != 2 || !slices.Equal(got.Names, names) {
			t.Errorf("got %+v, %v, want %q", got, err, names)
		}
	}
	if entries, _ := os.ReadDir(path); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestUIDValidityNeverRepeats(t *testing.T) {
	dir, path := root(t)
	ctx := context.Background()
	first, err := NextUIDValidity(ctx, dir)
	if err != nil || first == 0 {
		t.Fatal(first, err)
	}
	if err := RaiseUIDValidity(ctx, dir, first+10); err != nil {
		t.Fatal(err)
	}
	if err := RaiseUIDValidity(ctx, dir, 1); err != nil {
		t.Fatal(err)
	}
	if next, err := NextUIDValidity(ctx, dir); err != nil || next != first+11 {
		t.Errorf("got %d, %v, want %d", next, err, first+11)
	}
	if err := os.WriteFile(path+"/dovecot-uidvalidity", []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if next, err := NextUIDValidity(ctx, dir); err != nil || next != first+12 {
		t.Errorf("after damage: got %d, %v, want %d", next, err, first+12)
	}
	if markers, _ := filepath.Glob(path + "/dovecot-uidvalidity.*"); len(markers) != 1 {
		t.Errorf("markers: %v", markers)
	}
}

func root(t *testing.T) (*disk.Dir, string) {
	t.Helper()
	path := t.TempDir()
	var f *disk.FS
	dir, err := f.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir, path
}

func FuzzMUTF7(f *testing.F) {
	for _, s := range []string{"", "&-", "Gr&APYA3w-e", "&2D3eAA-", "&", "&AOQ", "&APw-&APw-", "&APw-&-&APw-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, err := DecodeMUTF7(s); err == nil {
			if again, err := EncodeMUTF7(name); err != nil || again != s {
				t.Fatalf("%q is %q, which is written %q, %v", s, name, again, err)
			}
		}
		if coded, err := EncodeMUTF7(s); err == nil {
			if again, err := DecodeMUTF7(coded); err != nil || again != s {
				t.Fatalf("%q is written %q, which is %q, %v", s, coded, again, err)
			}
		}
	})
}

func FuzzSubscriptions(f *testing.F) {
	f.Add([]byte("V\t2\n\nA\tB\n"))
	f.Add([]byte("A.B\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := plusplus.ParseSubscriptions(b)
		out := plusplus.FormatSubscriptions(s)
		if again := plusplus.ParseSubscriptions(out); len(again.Names) > len(s.Names) {
			t.Fatalf("%q gave %q, written %q, read %q", b, s.Names, out, again.Names)
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add("A/B", "A.B")
	f.Fuzz(func(t *testing.T, name, storage string) {
		for _, n := range []Naming{plusplus, fsNames, escaped} {
			n.Name(storage)
			if problem := n.Problem(n.Safe(name)); problem != "" {
				t.Fatalf("Safe(%q) = %q: %s", name, n.Safe(name), problem)
			}
			if s, err := n.Storage(name); err == nil && n.Name(s) != name {
				t.Fatalf("%q is stored as %q, which is read as %q", name, s, n.Name(s))
			}
		}
	})
}

func TestRaiseUIDValidityFromManyMailboxesAtOnce(t *testing.T) {
	dir, err := (&disk.FS{}).OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	var all sync.WaitGroup
	for v := range formats.UIDValidity(20) {
		all.Go(func() {
			if err := RaiseUIDValidity(t.Context(), dir, 1000+v); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if next, err := NextUIDValidity(t.Context(), dir); err != nil || next != 1020 {
		t.Errorf("got %d, %v; want 1020", next, err)
	}
}
