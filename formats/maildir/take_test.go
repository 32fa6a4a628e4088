package maildir

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
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

func TestCourierListsBecomeDovecots(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, courierTree)
	dovecot, courier := bothSides(t, root, "")
	before := treeSum(t, root)
	plan, err := dovecot.PlanTake(t.Context(), courier)
	if err != nil {
		t.Fatal(err)
	}
	if treeSum(t, root) != before {
		t.Error("planning changed the tree")
	}
	got := take(t, dovecot, courier, TakeOptions{})
	got.Done = false
	if !reflect.DeepEqual(got, plan) {
		t.Errorf("planned %+v\ndone %+v", plan, got)
	}
	if again := take(t, dovecot, courier, TakeOptions{}); again.State != TakeSame || again.Done {
		t.Errorf("a second run is %+v", again)
	}
	list, _ := messages(t, dovecot)
	for _, m := range list {
		fmt.Println(m.UID, m.Flags, m.Keywords, m.POP3UIDL, m.POP3Order)
	}
	text, _ := os.ReadFile(filepath.Join(root, uidlistName))
	fmt.Println(string(text))
	entries, _ := filepath.Glob(root + "/*/*")
	fmt.Println(strings.Join(entries, "\n"))
	fmt.Printf("%+v\n", plan)
	back := take(t, courier, dovecot, TakeOptions{Replace: true})
	fmt.Printf("%+v\n", back)
	for _, n := range []string{courierUIDDBName, courierPOP3Name, courierKeywordsDir + "/:list"} {
		text, err := os.ReadFile(filepath.Join(root, n))
		fmt.Println(n, string(text), err)
	}
	_ = slices.Equal[[]int]
	_ = formats.Seen
	_ = disk.ErrLocked
}
