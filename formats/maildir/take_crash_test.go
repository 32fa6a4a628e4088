package maildir

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
)

// takeCrash are the trees and directions in which a Take is killed.
var takeCrash = map[string]struct {
	tree  func() map[string]string
	lists Lists // of the target
}{
	"Courier's lists to Dovecot": {func() map[string]string { return crashCourier() }, DovecotLists},
	"Courier's lists over a trial of Dovecot's": {func() map[string]string {
		tree := crashCourier()
		tree[uidlistName], tree[keywordsName] = "3 V7 N9 G0123456789abcdef0123456789abcdef\n1 :1.a\n", "0 trial\n"
		tree["dovecot.index.cache"], tree["dovecot.index.log"] = "x", "x"
		return tree
	}, DovecotLists},
	"Dovecot's lists to Courier": {func() map[string]string {
		return map[string]string{uidlistName: "3 V300 N20 G0123456789abcdef0123456789abcdef\n3 PUID3-77 O1 :1.a\n5 PUID4-77 O2 :2.b\n7 :3.c\n", keywordsName: "0 x\n1 y\n",
			"cur/1.a:2,Sab": "one\n", "cur/2.b:2,b": "two\n", "new/3.c": "three\n", uiddb: "1 300 9\n3 1.a\n5 2.b\n", pop3: "/2 5 77\n1.a:2, 5 3:77\n2.b:2, 5 4:77\n",
			kwList: "old\n\n1.a:0\n", courierKeywordsDir + "/.5.2.b": "pending\n", "tmp/x": ""}
	}, Courier4Lists},
}

func crashCourier() map[string]string {
	return map[string]string{uiddb: "1 300 17\n5 1.a\n6 2.b:x\n", "cur/1.a:2,Sc": "one\n", "cur/2.b:x:2,": "two\n", "cur/3.c:2,": "three\n",
		pop3: "/2 9 77\n1.a:2, 5 8:77\n2.b:x:2, 5 0:77\n", kwList: "k\n\n1.a:0\n", courierKeywordsDir + "/3.c": "k\nl\n", "tmp/x": ""}
}

func TestTakeCrashHelper(t *testing.T) {
	root := os.Getenv(crashRoot)
	if root == "" || os.Getenv(crashWhat) == "" {
		t.Skip("runs only as the process that is to die")
	}
	c, ok := takeCrash[os.Getenv(crashWhat)]
	if !ok {
		t.Skip("runs only as the process that is to die")
	}
	die, err := strconv.Atoi(os.Getenv(crashAt))
	if err != nil {
		t.Fatal(err)
	}
	files := dovecot.FS()
	to, from := crashSides(t, root, c.lists, files)
	n := 0
	files.Fault = func(disk.Op, string) error {
		if n++; n == die {
			os.Exit(crashCount)
		}
		return nil
	}
	take(t, to, from, TakeOptions{Replace: true})
}

func crashSides(t *testing.T, root string, lists Lists, files *disk.FS) (to, from *Mailbox) {
	t.Helper()
	other := Courier4Lists
	if lists.courier() {
		other = DovecotLists
	}
	for _, side := range []struct {
		lists Lists
		box   **Mailbox
	}{{lists, &to}, {other, &from}} {
		b, err := openStore(t, Options{Root: root, Lists: side.lists, FS: files}).OpenFolder(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		*side.box = b
	}
	return to, from
}

// takeResult is what the target's control files say and which files there are.
func takeResult(t *testing.T, root string, lists Lists) map[string]string {
	t.Helper()
	names := []string{uidlistName, keywordsName}
	if lists.courier() {
		names = []string{uiddb, pop3, kwList}
	}
	out := map[string]string{"files": strings.Join(fileNames(t, root), "\n")}
	for _, name := range names {
		out[name] = readList(t, filepath.Join(root, name))
	}
	pending, err := filepath.Glob(filepath.Join(root, courierKeywordsDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if lists.courier() {
		for i, path := range pending {
			pending[i] = filepath.Base(path)
		}
		out["pending"] = strings.Join(slices.DeleteFunc(pending, func(name string) bool { return strings.HasSuffix(name, ".tmp") }), "\n")
	}
	return out
}

func TestTakeDiesAtEveryWriteBoundary(t *testing.T) {
	for what, c := range takeCrash {
		t.Run(what, func(t *testing.T) {
			base := filepath.Join(dovecot.TempDir(t), "base")
			tree := c.tree()
			writeFiles(t, base, tree)
			for _, sub := range []string{"cur", "new", "tmp"} {
				os.MkdirAll(filepath.Join(base, sub), 0o700)
			}
			dovecot.Own(t, base)
			done := copyTree(t, base)
			to, from := crashSides(t, done, c.lists, dovecot.FS())
			take(t, to, from, TakeOptions{Replace: true})
			before, after := takeResult(t, base, c.lists), takeResult(t, done, c.lists)
			for die := 1; ; die++ {
				root := copyTree(t, base)
				cmd := exec.Command(os.Args[0], "-test.run=^TestTakeCrashHelper$")
				cmd.Env = append(os.Environ(), crashRoot+"="+root, crashWhat+"="+what, crashAt+"="+strconv.Itoa(die))
				out, err := cmd.CombinedOutput()
				if err == nil {
					t.Logf("%d write boundaries", die-1)
					return
				}
				if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != crashCount {
					t.Fatalf("%v\n%s", err, out)
				}
				dropEmptyLock(t, root)
				got := takeResult(t, root, c.lists)
				for name, text := range got {
					if name != "files" && name != "pending" && text != before[name] && text != after[name] {
						t.Fatalf("death at boundary %d leaves %s as %q, want %q or %q", die, name, text, before[name], after[name])
					}
				}
				checkSource(t, root, tree, c.lists, die)
				to, from := crashSides(t, root, c.lists, dovecot.FS())
				plan, err := to.PlanTake(t.Context(), from)
				if err != nil {
					t.Fatal(err)
				}
				started := plan.Untouched || readList(t, filepath.Join(root, takenName)) != ""
				take(t, to, from, TakeOptions{Replace: !started})
				if got := takeResult(t, root, c.lists); !mapsEqual(got, after) {
					t.Fatalf("a rerun after death at boundary %d gives\n%q, want\n%q", die, got, after)
				}
				if again := take(t, to, from, TakeOptions{}); again.State != TakeSame {
					t.Fatalf("after death at boundary %d and a rerun: %+v", die, again)
				}
			}
		})
	}
}

func mapsEqual(a, b map[string]string) bool {
	for k := range b {
		if a[k] != b[k] {
			return false
		}
	}
	return len(a) == len(b)
}

// checkSource: the source's own lists are never changed.
func checkSource(t *testing.T, root string, tree map[string]string, target Lists, die int) {
	t.Helper()
	names := []string{uiddb, pop3, kwList}
	if target.courier() {
		names = []string{uidlistName, keywordsName}
	}
	for _, name := range names {
		if text := readList(t, filepath.Join(root, name)); text != mailboxGUID.ReplaceAllString(tree[name], "") {
			t.Fatalf("death at boundary %d: the source's %s became %q", die, name, text)
		}
	}
}
