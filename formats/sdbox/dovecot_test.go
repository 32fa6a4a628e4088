package sdbox_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/sdbox"
)

var ctx = context.Background()

// text is a message of a test.
func text(s string) formats.Body {
	b := new(disk.Spool)
	b.Write([]byte(s))
	return b
}

func open(t testing.TB, o sdbox.Options) *sdbox.Store {
	t.Helper()
	if o.FS == nil {
		o.FS = dovecot.FS()
	}
	s, err := sdbox.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func box(t testing.TB, s formats.Store, name string) formats.Mailbox {
	t.Helper()
	b, err := s.Open(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func update(t testing.TB, b formats.Mailbox, fn func(formats.Tx) error) formats.Committed {
	t.Helper()
	done, err := b.Update(ctx, fn)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func messages(t testing.TB, b formats.Mailbox, want formats.Want) []formats.Message {
	t.Helper()
	var list []formats.Message
	for m, err := range b.Messages(ctx, formats.Query{Want: want}) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

func bodyOf(t testing.TB, b formats.Mailbox, m *formats.Message) string {
	t.Helper()
	body, err := b.Body(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var out strings.Builder
	if _, err := body.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func keywords(n int) []string {
	list := []string{"$Forwarded", "NonJunk"}
	for i := 2; i < n; i++ {
		list = append(list, fmt.Sprintf("kw%02d", i))
	}
	return list
}

// message makes one with everything set.
func message(uid formats.UID, flags formats.Flags, kw []string, modseq formats.ModSeq, guid, uidl string, order uint32, date int64) formats.Message {
	return formats.Message{UID: uid, Flags: flags, Keywords: kw, ModSeq: modseq, Detail: formats.Detail{GUID: guid,
		InternalDate: time.Unix(date, 0).UTC(), POP3UIDL: uidl, POP3Order: order}}
}

var inbox = []formats.Message{
	message(3, 0, nil, 4, "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "", 0, 1600000000),
	message(9, formats.SystemFlags, keywords(40), 9, "free text?", "uidl-of-nine", 7, 1),
	message(10, formats.Seen, keywords(1), 5, "b1", "second", 2, 2147483647),
	message(51, formats.Deleted, nil, 12, "b2", "", 0, 951782400),
	message(70000, formats.Flagged|formats.Draft, keywords(3), 30, "b3", "last", 0, 1700000000),
}

var status = formats.Status{GUID: formats.GUID{0: 0x11, 15: 0xff}, UIDValidity: 1234567890, UIDNext: 70011, HighestModSeq: 77, FirstRecent: 51}

func bodyText(uid formats.UID) string {
	if uid == 51 {
		return "Subject: CRLF\r\n\r\nFrom here\r\n"
	}
	return fmt.Sprintf("Subject: %d\n\nFrom body of %d\n.\n", uid, uid)
}

// fill makes a mailbox with the messages of inbox, in two transactions: the second brings the first POP3 data.
func fill(t testing.TB, s *sdbox.Store, name string) formats.Mailbox {
	t.Helper()
	like := status
	like.UIDNext, like.HighestModSeq, like.FirstRecent = 0, 0, 0 // raised when the messages are in
	if err := s.Create(ctx, name, like); err != nil {
		t.Fatal(err)
	}
	b := box(t, s, name)
	for _, part := range [][]formats.Message{inbox[:1], inbox[1:]} {
		update(t, b, func(tx formats.Tx) error {
			for _, m := range part {
				if err := tx.Append(ctx, m, text(bodyText(m.UID))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	update(t, b, func(tx formats.Tx) error { return tx.Raise(status.UIDNext, status.HighestModSeq, status.FirstRecent) })
	return b
}

func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// sameAs compares what Dovecot shows with what was written.
func sameAs(t *testing.T, j *dovecot.Judge, name string) {
	t.Helper()
	got := j.Fetch(name)
	if len(got) != len(inbox) {
		t.Fatalf("Dovecot shows %d messages, want %d", len(got), len(inbox))
	}
	for i, want := range inbox {
		g := got[i]
		kw := slices.Sorted(slices.Values(want.Keywords))
		body := crlf(bodyText(want.UID))
		if g.UID != want.UID || g.Flags&^formats.Recent != want.Flags || !slices.Equal(g.Keywords, kw) || g.ModSeq != want.ModSeq ||
			!g.InternalDate.Equal(want.InternalDate) || g.GUID != want.GUID || g.POP3UIDL != want.POP3UIDL || g.POP3Order != want.POP3Order ||
			g.Body != body || g.Size != int64(len(body)) {
			t.Errorf("Dovecot shows %+v,\nwant %+v with %q", g, want, body)
		}
	}
}

func TestDovecotSeesExactlyWhatWasWritten(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	for _, o := range []sdbox.Options{
		{Root: root + "1"},
		{Root: root + "2", Index: root + "2i", Control: root + "2c"},
	} {
		o.Create = true
		s := open(t, o)
		location := "sdbox:" + o.Root
		if o.Index != "" {
			location += ":INDEX=" + o.Index + ":CONTROL=" + o.Control
		}
		j := dovecot.New(t, location)
		for _, name := range []string{"INBOX", "Archiv/Größe & Maß/2024"} {
			fill(t, s, name)
			sameAs(t, j, name)
			st := j.Status(name)
			if st.GUID != status.GUID || st.UIDValidity != status.UIDValidity || st.UIDNext != status.UIDNext || st.HighestModSeq != status.HighestModSeq || st.Messages != 5 {
				t.Errorf("%s: Dovecot shows %+v, want %+v", name, st, status)
			}
		}
		if err := formats.SetSubscriptions(ctx, s, []string{"INBOX", "Archiv/Größe & Maß/2024", "Gone"}); err != nil {
			t.Error(err)
		}
		if got := j.Lsub(); !slices.Equal(got, []string{"Archiv/Größe & Maß/2024", "Gone", "INBOX"}) {
			t.Errorf("subscribed are %q", got)
		}
		p := j.POP3()
		var order []string
		for _, m := range p.All() {
			order = append(order, m.UIDL)
		}
		p.Close()
		want := []string{"second", "uidl-of-nine", "00000003499602d2", "00000033499602d2", "last"}
		if !slices.Equal(order, want) {
			t.Errorf("POP3 shows %q, want %q", order, want)
		}
		j.MustBeClean()
	}
}

func TestWhatDovecotWroteIsRead(t *testing.T) {
	j, root := dovecot.Awkward(t, "sdbox")
	s := open(t, sdbox.Options{Root: root, FS: &disk.FS{ReadOnly: true}})
	compare(t, j, s)
	j.MustBeClean()
}

// compare holds a store against what Dovecot shows of it.
func compare(t *testing.T, j *dovecot.Judge, s formats.Store) {
	t.Helper()
	infos, err := s.Mailboxes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var names, want []string
	for _, i := range infos {
		if i.Err != nil {
			t.Errorf("%s: %v", i.Name, i.Err)
		}
		names = append(names, fmt.Sprint(i.Name, i.NoSelect))
	}
	entries := j.List()
	for _, e := range entries {
		want = append(want, fmt.Sprint(e.Name, e.NoSelect))
	}
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("mailboxes %q, Dovecot lists %q", names, want)
	}
	for _, e := range entries {
		if !e.NoSelect {
			compareMailbox(t, j, s, e.Name)
		}
	}
	subs, err := s.(formats.Subscriber).Subscriptions(ctx)
	if slices.Sort(subs); err != nil || !slices.Equal(subs, j.Lsub()) {
		t.Errorf("subscribed %q, %v; Dovecot shows %q", subs, err, j.Lsub())
	}
}

func compareMailbox(t *testing.T, j *dovecot.Judge, s formats.Store, name string) {
	t.Helper()
	want := j.Fetch(name)
	wantStatus := j.Status(name)
	b := box(t, s, name)
	st, err := b.Status(ctx)
	st.FirstRecent, st.KeepsModSeqs = 0, false // clients are not told
	if err != nil || st != wantStatus {
		t.Errorf("%s: status %+v, %v; Dovecot shows %+v", name, st, err, wantStatus)
	}
	got := messages(t, b, formats.WantAll)
	if len(got) != len(want) {
		t.Fatalf("%s: %d messages, Dovecot shows %d", name, len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		body := bodyOf(t, b, &got[i])
		kw := slices.Sorted(slices.Values(g.Keywords))
		if g.UID != w.UID || g.Flags != w.Flags || !slices.Equal(kw, w.Keywords) || g.ModSeq != w.ModSeq || !g.InternalDate.Equal(w.InternalDate) ||
			g.GUID != w.GUID || g.POP3UIDL != w.POP3UIDL || g.POP3Order != w.POP3Order || crlf(body) != w.Body || g.VirtualSize != w.Size ||
			g.Size != int64(len(body)) || !g.SaveDate.Equal(w.SaveDate) {
			t.Errorf("%s: got %+v\nDovecot shows %+v", name, g, w)
		}
		if !reflect.DeepEqual(g.Detail, got[i].Detail) {
			t.Errorf("%s uid %d: listed as %+v, opened as %+v", name, g.UID, g.Detail, got[i].Detail)
		}
	}
}

func TestAFreshMailboxCanBeChangedBesideAnOpenSession(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	s := open(t, sdbox.Options{Root: root, Create: true})
	b := fill(t, s, "INBOX")
	j := dovecot.New(t, "sdbox:"+root)
	watcher := j.IMAP()
	watcher.Select("INBOX")
	watcher.Idle()

	done := update(t, b, func(tx formats.Tx) error {
		return tx.Append(ctx, formats.Message{Keywords: []string{"fresh"}}, text("Subject: ours\n\nx\n"))
	})
	if done.UIDs.String() != "70011" {
		t.Errorf("our message got UID %s", done.UIDs)
	}
	watcher.Wait(`^\* 6 EXISTS`)
	update(t, b, func(tx formats.Tx) error {
		return tx.SetFlags(formats.RangesOf(3, 70011), formats.FlagChange{Op: formats.AddFlags, Flags: formats.Flagged, Keywords: []string{"late"}})
	})
	watcher.Wait(`^\* 1 FETCH .*\\Flagged.*late`)
	update(t, b, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(9)) })
	watcher.Wait(`^\* 2 EXPUNGE`)
	watcher.Done()

	watcher.Append("INBOX", `\Seen`, "", "Subject: theirs\r\n\r\ny\r\n")
	watcher.Cmd(`UID STORE 3 +FLAGS (\Answered)`)
	watcher.Cmd(`UID STORE 10 +FLAGS (\Deleted)`)
	watcher.Cmd(`UID EXPUNGE 10`)
	got := messages(t, b, 0)
	var uids []formats.UID
	for _, m := range got {
		uids = append(uids, m.UID)
	}
	if !slices.Equal(uids, []formats.UID{3, 51, 70000, 70011, 70012}) || got[0].Flags != formats.Answered|formats.Flagged {
		t.Errorf("we see %v, first has %v", uids, got[0].Flags)
	}
	watcher.Close()
	compareMailbox(t, j, s, "INBOX")
	j.MustBeClean()
}

func TestFoldersAreRenamedAndDeletedAsDovecotSeesIt(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	s := open(t, sdbox.Options{Root: root, Create: true})
	for _, name := range []string{"INBOX", "a", "a/b", "c"} {
		fill(t, s, name)
	}
	if err := s.Rename(ctx, "a", "new/Ä"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"new/Ä": "INBOX", "new": "new/x"} {
		if err := s.Rename(ctx, from, to); !errors.Is(err, formats.ErrExists) && !errors.Is(err, formats.ErrBadName) {
			t.Errorf("%s to %s: %v", from, to, err)
		}
	}
	if err := s.Create(ctx, "INBOX", formats.Status{}); !errors.Is(err, formats.ErrExists) {
		t.Errorf("created INBOX again: %v", err)
	}
	if _, err := s.Open(ctx, "c"); !errors.Is(err, formats.ErrNoMailbox) {
		t.Errorf("c is still there: %v", err)
	}
	j := dovecot.New(t, "sdbox:"+root)
	sameAs(t, j, "new/Ä")
	compare(t, j, s)
	if err := s.Create(ctx, "c", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	if st := j.Status("c"); st.UIDValidity != status.UIDValidity+1 || st.UIDNext != 1 || st.GUID.IsZero() {
		t.Errorf("a folder made again is %+v", st)
	}
	j.MustBeClean()
}
