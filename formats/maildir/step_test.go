package maildir

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/index"
	"dovetail/formats/index/translog"
)

// stepped is a mailbox with modseqs and n messages.
func stepped(t *testing.T, n int) (root string, b formats.Mailbox) {
	t.Helper()
	root = filepath.Join(dovecot.TempDir(t), "m")
	s := openStore(t, Options{Root: root, FS: dovecot.FS(), Create: true})
	if err := s.Create(t.Context(), "INBOX", formats.Status{UIDValidity: 1234567890}); err != nil {
		t.Fatal(err)
	}
	b = openBox(t, s, "INBOX")
	update(t, b, func(tx formats.Tx) error {
		tx.(formats.ModSeqKeeper).KeepModSeqs()
		for i := range n {
			if err := tx.Append(t.Context(), formats.Message{Flags: formats.Seen}, newBody(fmt.Sprintf("Subject: %d\n\nx\n", i))); err != nil {
				return err
			}
		}
		return nil
	})
	return root, b
}

// file is the only file in a folder whose message has that subject.
func file(t *testing.T, root string, subject int) string {
	t.Helper()
	for _, sub := range []string{"cur", "new"} {
		paths, err := filepath.Glob(filepath.Join(root, sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(text), fmt.Sprintf("Subject: %d\n", subject)) {
				return path
			}
		}
	}
	t.Fatalf("no file of message %d", subject)
	return ""
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// changedSince gives the UIDs of messages with a higher modseq, and of those that are gone.
func changedSince(t *testing.T, b formats.Mailbox, since formats.ModSeq) (changed, gone string) {
	t.Helper()
	list, _ := messages(t, b)
	var uids formats.Ranges
	for _, m := range list {
		if m.ModSeq > since {
			uids.Add(m.UID)
		}
	}
	expunged, complete, err := b.(formats.Historian).Expunged(t.Context(), since)
	if err != nil || !complete {
		t.Errorf("history since %d: complete %v, %v", since, complete, err)
	}
	return uids.String(), expunged.String()
}

func highest(t *testing.T, b formats.Mailbox) formats.ModSeq {
	t.Helper()
	st, err := b.Status(t.Context())
	must(t, err)
	return st.HighestModSeq
}

func TestWhatOtherProgramsDoToFilesHasModSeqsAndAHistory(t *testing.T) {
	root, b := stepped(t, 6)
	since := highest(t, b)
	flagged := file(t, root, 1)
	must(t, os.Rename(flagged, flagged+"T")) // UID 2
	must(t, os.Remove(file(t, root, 3)))     // UID 4
	writeFiles(t, root, map[string]string{"new/1700000000.agent.host": "Subject: 9\n\nx\n"})
	dovecot.Own(t, filepath.Join(root, "new"))
	if changed, gone := changedSince(t, b, since); changed != "2,7" || gone != "4" {
		t.Errorf("changed %q, gone %q; want 2,7 and 4", changed, gone)
	}
	now := highest(t, b)
	update(t, b, func(tx formats.Tx) error {
		must(t, tx.Expunge(formats.RangesOf(1)))
		return tx.SetFlags(formats.RangesOf(7), formats.FlagChange{Flags: formats.Flagged, Keywords: []string{"work"}})
	})
	if changed, gone := changedSince(t, b, now); changed != "7" || gone != "1" {
		t.Errorf("our own changes: changed %q, gone %q; want 7 and 1", changed, gone)
	}
	another := openBox(t, openStore(t, Options{Root: root, FS: dovecot.FS()}), "INBOX")
	if changed, gone := changedSince(t, another, since); changed != "2,7" || gone != "1,4" {
		t.Errorf("after a restart: changed %q, gone %q; want 2,7 and 1,4", changed, gone)
	}
	dovecot.Need(t)
	compareWithDovecot(t, dovecot.New(t, "maildir:"+root), b, true)
}

// wish notes something in the log without doing it, as Dovecot does.
func wish(t *testing.T, root string, records ...[]byte) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(root, "dovecot.index.log"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.Write(slices.Concat(records...))
	must(t, err)
	must(t, f.Close())
}

func span(uid uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uid), uid)
}

func TestWishesInTheLogAreFulfilled(t *testing.T) {
	root, b := stepped(t, 5)
	since := highest(t, b)
	wish(t, root,
		translog.AppendRecord(nil, translog.FlagUpdate, append(span(2), byte(formats.Flagged), byte(formats.Seen), 0, 0)),
		translog.AppendRecord(nil, translog.KeywordUpdate, append(translog.AppendKeyword(nil, "wished", false), span(3)...)),
		translog.AppendRecord(nil, translog.Expunge, span(4)))
	if changed, gone := changedSince(t, b, since); changed != "2:3" || gone != "4" {
		t.Errorf("changed %q, gone %q; want 2:3 and 4", changed, gone)
	}
	list, _ := messages(t, b)
	for _, m := range list {
		want := formats.Message{UID: m.UID, Flags: formats.Seen}
		switch m.UID {
		case 2:
			want.Flags = formats.Flagged
		case 3:
			want.Keywords = []string{"wished"}
		}
		if m.Flags&formats.SystemFlags != want.Flags || !formats.SameKeywords(m.Keywords, want.Keywords) {
			t.Errorf("message %d has %v %v", m.UID, m.Flags.Names(), m.Keywords)
		}
	}
	if name := filepath.Base(file(t, root, 1)); !strings.HasSuffix(name, ":2,F") {
		t.Errorf("the file of message 2 is %s", name)
	}
	d, err := b.(*Mailbox).indexFolder().OpenDir(".")
	must(t, err)
	defer d.Close()
	st, err := index.Read(d, index.Prefix)
	must(t, err)
	if st.HasWishes() {
		t.Errorf("the log ends at %d and is done up to %d", st.Head, st.Tail)
	}
	dovecot.Need(t)
	compareWithDovecot(t, dovecot.New(t, "maildir:"+root), b, true)
}

func TestAMessageThatComesBackGetsANewUID(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted: %v", restarted), func(t *testing.T) { comesBack(t, restarted) })
	}
}

func comesBack(t *testing.T, restarted bool) {
	root, b := stepped(t, 3)
	path := file(t, root, 1)
	aside := filepath.Join(filepath.Dir(root), "aside")
	must(t, os.Rename(path, aside))
	if list, _ := messages(t, b); len(list) != 2 {
		t.Fatalf("%d messages without the file", len(list))
	}
	must(t, os.Rename(aside, path))
	if restarted {
		b = openBox(t, openStore(t, Options{Root: root, FS: dovecot.FS()}), "INBOX")
	}
	list, _ := messages(t, b)
	var uids formats.Ranges
	for _, m := range list {
		uids.Add(m.UID)
	}
	if uids.String() != formats.RangesOf(1, 3, 4).String() {
		t.Errorf("UIDs %s, want 1,3:4", uids)
	}
	dovecot.Need(t)
	compareWithDovecot(t, dovecot.New(t, "maildir:"+root), b, true)
}
