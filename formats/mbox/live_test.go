package mbox_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/mbox"
)

// text is a message in memory.
type text struct{ *strings.Reader }

func (text) Close() error { return nil }

func body(s string) formats.Body { return text{strings.NewReader(s)} }

func open(t testing.TB, o mbox.Options) *mbox.Store {
	t.Helper()
	if o.FS == nil {
		o.FS = dovecot.FS()
	}
	o.Create = true
	s, err := mbox.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mailbox(t testing.TB, s *mbox.Store, name string) formats.Mailbox {
	t.Helper()
	b, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func create(t testing.TB, s *mbox.Store, name string, like formats.Status) formats.Mailbox {
	t.Helper()
	if err := s.Create(t.Context(), name, like); err != nil {
		t.Fatal(err)
	}
	return mailbox(t, s, name)
}

func update(t testing.TB, b formats.Mailbox, fn func(formats.Tx) error) formats.Committed {
	t.Helper()
	done, err := b.Update(t.Context(), fn)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// message is what a test wants in a mailbox.
type message struct {
	formats.Message
	text string
}

func list(t testing.TB, b formats.Mailbox) []message {
	t.Helper()
	var all []message
	for m, err := range b.Messages(t.Context(), formats.Query{Want: formats.WantAll}) {
		if err != nil {
			t.Fatal(err)
		}
		one := message{Message: m}
		bd, err := b.Body(t.Context(), &m)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if _, err := bd.WriteTo(&buf); err != nil {
			t.Fatal(err)
		}
		at := make([]byte, bd.Size())
		if _, err := io.ReadFull(io.NewSectionReader(bd, 0, bd.Size()), at); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(at, buf.Bytes()) || int64(buf.Len()) != one.Size || crlf(buf.String()) != one.VirtualSize {
			t.Errorf("uid %d: %d bytes written, %d read, size %d, virtual size %d", m.UID, buf.Len(), len(at), one.Size, one.VirtualSize)
		}
		one.text = buf.String()
		bd.Close()
		all = append(all, one)
	}
	return all
}

func crlf(s string) int64 {
	return int64(len(s) + strings.Count(s, "\n") - strings.Count(s, "\r\n"))
}

// odd are messages that are hard to hold in an mbox file, all kept byte by byte.
var odd = []string{
	"Subject: plain\n\nbody\n",
	"Return-Path: <ann@example.org>\nSubject: no final line end\n\nbody",
	"Subject: trailing empty lines\n\nx\n\n\n\n",
	"Subject: body begins with a From_ line\n\nFrom x@y Thu Nov  9 22:33:52 2001\nrest\n",
	"Subject: From_ lines\n\nhello\n\nFrom x@y Thu Nov  9 22:33:52 2001\n\nFrom here on\n>From there\n",
	"Subject: empty body\n\n",
	"Subject: no empty line\n",
	"Subject: no line end at all",
	"Subject: folded, no line end\n at all",
	"Subject: long, no line end\nX: " + strings.Repeat("x", 100_000),
	strings.Repeat("no header, no line end ", 60_000),
	"Subject: long, folded\n\t" + strings.Repeat("x", 1<<16),
	"Subject: long\nX: " + strings.Repeat("x", 1_100_000) + "\n",
	"Subject: a hidden field at the end\nX: y\n",
	"\nno header\n",
	"Subject: ends in a bare CR\n\nbody\r",
	"Subject: header ends in a bare CR\r",
	"this is no header\nnor is this\n\nbody\n",
	"Subject: crlf\r\nX: y\r\n\r\nbody\r\nmore\r\n",
	"Subject: folded\n\tand more\nX-Long: " + strings.Repeat("long ", 500) + "\n\nbody\n",
	"Subject: eight bit \xe4\xff\n\n\xe4\xff\n",
	"Received: from a by b;\n\tMon, 1 Jan 2024 00:00:00 +0000\nReceived: second\nDate: d\nMessage-ID: <1@x>\nDelivered-To: me\n\nguid\n",
	"Date: first\nMessage-ID: <1@x>\nReceived: from a by b;\n\tMon\nDate: second\nX-Delivery-ID: z\n\nguid\n",
}

// plain are those of odd that Dovecot can work on without complaining about its own files.
func plain() []string {
	return slices.DeleteFunc(slices.Clone(odd), func(s string) bool {
		return !strings.Contains(s, "\n\n") || strings.Contains(s, "\n\nFrom")
	})
}

func numbered(texts []string) []message {
	var all []message
	flags := []formats.Flags{0, formats.Seen, formats.Answered | formats.Flagged, formats.Draft, formats.Deleted | formats.Seen, formats.SystemFlags}
	uid := formats.UID(3)
	for i, s := range texts {
		m := message{text: s}
		m.UID, m.Flags = uid, flags[i%len(flags)]
		for k := range i % 4 {
			m.Keywords = append(m.Keywords, fmt.Sprintf("$Word%d", (i+k)%9))
		}
		slices.Sort(m.Keywords)
		m.InternalDate = time.Unix(1_000_000_000+int64(i)*86_399, 0).UTC()
		all = append(all, m)
		uid += formats.UID(1 + i*i)
	}
	return all
}

func appendAll(all []message) func(formats.Tx) error {
	return func(tx formats.Tx) error {
		for _, m := range all {
			if err := tx.Append(context.Background(), m.Message, body(m.text)); err != nil {
				return err
			}
		}
		return nil
	}
}

// shown compares a mailbox as Dovecot shows it.
func shown(t *testing.T, got []dovecot.Msg, want []message) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("Dovecot shows %d messages, want %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		text := strings.ReplaceAll(strings.ReplaceAll(w.text, "\r\n", "\n"), "\n", "\r\n")
		keywords := slices.Sorted(slices.Values(w.Keywords))
		if g.UID != w.UID || g.Flags&formats.SystemFlags != w.Flags&formats.SystemFlags || !slices.Equal(g.Keywords, keywords) ||
			!g.InternalDate.Equal(w.InternalDate) || g.Body != text {
			t.Errorf("Dovecot shows uid %d %v %q %v %q\nwant uid %d %v %q %v %q", g.UID, g.Flags, g.Keywords, g.InternalDate, g.Body,
				w.UID, w.Flags, keywords, w.InternalDate, text)
		}
	}
}

func TestDovecotShowsWhatWeWrote(t *testing.T) {
	root := dovecot.TempDir(t)
	s := open(t, mbox.Options{Root: root + "/mail", Inbox: root + "/inbox"})
	want := numbered(odd)
	for _, name := range []string{"INBOX", "Größe/日本語"} {
		t.Run(name, func(t *testing.T) {
			j := dovecot.New(t, "mbox:"+root+"/mail:INBOX="+root+"/inbox")
			b := create(t, s, name, formats.Status{UIDValidity: 1234567890, UIDNext: 2})
			update(t, b, func(tx formats.Tx) error {
				tx.Raise(70011, 0, 0)
				return appendAll(want)(tx)
			})
			path := filepath.Join(root, "inbox")
			if name != "INBOX" {
				path = filepath.Join(root, "mail", "Gr&APYA3w-e", "&ZeVnLIqe-")
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := j.Fetch(name)
			shown(t, got, want)
			st := j.Status(name)
			if st.UIDValidity != 1234567890 || st.UIDNext != 70011 {
				t.Errorf("Dovecot shows UIDVALIDITY %d UIDNEXT %d", st.UIDValidity, st.UIDNext)
			}
			sess := j.IMAP()
			sess.Select(name)
			sess.Close()
			for i, m := range list(t, b) {
				if m.GUID != got[i].GUID || m.UID != got[i].UID || m.text != want[i].text || !m.InternalDate.Equal(want[i].InternalDate) ||
					m.Flags&formats.SystemFlags != want[i].Flags || !formats.SameKeywords(m.Keywords, want[i].Keywords) {
					t.Errorf("read back %+v, Dovecot's guid %s, want %+v", m, got[i].GUID, want[i])
				}
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Errorf("Dovecot rewrote the file:\n%q\n%q", before, after)
			}
			j.MustBeClean()
		})
	}
}

// read compares what we read with what Dovecot shows.
func read(t *testing.T, b formats.Mailbox, j *dovecot.Judge) {
	t.Helper()
	got, want := list(t, b), j.Fetch(b.Name())
	if len(got) != len(want) {
		t.Fatalf("read %d messages, Dovecot shows %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		text := strings.ReplaceAll(strings.ReplaceAll(g.text, "\r\n", "\n"), "\n", "\r\n")
		if g.UID != w.UID || g.Flags&formats.SystemFlags != w.Flags&formats.SystemFlags || !formats.SameKeywords(g.Keywords, w.Keywords) ||
			!g.InternalDate.Equal(w.InternalDate) || text != w.Body || g.GUID != w.GUID {
			t.Errorf("read uid %d %v %q %v %s %q\nDovecot shows uid %d %v %q %v %s %q", g.UID, g.Flags, g.Keywords, g.InternalDate, g.GUID, text,
				w.UID, w.Flags, w.Keywords, w.InternalDate, w.GUID, w.Body)
		}
	}
	st, err := b.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if real := j.Status(b.Name()); st.UIDValidity != real.UIDValidity || !st.GUID.IsZero() && st.GUID != real.GUID || st.UIDNext != real.UIDNext || st.Messages != real.Messages || st.Unseen != real.Unseen {
		t.Errorf("status %+v, Dovecot shows %+v", st, real)
	}
}

func TestWeReadWhatDovecotWrote(t *testing.T) {
	root := dovecot.TempDir(t)
	j := dovecot.New(t, "mbox:"+root+"/mail:INBOX="+root+"/inbox")
	s := open(t, mbox.Options{Root: root + "/mail", Inbox: root + "/inbox", Zone: time.UTC})
	sess := j.IMAP()
	for i, text := range plain() {
		sess.Append("INBOX", []string{"", `\Seen`, `\Flagged $One`, `\Draft Two \Deleted`}[i%4], "01-Feb-2003 04:05:06 +0700", text)
	}
	sess.Select("INBOX")
	sess.Cmd(`STORE 2 +FLAGS (\Answered Three)`)
	sess.Cmd(`STORE 4 +FLAGS (\Deleted)`)
	sess.Cmd(`EXPUNGE`)
	b := mailbox(t, s, "INBOX")
	read(t, b, j) // flags that are only in the index by now
	sess.Close()
	read(t, b, j)
	sess = j.IMAP()
	sess.Select("INBOX")
	sess.Cmd(`STORE 1:* +FLAGS (\Deleted)`)
	sess.Cmd(`EXPUNGE`)
	sess.Close()
	read(t, b, j) // the internal message alone
	j.MustBeClean()
}

func TestChangesBesideAnOpenSession(t *testing.T) {
	root := dovecot.TempDir(t)
	j := dovecot.New(t, "mbox:"+root+"/mail:INBOX="+root+"/inbox")
	s := open(t, mbox.Options{Root: root + "/mail", Inbox: root + "/inbox", Zone: time.UTC})
	b := create(t, s, "INBOX", formats.Status{UIDValidity: 77, UIDNext: 1})
	update(t, b, appendAll(numbered(plain())))
	sess := j.IMAP()
	sess.Select("INBOX")
	for round := range 5 {
		done := update(t, b, func(tx formats.Tx) error {
			return tx.Append(t.Context(), formats.Message{Flags: formats.Seen, Detail: formats.Detail{InternalDate: time.Unix(1e9, 0)}}, body(fmt.Sprintf("Subject: ours %d\n\nx\n", round)))
		})
		uid := done.UIDs[0].First
		sess.Cmd("NOOP")
		sess.Append("INBOX", "theirs", "01-Feb-2003 04:05:06 +0000", fmt.Sprintf("Subject: theirs %d\r\n\r\ny\r\n", round))
		sess.Cmd(fmt.Sprintf(`UID STORE %d +FLAGS (\Answered)`, uid+1))
		update(t, b, func(tx formats.Tx) error {
			return tx.SetFlags(formats.RangesOf(uid), formats.FlagChange{Op: formats.AddFlags, Flags: formats.Flagged, Keywords: []string{"ours"}})
		})
		sess.Cmd("NOOP")
		update(t, b, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(uid - 1)) })
		sess.Cmd("NOOP")
		sess.Cmd("CHECK")
	}
	read(t, b, j)
	sess.Close()
	read(t, b, j)
	j.MustBeClean()
	if left, _ := filepath.Glob(root + "/.dovetail*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestAppendsOfBothAtOnce lets Dovecot and us fight for the locks, in both orders that Dovecot may take them.
func TestAppendsOfBothAtOnce(t *testing.T) {
	for _, order := range []string{"fcntl dotlock", "dotlock fcntl", "fcntl dotlock and modseqs"} {
		t.Run(order, func(t *testing.T) {
			order, modseqs := strings.CutSuffix(order, " and modseqs")
			root := dovecot.TempDir(t)
			j := dovecot.New(t, "mbox:"+root+"/mail:INBOX="+root+"/inbox", "mbox_write_locks = "+order)
			s := open(t, mbox.Options{Root: root + "/mail", Inbox: root + "/inbox", Zone: time.UTC})
			b := create(t, s, "INBOX", formats.Status{UIDValidity: 77})
			update(t, b, appendAll(numbered(plain()[:1])))
			if modseqs {
				update(t, b, func(tx formats.Tx) error { tx.(formats.ModSeqKeeper).KeepModSeqs(); return nil })
			}
			const each = 15
			failed := make(chan error, 1)
			go func() {
				for i := range each {
					_, err := b.Update(context.Background(), func(tx formats.Tx) error {
						return tx.Append(context.Background(), formats.Message{}, body(fmt.Sprintf("Subject: ours %d\n\nx\n", i)))
					})
					if err != nil {
						failed <- err
						return
					}
				}
				failed <- nil
			}()
			sess := j.IMAP()
			for i := range each {
				sess.Append("INBOX", `\Seen`, "01-Feb-2003 04:05:06 +0000", fmt.Sprintf("Subject: theirs %d\r\n\r\ny\r\n", i))
			}
			sess.Close()
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
			if got := len(list(t, b)); got != 1+2*each {
				t.Errorf("%d messages, want %d", got, 1+2*each)
			}
			read(t, b, j)
			j.MustBeClean()
		})
	}
}
