package courier

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestMovesFindTheirNewNamesFree(t *testing.T) {
	for _, tc := range []struct {
		name          string
		found, others []string
		to            Direction
		utf8Names     bool
		note          *note
		moves         []move
		stuck         []string
	}{
		{"a chain of Courier 5", []string{"", ".Q&A", ".Q&-A"}, nil, ToDovecot, true, nil, []move{{".Q&-A", ".Q&--A"}, {".Q&A", ".Q&-A"}}, nil},
		{"the same chain, half done", []string{"", ".Q&A", ".Q&--A"}, nil, ToDovecot, true,
			&note{names: ToDovecot, begun: true, to: ToDovecot, moves: []move{{".Q&-A", ".Q&--A"}, {".Q&A", ".Q&-A"}}, pairs: []move{{".Q&-A", ".Q&--A"}, {".Q&A", ".Q&-A"}}},
			[]move{{".Q&A", ".Q&-A"}}, nil},
		{"the same chain, done", []string{"", ".Q&-A", ".Q&--A"}, nil, ToDovecot, true,
			&note{names: ToDovecot, pairs: []move{{".Q&-A", ".Q&--A"}, {".Q&A", ".Q&-A"}}}, nil, nil},
		{"the same chain, back", []string{"", ".Q&-A", ".Q&--A"}, nil, ToCourier, true,
			&note{names: ToDovecot, pairs: []move{{".Q&-A", ".Q&--A"}, {".Q&A", ".Q&-A"}}}, []move{{".Q&-A", ".Q&A"}, {".Q&--A", ".Q&-A"}}, nil},
		{"half done and then back", []string{"", ".Q&A", ".Q&--A"}, nil, ToCourier, true,
			&note{names: ToDovecot, begun: true, to: ToDovecot, moves: []move{{".Q&-A", ".Q&--A"}, {".Q&A", ".Q&-A"}}, pairs: []move{{".Q&-A", ".Q&--A"}, {".Q&A", ".Q&-A"}}},
			[]move{{".Q&A", ".Q&-A"}, {".Q&-A", ".Q&A"}, {".Q&--A", ".Q&-A"}}, nil},
		{"a folder of the new name", []string{"", ".Q&A", ".Q&-A"}, nil, ToDovecot, false, nil, nil, []string{".Q&A"}},
		{"a file of the new name", []string{"", ".Q&A"}, []string{".Q&-A"}, ToDovecot, false, nil, nil, []string{".Q&A"}},
		{"two folders that want one name", []string{"", ".Gr\xfcn", ".Grün"}, nil, ToDovecot, false, nil, []move{{".Grün", ".Gr&APw-n"}}, []string{".Gr\xfcn"}},
		{"who cannot move stays in the way", []string{"", ".Q&A", ".Q&-A"}, []string{".Q&--A"}, ToDovecot, true, nil, nil, []string{".Q&-A", ".Q&A"}},
		{"made by Dovecot since", []string{"", ".R&-D", ".R&-D.n&APw-"}, nil, ToCourier, true, &note{names: ToDovecot, pairs: []move{{".R&D", ".R&-D"}}},
			[]move{{".R&-D", ".R&D"}, {".R&-D.n&APw-", ".R&D.nü"}}, nil},
		{"what Courier 5 cannot list", []string{"", ".&2D3eAA-"}, nil, ToCourier, true, &note{names: ToDovecot}, nil, nil},
		{"the same, to Dovecot again", []string{"", ".&2D3eAA-"}, nil, ToDovecot, true, &note{names: ToCourier, pairs: []move{{".&2D3eAA-", ".&2D3eAA-"}}}, nil, nil},
		{"a name that Courier 5 could never list does not come back", []string{"", ".Gr&APw-n"}, nil, ToCourier, true,
			&note{names: ToDovecot, pairs: []move{{".Gr\xfcn", ".Gr&APw-n"}}}, []move{{".Gr&APw-n", ".Grün"}}, nil},
		{"back to Courier 4", []string{"", ".Q&-A", ".Q&-A.x", ".n&APw-"}, nil, ToCourier, false, &note{names: ToDovecot, pairs: []move{{".Q&A", ".Q&-A"}}},
			[]move{{".Q&-A", ".Q&A"}, {".Q&-A.x", ".Q&A.x"}}, nil},
	} {
		p := newNaming(tc.found, tc.others, tc.to, tc.utf8Names, tc.note, false)
		var stuck []string
		for path := range p.stuck {
			stuck = append(stuck, path)
		}
		slices.Sort(stuck)
		if !reflect.DeepEqual(p.moves, tc.moves) || !slices.Equal(stuck, tc.stuck) {
			t.Errorf("%s: moves %q, stuck %q; want %q, %q", tc.name, p.moves, stuck, tc.moves, tc.stuck)
		}
	}
}

func TestTheReportIsOneLineForEachThing(t *testing.T) {
	r := newUserReport(User{Name: "bob"}, Options{Convert: true})
	r.Outcome = Converted
	r.Steps = []Step{{Kind: RenameFolder, From: ".a\nb\xff", To: ".c", Why: "because"}}
	for _, from := range []string{"1", "2", "3", "4"} {
		r.Steps = append(r.Steps, Step{Kind: RenameMessage, Folder: "INBOX", From: from, To: from + "a", Why: "keywords"})
	}
	r.Steps = append(r.Steps, Step{Kind: RenameMessage, Folder: "A", From: "1", To: "2", Why: "keywords"}, Step{Kind: WriteFile, From: "x", To: "y"})
	want := `bob: rename folder: .a\nb\xff -> .c: because
bob: rename messages in INBOX: 4 files: keywords
bob: rename message in A: 1 -> 2: keywords
bob: write file: x -> y
bob: converted
`
	if got := text(r); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// apply makes the moves on a set of names; each must find its new name free.
func apply(t *testing.T, names []string, moves []move) []string {
	t.Helper()
	now := map[string]bool{}
	for _, name := range names {
		now[name] = true
	}
	for _, m := range moves {
		if !now[m.from] || now[m.to] {
			t.Fatalf("%q: %q cannot be renamed to %q after those before it in %q", names, m.from, m.to, moves)
		}
		delete(now, m.from)
		now[m.to] = true
	}
	return slices.Sorted(maps.Keys(now))
}

func FuzzRenamesThereAndBack(f *testing.F) {
	f.Add("Q&A/Q&-A/Q&--A", true, uint8(1))
	f.Add("Entwürfe/Entw&APw-rfe/R&D/R&-D/inbox/INBOX.x", false, uint8(2))
	f.Add("Entwürfe/Entw&APw-rfe.0", false, uint8(0)) // a child of the new name that was there before
	f.Add("Gr\xfcn/Grün/Gr&APw-n/&AEE-/A/~x/x&AOQ", true, uint8(0))
	f.Fuzz(func(t *testing.T, names string, utf8Names bool, cut uint8) {
		found := []string{""}
		for name := range strings.SplitSeq(names, "/") {
			if path := "." + name; validPath(path) && !emptyPart(path) && !slices.Contains(found, path) {
				found = append(found, path)
			}
		}
		slices.Sort(found)
		there := newNaming(found, nil, ToDovecot, utf8Names, nil, false)
		after := apply(t, found, there.moves)

		// A run that is cut off is finished by the next one.
		done := int(cut) % (len(there.moves) + 1)
		begun := &note{begun: true, to: ToDovecot, names: ToDovecot, pairs: there.pairs, moves: there.moves}
		half := apply(t, found, there.moves[:done])
		if rest := apply(t, half, newNaming(half, nil, ToDovecot, utf8Names, begun, false).moves); !slices.Equal(rest, after) {
			t.Fatalf("%q, cut off after %d of %q and finished, became %q", found, done, there.moves, rest)
		}

		ended := &note{names: ToDovecot, pairs: there.pairs}
		if again := newNaming(after, nil, ToDovecot, utf8Names, ended, false); len(again.moves) > 0 {
			t.Fatalf("%q became %q and then %q", found, after, again.moves)
		}
		back := newNaming(after, nil, ToCourier, utf8Names, ended, false)
		if slices.ContainsFunc(found, func(path string) bool { return utf8Names && !listable(path) }) {
			return
		}
		if home := apply(t, after, back.moves); len(there.stuck)+len(back.stuck) == 0 && !slices.Equal(home, found) {
			t.Fatalf("%q became %q and came back as %q", found, after, home)
		}
	})
}

func TestDamageInAFolderThatIsRenamedIsToldOfInTheSameWords(t *testing.T) {
	tree := courier5()
	tree[".Entwürfe/courierimapuiddb"] += "no number\n"
	root := mailbox(t, tree)
	looked, done := convert(t, root, Options{}), convert(t, root, Options{Convert: true})
	if len(looked.Problems) != 1 || !reflect.DeepEqual(looked.Problems, done.Problems) {
		t.Errorf("looking says\n%+v\nthe run\n%+v", looked.Problems, done.Problems)
	}
}
