package mdbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/mdbox"
)

var ctx = context.Background()

func open(t *testing.T, o mdbox.Options) *mdbox.Store {
	t.Helper()
	o.FS = &disk.FS{ReadOnly: true}
	s, err := mdbox.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// compareMailbox holds a mailbox against what Dovecot shows of it.
func compareMailbox(t *testing.T, j *dovecot.Judge, s formats.Store, name string) {
	t.Helper()
	want, wantStatus := j.Fetch(name), j.Status(name)
	b, err := s.Open(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	st, err := b.Status(ctx)
	st.FirstRecent, st.KeepsModSeqs = 0, false // clients are not told
	if err != nil || st != wantStatus {
		t.Errorf("%s: status %+v, %v; Dovecot shows %+v", name, st, err, wantStatus)
	}
	n := 0
	for m, err := range b.Messages(ctx, formats.Query{Want: formats.WantAll}) {
		if err != nil || n >= len(want) {
			t.Fatalf("%s: %+v, %v after %d messages of %d", name, m, err, n, len(want))
		}
		w := want[n]
		n++
		body, err := b.Body(ctx, &m)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		body.WriteTo(&text)
		body.Close()
		if m.UID != w.UID || m.Flags != w.Flags || !slices.Equal(slices.Sorted(slices.Values(m.Keywords)), w.Keywords) || m.ModSeq != w.ModSeq ||
			!m.InternalDate.Equal(w.InternalDate) || m.GUID != w.GUID || m.POP3UIDL != w.POP3UIDL || m.POP3Order != w.POP3Order ||
			crlf(text.String()) != w.Body || m.VirtualSize != w.Size || m.Size != body.Size() || !m.SaveDate.Equal(w.SaveDate) {
			t.Errorf("%s: got %+v\nDovecot shows %+v", name, m, w)
		}
	}
	if n != len(want) {
		t.Errorf("%s: %d messages, Dovecot shows %d", name, n, len(want))
	}
}

func TestWhatDovecotWroteIsRead(t *testing.T) {
	j, root := dovecot.Awkward(t, "mdbox")
	s := open(t, mdbox.Options{Root: root})
	infos, err := s.Mailboxes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var names, want []string
	for _, i := range infos {
		names = append(names, fmt.Sprint(i.Name, i.NoSelect, i.Err))
	}
	for _, e := range j.List() {
		want = append(want, fmt.Sprint(e.Name, e.NoSelect, error(nil)))
		if !e.NoSelect {
			compareMailbox(t, j, s, e.Name)
		}
	}
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("mailboxes %q, Dovecot lists %q", names, want)
	}
	if subs, err := s.Subscriptions(ctx); err != nil || !slices.Contains(subs, "Archive/Größe/2024") {
		t.Errorf("subscribed %q, %v", subs, err)
	}
	j.MustBeClean()
}

func TestCopiesExpungesPurgesAndAltStorageAreFollowed(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	alt := filepath.Join(dovecot.TempDir(t), "alt")
	if err := os.Mkdir(alt, 0o700); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, alt)
	j := dovecot.New(t, "mdbox:"+root+":ALT="+alt+":INDEX="+root+"-index", "mdbox_rotate_size = 2k")
	s := j.IMAP()
	for n := range 12 {
		s.Append("INBOX", `\Seen`, "", fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", n, strings.Repeat("x", 100*n)))
	}
	s.Cmd("CREATE copies")
	s.Select("INBOX")
	s.Cmd("UID COPY 2:5 copies")
	s.Cmd(`UID STORE 3,7 +FLAGS (\Deleted)`)
	s.Cmd("EXPUNGE")
	s.Close()
	j.Doveadm("altmove", "mailbox", "copies", "uid", "1:2")
	j.Doveadm("purge")
	store := open(t, mdbox.Options{Root: root, Index: root + "-index"}) // ALT from the link
	compareMailbox(t, j, store, "INBOX")
	compareMailbox(t, j, store, "copies")
	if files, _ := filepath.Glob(alt + "/storage/m.*"); len(files) == 0 {
		t.Error("nothing was moved to the alt storage: the test proves nothing")
	}
	j.MustBeClean()
}

func TestDamageConcernsOneMessage(t *testing.T) {
	_, root := dovecot.Awkward(t, "mdbox")
	files, err := filepath.Glob(root + "/storage/m.*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	i := strings.Index(string(b), "Subject: eight bit")
	b[i-1] = 'x' // the end of its header
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	box, err := open(t, mdbox.Options{Root: root}).Open(ctx, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	var bad []string
	n := 0
	for _, err := range box.Messages(ctx, formats.Query{Want: formats.WantDate}) {
		n++
		if e, ok := formats.Damaged(err); ok {
			bad = append(bad, fmt.Sprint(e.UID, errors.Is(e, formats.ErrCorrupt), e.Path == files[0], e.Offset == int64(i-1)))
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n != 9 || !slices.Equal(bad, []string{"50 true true true"}) {
		t.Errorf("%d messages, damaged %q", n, bad)
	}
	var found []formats.UID
	for p, err := range box.(formats.Checker).Check(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, p.UID)
	}
	if !slices.Equal(found, []formats.UID{50}) {
		t.Errorf("problems with %v", found)
	}
}

func TestOfADamagedMapTheReadablePartIsUsed(t *testing.T) {
	_, root := dovecot.Awkward(t, "mdbox")
	count := func() (good, bad int) {
		b, err := open(t, mdbox.Options{Root: root, FS: &disk.FS{ReadOnly: true}}).Open(ctx, "INBOX")
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		for m, err := range b.Messages(ctx, formats.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			if body, err := b.Body(ctx, &m); err == nil {
				body.Close()
				good++
			} else if !errors.Is(err, formats.ErrCorrupt) {
				t.Errorf("uid %d: %v", m.UID, err)
			} else {
				bad++
			}
		}
		return good, bad
	}
	all, _ := count()
	name := root + "/storage/dovecot.map.index.log"
	log, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	half := bytes.LastIndex(log[:len(log)/2], []byte{0x80, 0x80, 0x80}) // the size of a record
	if half < 0 {
		t.Fatal("no record")
	}
	log = append(log[:half:half], 0x80, 0x80, 0x80, 0x83, 0x10, 0, 0, 0, 1, 1, 1, 1) // of a type that does not exist
	if err := os.WriteFile(name, log, 0o600); err != nil {
		t.Fatal(err)
	}
	if good, bad := count(); good == 0 || bad == 0 || good+bad != all {
		t.Errorf("of %d messages %d can be read and %d not", all, good, bad)
	}
}
