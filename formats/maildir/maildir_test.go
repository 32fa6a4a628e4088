package maildir

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
)

var (
	_ formats.Store         = (*Store)(nil)
	_ formats.Subscriber    = (*Store)(nil)
	_ formats.Noter         = (*Store)(nil)
	_ formats.Placer        = (*Store)(nil)
	_ formats.Mailbox       = (*Mailbox)(nil)
	_ formats.Fingerprinter = (*Mailbox)(nil)
	_ formats.Detailer      = (*Mailbox)(nil)
)

// stringBody is a message in memory.
type stringBody struct{ *strings.Reader }

func newBody(s string) stringBody { return stringBody{strings.NewReader(s)} }

func (stringBody) Close() error { return nil }

func openStore(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openBox(t testing.TB, s formats.Store, name string) formats.Mailbox {
	t.Helper()
	b, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func update(t testing.TB, b formats.Mailbox, fn func(tx formats.Tx) error) formats.Committed {
	t.Helper()
	c, err := b.Update(t.Context(), fn)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// messages lists everything with bodies.
func messages(t testing.TB, b formats.Mailbox) (list []formats.Message, bodies []string) {
	t.Helper()
	for m, err := range b.Messages(t.Context(), formats.Query{Want: formats.WantAll}) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := b.Body(t.Context(), &m)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
		if err != nil {
			t.Fatal(err)
		}
		body.Close()
		list, bodies = append(list, m), append(bodies, string(text))
	}
	return list, bodies
}

// awkward are messages with a value in every field.
func awkward() ([]formats.Message, []string) {
	uids := []formats.UID{3, 4, 9, 10, 11, 50, 1000, 70000}
	var list []formats.Message
	var bodies []string
	for i, uid := range uids {
		m := formats.Message{UID: uid, Flags: formats.Flags(i*5) & formats.SystemFlags, Detail: formats.Detail{
			GUID: fmt.Sprintf("%032x", uid), InternalDate: time.Unix(1600000000+int64(i)*3600, 0).UTC()}}
		switch i % 3 {
		case 0:
			m.Keywords = []string{"$Forwarded", fmt.Sprintf("key%d", i)}
		case 1:
			m.POP3UIDL, m.POP3Order = fmt.Sprintf("UID%d-77", i), uint32(len(uids)-i)
		}
		list = append(list, m)
		bodies = append(bodies, fmt.Sprintf("Subject: %d\n\nFrom here\r\nbody %s\n", i, strings.Repeat("x", i*1000)))
	}
	return list, bodies
}

func TestDovecotShowsWhatWasAppended(t *testing.T) {
	for _, l := range []struct{ name, layout, location string }{
		{"Maildir++", "", "maildir:%s/m"},
		{"layout fs", "fs", "maildir:%s/m:LAYOUT=fs"},
		{"control and index roots", "", "maildir:%s/m:CONTROL=%s/c:INDEX=%s/i"},
	} {
		t.Run(l.name, func(t *testing.T) {
			root := dovecot.TempDir(t)
			o := Options{Root: filepath.Join(root, "m"), Layout: l.layout, FS: dovecot.FS(), Create: true}
			if strings.Contains(l.location, "CONTROL") {
				o.Control, o.Index = filepath.Join(root, "c"), filepath.Join(root, "i")
			}
			s := openStore(t, o)
			for _, name := range []string{"INBOX", "Größe/2024"} {
				checkAgainstDovecot(t, s, name, strings.ReplaceAll(l.location, "%s", root))
			}
		})
	}
}

func checkAgainstDovecot(t *testing.T, s *Store, name, location string) {
	t.Helper()
	like := formats.Status{UIDValidity: 1234567890, UIDNext: 2, GUID: formats.GUID{1, 2, 3, 15}}
	if err := s.Create(t.Context(), name, like); err != nil {
		t.Fatal(err)
	}
	b := openBox(t, s, name)
	list, bodies := awkward()
	update(t, b, func(tx formats.Tx) error {
		for i := range list {
			if err := tx.Append(t.Context(), list[i], newBody(bodies[i])); err != nil {
				return err
			}
		}
		return tx.Raise(70011, 0, 0)
	})
	got, gotBodies := messages(t, b)
	j := dovecot.New(t, location)
	theirs := j.Fetch(name)
	if len(got) != len(list) || len(theirs) != len(list) {
		t.Fatalf("%d messages appended, %d read, Dovecot shows %d", len(list), len(got), len(theirs))
	}
	for i, want := range list {
		g := got[i]
		if g.UID != want.UID || g.Flags != want.Flags || !formats.SameKeywords(g.Keywords, want.Keywords) || g.GUID != want.GUID ||
			!g.InternalDate.Equal(want.InternalDate) || g.POP3UIDL != want.POP3UIDL || g.POP3Order != want.POP3Order || gotBodies[i] != bodies[i] {
			t.Errorf("appended %+v, read %+v (body equal: %v)", want, g, gotBodies[i] == bodies[i])
		}
		d := theirs[i]
		crlf := strings.ReplaceAll(strings.ReplaceAll(bodies[i], "\r\n", "\n"), "\n", "\r\n")
		if d.Body != crlf || d.Size != int64(len(crlf)) || !d.InternalDate.Equal(want.InternalDate) || d.POP3UIDL != want.POP3UIDL || d.POP3Order != want.POP3Order {
			t.Errorf("appended %+v, Dovecot shows %+v", want, d)
		}
		if d.UID != want.UID || d.Flags&formats.SystemFlags != want.Flags || !formats.SameKeywords(d.Keywords, want.Keywords) || d.GUID != want.GUID {
			t.Errorf("appended %+v, Dovecot shows %+v", want, d)
		}
		if g.Size != int64(len(bodies[i])) || g.VirtualSize != int64(len(bodies[i])+strings.Count(bodies[i], "\n")-strings.Count(bodies[i], "\r\n")) {
			t.Errorf("uid %d: sizes %d %d of %d bytes", g.UID, g.Size, g.VirtualSize, len(bodies[i]))
		}
	}
	st := j.Status(name)
	if st.UIDNext != 70011 || st.UIDValidity != like.UIDValidity {
		t.Errorf("Dovecot's status: %+v", st)
	}
	if name == "INBOX" {
		checkPOP3(t, j, list)
	}
	j.MustBeClean()
}

// checkPOP3 wants messages with an order first, ascending, and their own UIDLs.
func checkPOP3(t *testing.T, j *dovecot.Judge, list []formats.Message) {
	t.Helper()
	want := slices.Clone(list)
	place := func(m formats.Message) uint32 { return m.POP3Order - 1 } // 0 comes last
	slices.SortStableFunc(want, func(a, b formats.Message) int { return cmp.Compare(place(a), place(b)) })
	p := j.POP3()
	defer p.Close()
	for i, got := range p.All() {
		if w := want[i]; w.POP3UIDL != "" && got.UIDL != w.POP3UIDL || w.POP3UIDL == "" && strings.HasPrefix(got.UIDL, "UID") {
			t.Errorf("POP3 message %d has UIDL %q, want %+v", i+1, got.UIDL, w)
		}
	}
}

func TestOneMessageIsDescribedAsAmongAll(t *testing.T) {
	s := openStore(t, Options{Root: t.TempDir(), Create: true})
	if err := s.Create(t.Context(), "INBOX", formats.Status{}); err != nil && !errors.Is(err, formats.ErrExists) {
		t.Fatal(err)
	}
	b := openBox(t, s, "INBOX")
	update(t, b, func(tx formats.Tx) error {
		for i := range 3 {
			m := formats.Message{Detail: formats.Detail{InternalDate: time.Unix(int64(1500000000+i), 0)}}
			if err := tx.Append(t.Context(), m, newBody("Subject: x\n\nx\n")); err != nil {
				return err
			}
		}
		return nil
	})
	for want, err := range b.Messages(t.Context(), formats.Query{Want: formats.WantAll}) {
		if err != nil {
			t.Fatal(err)
		}
		got := formats.Message{UID: want.UID}
		if err := b.(formats.Detailer).Detail(t.Context(), &got, formats.WantAll); err != nil || got.Detail != want.Detail {
			t.Errorf("UID %d: got %+v, want %+v, %v", want.UID, got.Detail, want.Detail, err)
		}
	}
	if err := b.(formats.Detailer).Detail(t.Context(), &formats.Message{UID: 99}, formats.WantDate); !errors.Is(err, formats.ErrNoMessage) {
		t.Errorf("a message that is not there: %v", err)
	}
}

func TestOpenOfAMissingRoot(t *testing.T) {
	_, err := Open(t.Context(), Options{Root: filepath.Join(t.TempDir(), "none")})
	if ok, _ := disk.Exists(err); ok || err == nil {
		t.Fatalf("got %v", err)
	}
}

func writeFiles(t testing.TB, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// treeSum sums up names, sizes, dates and contents of a tree.
func treeSum(t testing.TB, root string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(h, path, info.Mode(), info.Size(), info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			h.Write(text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}
