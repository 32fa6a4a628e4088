package sync_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/location"
	"dovetail/sync"
)

// holds says what real Dovecot can show of a kind of store, whatever our code says of its limits.
type holds struct{ guid, mailboxGUID, pop3, modseq bool }

var matrixKinds = map[string]holds{
	"mbox":       {},
	"maildir":    {guid: true, mailboxGUID: true, pop3: true},
	"maildir-fs": {guid: true, mailboxGUID: true, pop3: true},
	"sdbox":      {guid: true, mailboxGUID: true, pop3: true, modseq: true},
	"mdbox":      {guid: true, mailboxGUID: true, pop3: true, modseq: true},
}

// truth is what Dovecot shows of a whole store.
type truth struct {
	subscribed []string
	status     map[string]dovecot.Status
	messages   map[string][]dovecot.Msg
	pop3       []dovecot.PopMessage
}

func askAll(t *testing.T, j *dovecot.Judge) truth {
	t.Helper()
	all := truth{subscribed: j.Lsub(), status: map[string]dovecot.Status{}, messages: map[string][]dovecot.Msg{}}
	for _, e := range j.List() {
		if e.NoSelect {
			continue
		}
		msgs := j.Fetch(e.Name)
		for i := range msgs {
			msgs[i].Flags &= formats.SystemFlags
		}
		all.messages[e.Name] = msgs
		all.status[e.Name] = j.Status(e.Name)
	}
	p := j.POP3()
	all.pop3 = p.All()
	p.Close()
	j.MustBeClean()
	return all
}

// Every value that Dovecot shows in the source, it shows in the target, for each ordered pair of formats.
func TestMatrixOfDovecot(t *testing.T) {
	dovecot.Need(t)
	for _, from := range []string{"mbox", "maildir", "maildir-fs", "sdbox", "mdbox"} {
		t.Run("from "+from, func(t *testing.T) {
			j, root := dovecot.Awkward(t, from)
			want := askAll(t, j)
			for _, to := range []string{"mbox", "maildir", "maildir-fs", "sdbox", "mdbox"} {
				t.Run("to "+to, func(t *testing.T) { convertAndAsk(t, from, root, to, want) })
			}
		})
	}
}

func convertAndAsk(t *testing.T, from, fromRoot, to string, want truth) {
	ctx := t.Context()
	before := snapshot(t, fromRoot)
	target := dovecot.Location(to, filepath.Join(dovecot.TempDir(t), "target"))
	src := openStore(t, dovecot.Location(from, fromRoot), &disk.FS{ReadOnly: true}, false)
	dst := openStore(t, target, dovecot.FS(), true)

	report := mirror(t, src, dst)
	if got := snapshot(t, fromRoot); !reflect.DeepEqual(got, before) {
		t.Errorf("the source was written: %s", changes(before, got))
	}
	checkLosses(t, report, from, to)
	checkVerify(t, ctx, src, dst)
	want.messages = withoutKeywords(want.messages, report.Losses)

	j := dovecot.New(t, target)
	compare(t, want, askAll(t, j), from, to)

	again := mirror(t, src, dst)
	if n := again.Totals; n.Appended+n.Flagged+n.Expunged != 0 {
		t.Errorf("the second run was not without work: %+v", n)
	}
	compare(t, want, askAll(t, j), from, to)
}

func openStore(t *testing.T, loc string, fsys *disk.FS, create bool) formats.Store {
	t.Helper()
	l, err := location.Parse(loc, location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := location.Open(t.Context(), l, location.Options{FS: fsys, Create: create})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mirror(t *testing.T, src, dst formats.Store) *sync.Report {
	t.Helper()
	report, err := sync.Mirror(t.Context(), src, dst, sync.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.SetAside) > 0 {
		t.Errorf("set aside: %+v", report.SetAside)
	}
	return report
}

// checkLosses wants every loss that there is announced, and no other.
func checkLosses(t *testing.T, r *sync.Report, from, to string) {
	t.Helper()
	may := []string{"save-date", "modseq"}
	if !matrixKinds[to].guid {
		may = append(may, "guid", "mailbox-guid", "pop3-uidl", "pop3-order")
	}
	if strings.HasPrefix(to, "maildir") {
		may = append(may, "keyword")
	}
	for _, l := range r.Losses {
		if !slices.Contains(may, l.What) {
			t.Errorf("announced without need: %+v", l)
		}
	}
	if matrixKinds[from].pop3 && !matrixKinds[to].pop3 {
		for _, what := range []string{"guid", "pop3-uidl", "pop3-order"} {
			derived := what == "guid" && from == "maildir-fs" // doveadm backup made file names of them
			if !derived && !slices.ContainsFunc(r.Losses, func(l sync.Loss) bool { return l.What == what }) {
				t.Errorf("%s cannot hold %s, but its loss is not announced in %+v", to, what, r.Losses)
			}
		}
	}
}

// withoutKeywords leaves out the keywords whose loss was announced.
func withoutKeywords(all map[string][]dovecot.Msg, losses []sync.Loss) map[string][]dovecot.Msg {
	out := map[string][]dovecot.Msg{}
	for name, msgs := range all {
		msgs = slices.Clone(msgs)
		for i := range msgs {
			msgs[i].Keywords = slices.DeleteFunc(slices.Clone(msgs[i].Keywords), func(k string) bool {
				return slices.ContainsFunc(losses, func(l sync.Loss) bool { return l.What == "keyword" && l.Mailbox == name && l.Detail == k })
			})
		}
		out[name] = msgs
	}
	return out
}

func checkVerify(t *testing.T, ctx context.Context, src, dst formats.Store) {
	t.Helper()
	report, err := sync.Verify(ctx, src, dst, sync.Options{})
	if err != nil {
		t.Errorf("verify: %v", err)
		return
	}
	for _, d := range report.Differences {
		t.Errorf("verify finds %+v", d)
	}
}

func compare(t *testing.T, want, got truth, from, to string) {
	t.Helper()
	if !slices.Equal(got.subscribed, want.subscribed) {
		t.Errorf("subscribed %q, want %q", got.subscribed, want.subscribed)
	}
	for name := range got.status {
		if _, ok := want.status[name]; !ok {
			t.Errorf("mailbox %q came from nowhere", name)
		}
	}
	can := matrixKinds[to]
	for name, w := range want.status {
		compareStatus(t, name, w, got.status[name], can.mailboxGUID && matrixKinds[from].mailboxGUID, can.modseq && matrixKinds[from].modseq)
		compareMessages(t, name, want.messages[name], got.messages[name], from, to)
	}
	comparePOP3(t, want.pop3, got.pop3, can.pop3)
}

func compareStatus(t *testing.T, name string, want, got dovecot.Status, guid, modseq bool) {
	t.Helper()
	want.Recent, got.Recent = 0, 0
	if !guid {
		want.GUID, got.GUID = formats.GUID{}, formats.GUID{}
	}
	if !modseq {
		want.HighestModSeq, got.HighestModSeq = 0, 0
	}
	if got != want {
		t.Errorf("status of %s\n got %+v\nwant %+v", name, got, want)
	}
}

func compareMessages(t *testing.T, name string, want, got []dovecot.Msg, from, to string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d messages, want %d", name, len(got), len(want))
		return
	}
	for i := range want {
		w, g := want[i], got[i]
		w.SaveDate = g.SaveDate // no format but mdbox lets it be chosen
		if !matrixKinds[from].guid || !matrixKinds[to].guid {
			w.GUID = g.GUID
		}
		if !matrixKinds[to].pop3 {
			w.POP3UIDL, w.POP3Order = "", 0
		}
		if !matrixKinds[from].modseq || !matrixKinds[to].modseq {
			w.ModSeq = g.ModSeq
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("%s uid %d\n got %s\nwant %s", name, w.UID, brief(g), brief(w))
		}
	}
}

// brief is a message on a line.
func brief(m dovecot.Msg) string {
	body := fmt.Sprintf("%x", sha256.Sum256([]byte(m.Body)))[:8]
	return fmt.Sprintf("uid %d %v %v modseq %d %v size %d guid %q uidl %q order %d body %s %.30q", m.UID, m.Flags, m.Keywords, m.ModSeq,
		m.InternalDate, m.Size, m.GUID, m.POP3UIDL, m.POP3Order, body, m.Body)
}

// comparePOP3 compares what a POP3 client sees; a format without UIDLs of its own still shows the same bodies.
func comparePOP3(t *testing.T, want, got []dovecot.PopMessage, exact bool) {
	t.Helper()
	if !exact {
		bodies := func(all []dovecot.PopMessage) (out []string) {
			for _, m := range all {
				out = append(out, m.Body)
			}
			slices.Sort(out)
			return out
		}
		if !slices.Equal(bodies(got), bodies(want)) {
			t.Error("POP3 shows other bodies")
		}
		return
	}
	if !slices.Equal(got, want) {
		for i := range want {
			if i < len(got) && got[i] != want[i] {
				t.Errorf("POP3 message %d: got UIDL %q size %d, want %q %d", i+1, got[i].UIDL, got[i].Size, want[i].UIDL, want[i].Size)
			}
		}
		t.Errorf("POP3 shows %d messages, want %d, each with its UIDL in order", len(got), len(want))
	}
}

// snapshot is every file below root (and the mbox INBOX beside it), with content and modification time.
func snapshot(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, top := range []string{root, root + "-inbox"} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			var b []byte
			if info.Mode().IsRegular() {
				if b, err = os.ReadFile(path); err != nil {
					return err
				}
			}
			all[path] = fmt.Sprintf("%v %v %x", info.Mode(), info.ModTime(), sha256.Sum256(b))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func changes(before, after map[string]string) string {
	var out []string
	for path, was := range before {
		if after[path] != was {
			out = append(out, "changed "+path)
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok {
			out = append(out, "new "+path)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
