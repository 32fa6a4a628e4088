package courier

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// files are a Maildir: contents by path; a path that ends in "/" is an empty folder.
type files map[string]string

// message makes a message file, named as Courier does.
func message(n int, flags string) (path, text string) {
	return fmt.Sprintf("cur/%d.M%dP1.host,S=%d:2,%s", 1600000000+n, n, len(body(n)), flags), body(n)
}

func body(n int) string { return fmt.Sprintf("Subject: %d\n\n%s\n", n, strings.Repeat("x", n)) }

// base is what lists call message n.
func base(n int) string {
	path, _ := message(n, "")
	return strings.TrimSuffix(strings.TrimPrefix(path, "cur/"), ":2,")
}

// box adds a folder of Courier with messages first to last, UIDs 10 times their number.
func (f files) box(path string, validity, first, last int) files {
	list := fmt.Sprintf("1 %d %d\n", validity, 10*last+100)
	for n := first; n <= last; n++ {
		name, text := message(n, "S")
		f[within(path, name)] = text
		list += fmt.Sprintf("%d %s\n", 10*n, base(n))
	}
	f[within(path, "courierimapuiddb")] = list
	f[within(path, "new/")], f[within(path, "tmp/")], f[within(path, "cur/")] = "", "", ""
	if path != "" {
		f[path+"/maildirfolder"] = ""
	}
	return f
}

// mailbox makes the tree and gives its path. Everything is an hour old.
func mailbox(t *testing.T, f files) string {
	t.Helper()
	root := filepath.Join(dovecot.TempDir(t), "Maildir")
	f.plantAt(t, root)
	return root
}

func (f files) plantAt(t *testing.T, root string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	for path, text := range f {
		full := filepath.Join(root, path)
		if strings.HasSuffix(path, "/") {
			if err := os.MkdirAll(full, 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(full, old, old); err != nil {
			t.Fatal(err)
		}
	}
	dovecot.Own(t, root)
}

// convert runs and expects no error.
func convert(t *testing.T, root string, o Options) *UserReport {
	t.Helper()
	r, err := Run(context.Background(), User{Name: "tester", Maildir: root}, o)
	if err != nil {
		t.Fatalf("%v\n%s", err, text(r))
	}
	return r
}

func text(r *UserReport) string {
	var b strings.Builder
	r.WriteText(&b)
	return b.String()
}

// sums is every path of a tree with what it holds.
func sums(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[rel] = fmt.Sprint(info.Mode(), info.ModTime().UnixNano())
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all[rel] += fmt.Sprintf(" %x", sha256.Sum256(b))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// changes lists paths that differ between two looks.
func changes(before, after map[string]string) []string {
	var out []string
	for path, sum := range after {
		if before[path] != sum {
			out = append(out, path)
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok {
			out = append(out, "gone: "+path)
		}
	}
	slices.Sort(out)
	return out
}

// prefixed is a Dovecot that shows names as Courier did.
func prefixed(t *testing.T, root string, settings ...string) *dovecot.Judge {
	return dovecot.New(t, "maildir:"+root, append([]string{"namespace inbox {\n  prefix = INBOX.\n  separator = .\n}"}, settings...)...)
}

// courier4 is a user of Courier 4 with something of everything.
func courier4() files {
	f := files{}
	f.box("", 500, 1, 4)
	f["courierpop3dsizelist"] = fmt.Sprintf("/2 9 1234567890\n%s 40 3:1234567890\n%s 40 0:1234567890\n%s 40 5:1234567890\n", base(1), base(2), base(3))
	f["courierimapkeywords/:list"] = fmt.Sprintf("Work\n$Forwarded\n\n%s:0 1\n%s:1\n", base(1), base(3))
	f["courierimapkeywords/"+base(4)] = "Late\n"
	f["courierimapsubscribed"] = "INBOX\nINBOX.Q&A\nINBOX.Entw&APw-rfe\nINBOX.gone\nshared.public\n"
	f.box(".Entw&APw-rfe", 501, 5, 6)
	f.box(".Q&A", 502, 7, 7)
	f.box(".Q&A.x&AOQ", 503, 8, 8)
	f.box(".empty", 504, 1, 0)
	f.box(".INBOX", 505, 9, 9)
	f["courierimapacl"] = "owner aceilrstwx\nadministrators aceilrstwx\n"
	f[".Entw&APw-rfe/courierimapacl"] = "owner aceilrstwx\nadministrators aceilrstwx\nuser=bob@example.com lrsci\n-user=mallory@example.com r\n"
	return f
}

func TestAUserOfCourier4SeesTheSameInDovecot(t *testing.T) {
	dovecot.Need(t)
	root := mailbox(t, courier4())
	before := sums(t, root)

	look := convert(t, root, Options{})
	if diff := changes(before, sums(t, root)); len(diff) > 0 {
		t.Fatalf("a run that only looks changed %q", diff)
	}
	done := convert(t, root, Options{Convert: true})
	t.Run("R-374 the list of the dry run is the list of the run", func(t *testing.T) {
		if !slices.Equal(look.Steps, done.Steps) {
			t.Errorf("announced\n%v\ndone\n%v", look.Steps, done.Steps)
		}
	})
	t.Log(text(done))
	for _, path := range changes(before, sums(t, root)) {
		if strings.Contains(path, "courier") && !strings.Contains(path, ".Q&") && !strings.Contains(path, ".INBOX") && path != noteName {
			t.Errorf("a file of Courier's was changed: %s", path)
		}
	}
	t.Run("R-376 a second run writes nothing", func(t *testing.T) {
		after := sums(t, root)
		again := convert(t, root, Options{Convert: true})
		if again.Outcome != Already || len(again.Steps) > 0 || again.ExitCode() != 0 {
			t.Errorf("the second run:\n%s", text(again))
		}
		if diff := changes(after, sums(t, root)); len(diff) > 0 {
			t.Errorf("the second run changed %q", diff)
		}
	})
	dovecotSeesCourier4(t, root)
}

func dovecotSeesCourier4(t *testing.T, root string) {
	j := prefixed(t, root)
	s := j.IMAP()
	if got := s.Cmd("NAMESPACE"); !slices.Contains(got, `* NAMESPACE (("INBOX." ".")) NIL NIL`) {
		t.Errorf("NAMESPACE: %q", got)
	}
	for _, box := range []struct {
		name     string
		validity int
		uids     []int
	}{
		{"INBOX", 500, []int{10, 20, 30, 40}}, {"INBOX.Entwürfe", 501, []int{50, 60}}, {"INBOX.Q&A", 502, []int{70}},
		{"INBOX.Q&A.x&AOQ", 503, []int{80}}, {"INBOX.empty", 504, nil}, {"INBOX.INBOX_", 505, []int{90}},
	} {
		st := s.Status(box.name)
		if int(st.UIDValidity) != box.validity {
			t.Errorf("%s: UIDVALIDITY %d, want %d", box.name, st.UIDValidity, box.validity)
		}
		var uids []int
		s.Select(box.name)
		for _, m := range s.Fetch("1:*") {
			uids = append(uids, int(m.UID))
		}
		if !slices.Equal(uids, box.uids) {
			t.Errorf("%s: UIDs %v, want %v", box.name, uids, box.uids)
		}
	}
	s.Select("INBOX")
	var words []string
	for _, m := range s.Fetch("1:*") {
		words = append(words, strings.Join(m.Keywords, " "))
	}
	if want := []string{"$Forwarded Work", "", "$Forwarded", "Late"}; !slices.Equal(words, want) {
		t.Errorf("keywords %q, want %q", words, want)
	}
	subscribed := s.Lsub()
	slices.Sort(subscribed)
	if want := []string{"INBOX", "INBOX.Entwürfe", "INBOX.Q&A", "INBOX.gone"}; !slices.Equal(subscribed, want) {
		t.Errorf("subscribed %q, want %q", subscribed, want)
	}
	s.Close()
	p := j.POP3()
	var uidls []string
	for _, line := range p.Multi("UIDL") {
		uidls = append(uidls, strings.Fields(line)[1])
	}
	p.Close()
	if want := []string{"UID3-1234567890", base(2), "UID5-1234567890"}; !slices.Equal(uidls[:3], want) {
		t.Errorf("UIDLs %q, want %q", uidls, want)
	}
	j.MustBeClean()
}
