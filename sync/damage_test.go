package sync

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/sdbox"
)

func TestASourceWithoutItsIndexIsCarriedAndTheLossReported(t *testing.T) {
	root := t.TempDir()
	src, err := sdbox.Open(t.Context(), sdbox.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Create(t.Context(), "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	box, err := src.Open(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	_, err = box.Update(t.Context(), func(tx formats.Tx) error {
		return tx.Append(t.Context(), formats.Message{UID: 7, Flags: formats.Seen}, formats.BytesBody([]byte("Subject: x\n\nx\n")))
	})
	if err != nil {
		t.Fatal(err)
	}
	box.Close()
	src.Close()
	files, err := filepath.Glob(root + "/mailboxes/INBOX/dbox-Mails/dovecot.index*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	if src, err = sdbox.Open(t.Context(), sdbox.Options{Root: root, FS: &disk.FS{ReadOnly: true}}); err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for name, dst := range map[string]formats.Store{"dry run": formats.DryRun(formats.NewMemory(), func(string, string, string) {}), "run": formats.NewMemory()} {
		r, err := Mirror(t.Context(), formats.ReadOnly(src), dst, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Totals.Appended != 1 || r.ExitCode() != 2 || len(r.Losses) == 0 || !strings.Contains(r.Losses[0].Why, "index") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestDamageOfASourceIsSaidAgainByARerun(t *testing.T) {
	src, dst := newFake(formats.Limits{}), newFake(formats.Limits{})
	src.deliver("INBOX", "x\n")
	src.lost = formats.Corrupt("a part is gone")
	for _, run := range []string{"first run", "rerun"} {
		src.statuses = 0
		r := mustMirror(t, src, dst, Options{})
		if got := said(r); len(got) != 1 || got[0] != "damage INBOX" || r.ExitCode() != 2 {
			t.Errorf("%s: losses %q, exit code %d", run, got, r.ExitCode())
		}
	}
}

// closed is a store with a folder that may not be looked into: what is below it is not listed.
type closed struct {
	*fake
	name string
}

func (c closed) Mailboxes(ctx context.Context) ([]formats.Info, error) {
	infos, err := c.fake.Mailboxes(ctx)
	infos = slices.DeleteFunc(infos, func(i formats.Info) bool { return i.Name == c.name || strings.HasPrefix(i.Name, c.name+"/") })
	return append(infos, formats.Info{Name: c.name, Err: fs.ErrPermission}), err
}

func TestBelowAFolderThatCannotBeReadNothingIsDeleted(t *testing.T) {
	src, dst := newFake(formats.Limits{}), newFake(formats.Limits{})
	for _, name := range []string{"A", "C", "C/D", "CD"} {
		src.deliver(name, "Subject: x\n\nx\n")
	}
	mustMirror(t, src, dst, Options{})
	delete(src.boxes, "CD")
	r, err := Mirror(t.Context(), closed{src, "C"}, dst, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := sortedNames(dst); !slices.Equal(got, []string{"A", "C", "C/D"}) {
		t.Errorf("the target has %q", got)
	}
	var aside []string
	for _, s := range r.SetAside {
		aside = append(aside, s.Mailbox)
	}
	if !slices.Equal(aside, []string{"C", "C/D"}) {
		t.Errorf("set aside: %q", aside)
	}
}
