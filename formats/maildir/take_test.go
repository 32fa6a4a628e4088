package maildir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
)

// bothSides opens one folder of a tree in a store of each server.
func bothSides(t testing.TB, root, path string) (dovecot, courier *Mailbox) {
	t.Helper()
	for _, side := range []struct {
		lists Lists
		box   **Mailbox
	}{{DovecotLists, &dovecot}, {Courier4Lists, &courier}} {
		s := openStore(t, Options{Root: root, Lists: side.lists})
		b, err := s.OpenFolder(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		*side.box = b
	}
	return dovecot, courier
}

func take(t testing.TB, to, from *Mailbox, how TakeOptions) *Taking {
	t.Helper()
	got, err := to.Take(t.Context(), from, how)
	if err != nil {
		t.Fatalf("take: %v", err)
	}
	return got
}

var mailboxGUID = regexp.MustCompile(` G[0-9a-f]{32}`)

// readList gives a control file, without what is chosen at random; "" when there is none.
func readList(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return mailboxGUID.ReplaceAllString(string(text), "")
}

// fileNames are the names in cur/ and new/, sorted.
func fileNames(t testing.TB, root string) []string {
	t.Helper()
	var names []string
	for _, sub := range []string{"cur", "new"} {
		entries, err := os.ReadDir(filepath.Join(root, sub))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, sub+"/"+e.Name())
		}
	}
	return names
}

func problemText(t *Taking) string {
	var all []string
	for _, p := range t.Problems {
		all = append(all, p.String())
	}
	return strings.Join(all, "\n")
}

const uiddb, pop3, kwList = courierUIDDBName, courierPOP3Name, courierKeywordsDir + "/:list"

func TestDovecotTakesCouriersLists(t *testing.T) {
	for _, c := range []struct {
		name     string
		tree     map[string]string
		list     string   // dovecot-uidlist
		keywords string   // dovecot-keywords
		files    []string // nil: as in the tree
		problems []string // parts of them, one for each
	}{
		{"an empty folder keeps its UIDVALIDITY and next UID", map[string]string{uiddb: "1 300 17\n"}, "3 V300 N17\n", "", nil, nil},
		{"files that Courier did not list get the next UIDs in its order, those in new do not",
			map[string]string{uiddb: "1 300 17\n5 30.a\n", "cur/30.a:2,S": "", "cur/200.b:2,": "", "cur/9.c:2,": "", "new/1.d": ""},
			"3 V300 N19\n5 :30.a\n17 :9.c\n18 :200.b\n", "", nil, nil},
		{"unordered lines are put in order",
			map[string]string{uiddb: "1 300 17\n9 1.a\n5 2.b\n", "cur/1.a:2,": "", "cur/2.b:2,": ""},
			"3 V300 N17\n5 :2.b\n9 :1.a\n", "", nil, nil},
		{"of two UIDs for one file the first counts",
			map[string]string{uiddb: "1 300 17\n5 1.a\n6 2.b\n7 1.a\n", "cur/1.a:2,": "", "cur/2.b:2,": ""},
			"3 V300 N17\n5 :1.a\n6 :2.b\n", "", nil, []string{"files listed twice: 1"}},
		{"of two files with one UID the second alone is numbered anew",
			map[string]string{uiddb: "1 300 17\n5 1.a\n5 2.b\n6 3.c\n", "cur/1.a:2,": "", "cur/2.b:2,": "", "cur/3.c:2,": ""},
			"3 V300 N18\n5 :1.a\n6 :3.c\n17 :2.b\n", "", nil, []string{"UIDs given to two files: 1"}},
		{"a stale entry does not take a UID from a file",
			map[string]string{uiddb: "1 300 17\n5 gone\n5 2.b\n", "cur/2.b:2,": ""},
			"3 V300 N17\n5 :2.b\n", "", nil, nil},
		{"a last line without its end counts when its file is there",
			map[string]string{uiddb: "1 300 17\n5 1.a\n6 2.b", "cur/1.a:2,": "", "cur/2.b:2,": ""},
			"3 V300 N17\n5 :1.a\n6 :2.b\n", "", nil, []string{"no line end after the last line"}},
		{"a last line that is cut within the name loses its UID",
			map[string]string{uiddb: "1 300 17\n5 1.a\n6 2.", "cur/1.a:2,": "", "cur/2.b:2,": ""},
			"3 V300 N18\n5 :1.a\n17 :2.b\n", "", nil, []string{"no file of that name"}},
		{"lines that are no records are told",
			map[string]string{uiddb: "1 300 17\nx\n5 1.a\n99999999999 2.b\n", "cur/1.a:2,": "", "cur/2.b:2,": ""},
			"3 V300 N18\n5 :1.a\n17 :2.b\n", "", nil, []string{"not understood: 2, the first on line 2"}},
		{"next UID 0 is raised",
			map[string]string{uiddb: "1 300 0\n5 1.a\n", "cur/1.a:2,": ""},
			"3 V300 N6\n5 :1.a\n", "", nil, []string{"next UID 0"}},
		{"a next UID below the highest UID is raised",
			map[string]string{uiddb: "1 300 3\n5 1.a\n", "cur/1.a:2,": ""},
			"3 V300 N6\n5 :1.a\n", "", nil, []string{"next UID 3 is not above"}},
		{"names may have spaces, quotes and bytes above 127",
			map[string]string{uiddb: "1 300 9\n5 1.a b\"c\n6 2.\xff\xc3\n", "cur/1.a b\"c:2,": "", "cur/2.\xff\xc3:2,": ""},
			"3 V300 N9\n5 :1.a b\"c\n6 :2.\xff\xc3\n", "", nil, nil},
		{"POP3 lists of version 0 show escaped names",
			map[string]string{uiddb: "1 300 9\n5 1.a+b c\n", "cur/1.a+b c:2,": "", pop3: "1.a+b c:2,S 100\n"},
			"3 V300 N9\n5 P1.a+2Bb+20c O1 :1.a+b c\n", "", nil, nil},
		{"POP3 lists of version 1",
			map[string]string{uiddb: "1 300 9\n5 1.a\n6 2.b\n", "cur/1.a:2,": "", "cur/2.b:2,": "", pop3: "/1 8\n2.b:2, 10 3\n1.a 10 0\n"},
			"3 V300 N9\n5 P1.a O1 :1.a\n6 PUID3 O2 :2.b\n", "", nil, nil},
		{"POP3 lists of version 2 mix all forms, and their order is that of names",
			map[string]string{uiddb: "1 300 9\n5 1.a\n6 2.b\n7 0.c\n", "cur/1.a:2,": "", "cur/2.b:2,": "", "cur/0.c:2,": "", pop3: "/2 8 77\n2.b:2, 10 3:77\n1.a 10 0:77\n0.c:2,S 10 4:0\n"},
			"3 V300 N9\n5 P1.a O2 :1.a\n6 PUID3-77 O3 :2.b\n7 PUID4 O1 :0.c\n", "", nil, nil},
		{"of two POP3 lines for a file the later counts",
			map[string]string{uiddb: "1 300 9\n5 1.a\n", "cur/1.a:2,": "", pop3: "/3 8 77\n1.a:2, 10 3:77:0\n1.a:2, 10 4:77:1\nx\n"},
			"3 V300 N9\n5 PUID4-77 O1 :1.a\n", "", nil, []string{"not understood: 1, the first on line 4", "listed twice: 1"}},
		{"a POP3 list of an unknown version is told",
			map[string]string{uiddb: "1 300 9\n5 1.a\n", "cur/1.a:2,": "", pop3: "/4 8 77\n1.a:2, 10 3:77:0\n"},
			"3 V300 N9\n5 :1.a\n", "", nil, []string{"no known version"}},
		{"a POP3 list alone is enough",
			map[string]string{"cur/1.a:2,": "", pop3: "/2 8 77\n1.a:2, 10 3:77\n"}, "3 V* N2\n1 PUID3-77 O1 :1.a\n", "", nil, nil},
		{"keywords become letters",
			map[string]string{uiddb: "1 300 9\n5 1.a\n6 2.b\n", "cur/1.a:2,S": "", "cur/2.b:2,": "", kwList: "x\n$y\n\n1.a:1 0\n2.b:1\ngone:0\n"},
			"3 V300 N9\n5 :1.a\n6 :2.b\n", "0 $y\n1 x\n", []string{"cur/1.a:2,Sab", "cur/2.b:2,a"}, nil},
		{"pending updates count without a list, the newest of them",
			map[string]string{uiddb: "1 300 9\n5 1.a\n6 2.b\n7 3.c\n", "cur/1.a:2,": "", "cur/2.b:2,": "", "cur/3.c:2,": "",
				courierKeywordsDir + "/1.a": "one\nONE\n", courierKeywordsDir + "/.7.1.a": "older\n",
				courierKeywordsDir + "/.7.2.b": "older\n", courierKeywordsDir + "/.11.2.b": "One\n", courierKeywordsDir + "/.tmp.x": "no\n"},
			"3 V300 N9\n5 :1.a\n6 :2.b\n7 :3.c\n", "0 One\n", []string{"cur/1.a:2,a", "cur/2.b:2,a", "cur/3.c:2,"}, nil},
		{"an empty update takes keywords away",
			map[string]string{uiddb: "1 300 9\n5 1.a\n", "cur/1.a:2,": "", kwList: "x\n\n1.a:0\n", courierKeywordsDir + "/1.a": ""},
			"3 V300 N9\n5 :1.a\n", "", nil, nil},
		{"what is wrong in the list of keywords is told",
			map[string]string{uiddb: "1 300 9\n5 1.a\n6 2.b\n", "cur/1.a:2,": "", "cur/2.b:2,": "", kwList: "x\n\n1.a:0 7\nrubbish\n2.b:0 1"},
			"3 V300 N9\n5 :1.a\n6 :2.b\n", "0 x\n", []string{"cur/1.a:2,a", "cur/2.b:2,a"}, []string{"in part: 3, the first on line 3"}},
		{"letters without a meaning are taken off",
			map[string]string{uiddb: "1 300 9\n5 1.a\n", "cur/1.a:2,FSab": ""}, "3 V300 N9\n5 :1.a\n", "", []string{"cur/1.a:2,FS"}, nil},
		{"letters that a dovecot-keywords explains stay",
			map[string]string{uiddb: "1 300 9\n5 1.a\n", "cur/1.a:2,FSab": "", keywordsName: "0 old\n"},
			"3 V300 N9\n5 :1.a\n", "0 old\n", []string{"cur/1.a:2,FSa"}, nil},
		{"a base with a colon loses it and keeps UID, UIDL and keywords",
			map[string]string{uiddb: "1 300 9\n5 1.a:x\n6 2.b\n", "cur/1.a:x:2,S": "", "cur/2.b:2,": "", pop3: "/2 9 7\n1.a:x:2,S 10 3:7\n", kwList: "k\n\n1.a:0\n"},
			"3 V300 N9\n5 PUID3-7 O1 :1.a=3Ax\n6 :2.b\n", "0 k\n", []string{"cur/1.a=3Ax:2,Sa", "cur/2.b:2,"}, nil},
		{"a base with a colon beside the name without it",
			map[string]string{uiddb: "1 300 9\n5 1.a:x\n6 1.a\n7 1.a_x\n", "cur/1.a:x:2,S": "", "cur/1.a:2,": "", "cur/1.a_x:2,": "", pop3: "1.a:x:2,S 10\n1.a:2, 10\n"},
			"3 V300 N9\n5 P1.a O2 :1.a=3Ax\n6 P1.a O1 :1.a\n7 :1.a_x\n", "", []string{"cur/1.a:2,", "cur/1.a=3Ax:2,S", "cur/1.a_x:2,"}, nil},
		{"a list of another version is no list",
			map[string]string{uiddb: "2 300 9\n5 1.a\n", "cur/1.a:2,": ""}, "", "", nil, []string{"not of version 1"}},
		{"keywords are taken without a list", map[string]string{uiddb: "", "cur/1.a:2,": "", kwList: "k\n\n1.a:0\n"},
			"3 V* N2\n1 :1.a\n", "0 k\n", []string{"cur/1.a:2,a"}, []string{"not of version 1"}},
		{"a folder that Courier never saw", map[string]string{"cur/1.a:2,": ""}, "", "", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			writeFiles(t, root, c.tree)
			for _, sub := range []string{"cur", "new", "tmp"} {
				os.MkdirAll(filepath.Join(root, sub), 0o700)
			}
			before := fileNames(t, root)
			dovecot, courier := bothSides(t, root, "")
			plan, err := dovecot.PlanTake(t.Context(), courier)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(fileNames(t, root), before) || readList(t, filepath.Join(root, takenName)) != "" {
				t.Error("planning changed the tree")
			}
			got := take(t, dovecot, courier, TakeOptions{})
			if plan.Done = got.Done; !reflect.DeepEqual(got, plan) {
				t.Errorf("planned %+v\ndone %+v", plan, got)
			}
			list := readList(t, filepath.Join(root, uidlistName))
			if strings.Contains(c.list, "V*") {
				list = regexp.MustCompile(`V\d+`).ReplaceAllString(list, "V*")
			}
			if list != c.list {
				t.Errorf("list is\n%swant\n%s", list, c.list)
			}
			if keywords := readList(t, filepath.Join(root, keywordsName)); keywords != c.keywords {
				t.Errorf("keywords are %q, want %q", keywords, c.keywords)
			}
			if c.files == nil {
				c.files = before
			}
			if files := fileNames(t, root); !slices.Equal(files, c.files) {
				t.Errorf("files are %q, want %q", files, c.files)
			}
			problems := problemText(got)
			for _, want := range c.problems {
				if !strings.Contains(problems, want) {
					t.Errorf("problems are\n%s\nwant one with %q", problems, want)
				}
			}
			if len(c.problems) != len(got.Problems) && !got.Nothing {
				t.Errorf("problems are\n%s\nwant %d", problems, len(c.problems))
			}
			again := take(t, dovecot, courier, TakeOptions{})
			if again.Done || !again.Nothing && again.State != TakeSame {
				t.Errorf("a second run is %+v", again)
			}
		})
	}
}

func TestMoreKeywordsThanLettersGoToTheIndex(t *testing.T) {
	root := t.TempDir()
	tree := map[string]string{uiddb: "1 300 99\n", "tmp/x": ""}
	var names, records string
	for i := range 40 {
		tree[uiddb] += fmt.Sprintf("%d %d.a\n", i+1, i)
		tree[fmt.Sprintf("cur/%d.a:2,", i)] = ""
		names += fmt.Sprintf("k%02d\n", i)
		records += fmt.Sprintf("%d.a:%d 39\n", i, i)
	}
	tree[kwList] = names + "\n" + records
	writeFiles(t, root, tree)
	dovecot, courier := bothSides(t, root, "")
	take(t, dovecot, courier, TakeOptions{})
	list, _ := messages(t, dovecot)
	for i, m := range list {
		want := []string{fmt.Sprintf("k%02d", i), "k39"}
		if i == 39 {
			want = want[1:]
		}
		if !formats.SameKeywords(m.Keywords, want) {
			t.Errorf("message %d has %q", i, m.Keywords)
		}
	}
	if again := take(t, dovecot, courier, TakeOptions{}); again.State != TakeSame {
		t.Errorf("a second run is %+v", again)
	}
	back := take(t, courier, dovecot, TakeOptions{})
	if back.State != TakeSame || len(back.Lost) != 0 {
		t.Errorf("the way back is %+v", back)
	}
}

func TestImpossibleUIDValidityIsReplaced(t *testing.T) {
	for _, v := range []string{"0", "4294967296", "18446744073709551615"} {
		root := t.TempDir()
		writeFiles(t, root, map[string]string{uiddb: "1 " + v + " 9\n5 1.a\n", "cur/1.a:2,": ""})
		dovecot, courier := bothSides(t, root, "")
		got := take(t, dovecot, courier, TakeOptions{})
		st, err := dovecot.Status(t.Context())
		if err != nil || st.UIDValidity == 0 || st.UIDNext != 9 || !strings.Contains(problemText(got), "UIDVALIDITY "+v) {
			t.Errorf("%s: %+v, %v, %s", v, st, err, problemText(got))
		}
		if again := take(t, dovecot, courier, TakeOptions{}); again.State != TakeSame {
			t.Errorf("%s: a second run is %+v", v, again)
		}
	}
}

func TestLeftoversOfATrialGo(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{uiddb: "1 300 9\n5 1.a\n", "cur/1.a:2,": "", "dovecot.index.log": "x", "dovecot.index.cache": "x",
		"dovecot-uidvalidity": "x", "dovecot-uidvalidity.5f000000": "", "dovecot.list.index": "", uidlistName: "3 V999 N2 G0123456789abcdef0123456789abcdef\n1 :1.a\n"})
	dovecot, courier := bothSides(t, root, "")
	if got, err := dovecot.Take(t.Context(), courier, TakeOptions{}); !errors.Is(err, ErrDiffers) || got.State != TakeDiffers || got.Done {
		t.Errorf("a list that differs is replaced without being told: %+v, %v", got, err)
	}
	got := take(t, dovecot, courier, TakeOptions{Replace: true})
	want := []string{"dovecot-uidvalidity", "dovecot-uidvalidity.5f000000", "dovecot.index.cache", "dovecot.index.log", "dovecot.list.index", uidlistName}
	if !slices.Equal(got.Replaced, want) {
		t.Errorf("replaced %q", got.Replaced)
	}
	for _, name := range want[:5] {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	if list := readList(t, filepath.Join(root, uidlistName)); list != "3 V300 N9\n5 :1.a\n" {
		t.Errorf("list %q", list)
	}
	if old := readList(t, filepath.Join(root, oldPrefix+uidlistName)); old != "3 V999 N2\n1 :1.a\n" {
		t.Errorf("old list %q", old)
	}
}

func TestCourierTakesDovecotsLists(t *testing.T) {
	for _, c := range []struct {
		name    string
		tree    map[string]string
		want    map[string]string // control files; "": none
		files   []string          // nil: as in the tree
		lost    []string
		lists   Lists // default Courier 4
		renames int
	}{
		{"an empty folder", map[string]string{uidlistName: "3 V300 N9\n"}, map[string]string{uiddb: "1 300 9\n", pop3: "", kwList: ""}, nil, nil, 0, 0},
		{"UIDs, files without one, and a next UID above all", map[string]string{uidlistName: "3 V300 N3\n5 G1 :1.a\n7 :gone\n", "cur/1.a:2,S": "", "cur/2.b:2,": "", "new/3.c": ""},
			map[string]string{uiddb: "1 300 9\n5 1.a\n8 2.b\n", pop3: ""}, nil, nil, 0, 0},
		{"every form of UIDL that Courier knows, in version 2", map[string]string{
			uidlistName:   "3 V300 N9\n1 PUID3-77 O3 :3.c\n2 PUID4 O2 :2.b\n3 P1.a+2B O1 :1.a+\n4 P :4.d\n5 :5.e\n6 P0000001 :6.f\n",
			"cur/1.a+:2,": "x\n", "cur/2.b:2,": "x\r\n", "cur/3.c:2,S": "a\nb", "cur/4.d:2,": "", "cur/5.e:2,": "", "cur/6.f:2,": ""},
			map[string]string{pop3: "/2 4 77\n1.a+:2, 3 0:77\n2.b:2, 4 4:0\n3.c:2,S 6 3:77\n4.d:2, 0 0:77\n"}, nil, []string{"0000001"}, 0, 0},
		{"version 3 for Courier 5, which does not count a missing line end", map[string]string{
			uidlistName: "3 V300 N9\n1 PUID3-77 :3.c\n2 PUID4-77 :4.d\n", "cur/3.c:2,": "Subject: \xff\n\na\nb", "cur/4.d:2,": "Subject: x\n\n\xff\n"},
			map[string]string{pop3: "/3 5 77\n3.c:2, 18 3:77:1\n4.d:2, 17 4:77:0\n"}, nil, nil, Courier5Lists, 0},
		{"an order that names do not have is lost", map[string]string{uidlistName: "3 V300 N9\n1 PUID3-77 O2 :1.a\n2 PUID4-77 O1 :2.b\n", "cur/1.a:2,": "", "cur/2.b:2,": ""},
			map[string]string{}, nil, []string{"POP3 order"}, 0, 0},
		{"keywords from letters, which stay in the names", map[string]string{uidlistName: "3 V300 N9\n1 :1.a\n2 :2.b\n", keywordsName: "0 x\n2 $y\n", "cur/1.a:2,Sac": "", "cur/2.b:2,": ""},
			map[string]string{kwList: "x\n$y\n\n1.a:0 1\n"}, nil, nil, 0, 0},
		{"what Dovecot listed in new is moved, because Courier would number it anew", map[string]string{uidlistName: "3 V300 N9\n1 :1.a\n", "new/1.a": ""},
			map[string]string{uiddb: "1 300 9\n1 1.a\n"}, []string{"cur/1.a:2,"}, nil, 0, 1},
		{"older lists of Courier keep what Dovecot says nothing about, and pending updates go", map[string]string{
			uidlistName: "3 V300 N9\n1 :1.a\n2 PUID3-77 :2.b\n", "cur/1.a:2,": "", "cur/2.b:2,": "",
			uiddb: "1 299 9\n1 1.a\n", pop3: "/2 50 77\n1.a:2, 123 12:77\n", courierKeywordsDir + "/.3.1.a": "x\n", courierKeywordsDir + "/2.b": "x\n"},
			map[string]string{uiddb: "1 300 9\n1 1.a\n2 2.b\n", pop3: "/2 50 77\n1.a:2, 123 12:77\n2.b:2, 0 3:77\n",
				courierKeywordsDir + "/.3.1.a": "", courierKeywordsDir + "/2.b": "", oldPrefix + uiddb: "1 299 9\n1 1.a\n"}, nil, nil, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			writeFiles(t, root, c.tree)
			for _, sub := range []string{"cur", "new", "tmp"} {
				os.MkdirAll(filepath.Join(root, sub), 0o700)
			}
			before := fileNames(t, root)
			dovecot, _ := bothSides(t, root, "")
			if c.lists == 0 {
				c.lists = Courier4Lists
			}
			courier, err := openStore(t, Options{Root: root, Lists: c.lists}).OpenFolder(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer courier.Close()
			plan, err := courier.PlanTake(t.Context(), dovecot)
			if err != nil {
				t.Fatal(err)
			}
			list := readList(t, filepath.Join(root, uidlistName))
			got := take(t, courier, dovecot, TakeOptions{Replace: true})
			if plan.Done = true; !reflect.DeepEqual(got, plan) {
				t.Errorf("planned %+v\ndone %+v", plan, got)
			}
			for name, want := range c.want {
				if text := readList(t, filepath.Join(root, name)); text != want {
					t.Errorf("%s is\n%swant\n%s", name, text, want)
				}
			}
			if readList(t, filepath.Join(root, uidlistName)) != list {
				t.Error("Dovecot's list was changed")
			}
			if c.files == nil {
				c.files = before
			}
			if files := fileNames(t, root); !slices.Equal(files, c.files) || len(got.Renames) != c.renames {
				t.Errorf("files are %q, want %q, renames %v", files, c.files, got.Renames)
			}
			var lost []string
			for _, l := range got.Lost {
				lost = append(lost, l.What)
			}
			if len(lost) != len(c.lost) || len(lost) == 1 && !strings.Contains(lost[0], c.lost[0]) {
				t.Errorf("lost %q, want %q", lost, c.lost)
			}
			if again := take(t, courier, dovecot, TakeOptions{}); again.State != TakeSame {
				t.Errorf("a second run is %+v", again)
			}
		})
	}
}
