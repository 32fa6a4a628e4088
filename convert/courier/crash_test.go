package courier

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
)

// Each run is a process of its own that dies at the n-th write boundary, so that its locks and leftovers are those of a
// dead process.
const (
	crashRoot = "DOVETAIL_CRASH_ROOT"
	crashTo   = "DOVETAIL_CRASH_TO"
	crashAt   = "DOVETAIL_CRASH_AT"
	crashCode = 3
)

func TestCrashHelper(t *testing.T) {
	root := os.Getenv(crashRoot)
	if root == "" {
		t.Skip("runs only as the process that is to die")
	}
	die, err := strconv.Atoi(os.Getenv(crashAt))
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Convert: true}
	if os.Getenv(crashTo) == "courier" {
		o.To = ToCourier
	}
	n := 0
	o.Fault = func(disk.Op, string) error {
		if n++; n == die {
			os.Exit(crashCode)
		}
		return nil
	}
	convert(t, root, o)
}

// crashTree has a bit of everything that is written.
func crashTree(t *testing.T) string {
	f := files{}
	f.box("", 500, 1, 2)
	f["courierpop3dsizelist"] = fmt.Sprintf("/3 9 1234567890\n%s 40 3:1234567890:0\n", base(1))
	f["courierimapkeywords/:list"] = fmt.Sprintf("Work\n\n%s:0\n", base(1))
	f["courierimapsubscribed"] = "INBOX\nINBOX.Entwürfe\n"
	f["maildirsize"] = "1000S\n5 1\n"
	f.box(".Q&A", 502, 7, 7)
	f.box(".Q&-A", 503, 8, 8)
	f.box(".Entwürfe", 504, 9, 9)
	f[".Entwürfe/courierimapacl"] = "owner aceilrstwx\nuser=bob lr\n"
	delete(f, ".Q&A/maildirfolder")
	return mailbox(t, f)
}

var chosenGUID = regexp.MustCompile(` G[0-9a-f]{32}`)

// kept is what the servers see of a tree: contents by path, without what is random and our own notes of folders.
func kept(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		name := filepath.Base(rel)
		switch {
		case d.IsDir():
			all[rel] = "folder"
		case strings.HasPrefix(name, oldPrefix) || name == "dovetail-taken":
		default:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all[rel] = chosenGUID.ReplaceAllString(string(b), "")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func copyOf(t *testing.T, tree string) string {
	t.Helper()
	root := filepath.Join(dovecot.TempDir(t), "Maildir")
	if out, err := exec.Command("cp", "-a", tree, root).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return root
}

func TestDeathAtEveryWriteBoundaryOfAUser(t *testing.T) {
	courier := crashTree(t)
	dovecots := copyOf(t, courier)
	convert(t, dovecots, Options{Convert: true})
	// What Dovecot's users did since: a new UIDNEXT and another subscription.
	uidlist := filepath.Join(dovecots, "dovecot-uidlist")
	was, err := os.ReadFile(uidlist)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(uidlist, []byte(strings.Replace(string(was), " N120", " N125", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dovecots, "subscriptions"), []byte("V\t2\n\nINBOX\nEntw&APw-rfe\nQ&-A\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct {
		to   Direction
		tree string
	}{{ToDovecot, courier}, {ToCourier, dovecots}} {
		t.Run("to "+way.to.String(), func(t *testing.T) {
			whole := copyOf(t, way.tree)
			if r := convert(t, whole, Options{Convert: true, To: way.to}); r.ExitCode() != 0 {
				t.Fatalf("%s", text(r))
			}
			dieEverywhere(t, way.tree, way.to, kept(t, whole))
		})
	}
}

func dieEverywhere(t *testing.T, tree string, to Direction, want map[string]string) {
	for die := 1; ; die++ {
		root := copyOf(t, tree)
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrashHelper$")
		cmd.Env = append(os.Environ(), crashRoot+"="+root, crashTo+"="+to.String(), crashAt+"="+strconv.Itoa(die))
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Logf("%d write boundaries", die-1)
			return
		}
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != crashCode {
			t.Fatalf("%v\n%s", err, out)
		}
		r := convert(t, root, Options{Convert: true, To: to})
		if got := kept(t, root); !maps.Equal(got, want) || r.ExitCode() != 0 {
			t.Fatalf("after death at boundary %d a rerun leaves %q\n%s", die, differing(want, got), text(r))
		}
		after := sums(t, root)
		if again := convert(t, root, Options{Convert: true, To: to}); again.Outcome != Already {
			t.Fatalf("after death at boundary %d and a rerun there is more to do:\n%s", die, text(again))
		}
		if diff := changes(after, sums(t, root)); len(diff) > 0 {
			t.Fatalf("after death at boundary %d the third run changed %q", die, diff)
		}
		os.RemoveAll(root)
	}
}

// differing lists paths whose contents differ.
func differing(want, got map[string]string) []string {
	var out []string
	for path, text := range got {
		if w, ok := want[path]; !ok || w != text {
			out = append(out, fmt.Sprintf("%s: %q want %q", path, text, w))
		}
	}
	for path := range want {
		if _, ok := got[path]; !ok {
			out = append(out, "no "+path)
		}
	}
	slices.Sort(out)
	return out
}
