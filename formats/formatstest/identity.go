package formatstest

import (
	"bytes"
	"testing"
	"time"

	"dovetail/formats"
)

var chosenGUID = formats.GUID{0: 0x0f, 3: 0xa1, 7: 0xb2, 15: 0xee}

// like is an identity to ask for.
func like() formats.Status {
	return formats.Status{GUID: chosenGUID, UIDValidity: 1234567890, UIDNext: 1, HighestModSeq: 1}
}

// testIdentity carries everything that can be carried, closes the store and looks again.
func testIdentity(t *testing.T, b *bench) {
	mails := identityMails(b.limits)
	b.create("Box", like())
	b.update("Box", func(tx formats.Tx) error {
		if err := appendAll(t.Context(), tx, mails); err != nil {
			return err
		}
		return tx.Raise(80000, 900000, 0)
	})
	for _, when := range []string{"at once", "opened again"} {
		st := b.status("Box")
		if st.UIDValidity != 1234567890 || st.UIDNext != 80000 || st.Messages != uint32(len(mails)) {
			t.Errorf("%s: status %+v", when, st)
		}
		if st.Volatile {
			t.Errorf("%s: UIDs that were set are called volatile", when)
		}
		if !b.limits.NoMailboxGUID && st.GUID != chosenGUID {
			t.Errorf("%s: mailbox GUID %s, want %s", when, st.GUID, chosenGUID)
		}
		if !b.limits.NoModSeq && st.HighestModSeq != 900000 {
			t.Errorf("%s: HIGHESTMODSEQ %d, want 900000", when, st.HighestModSeq)
		}
		if st.KeepsModSeqs == b.limits.NoModSeq {
			t.Errorf("%s: messages have modseqs of their own: %v", when, st.KeepsModSeqs)
		}
		var unseen uint32
		for _, m := range mails {
			if m.Flags&formats.Seen == 0 {
				unseen++
			}
		}
		if st.Unseen != unseen {
			t.Errorf("%s: %d unseen, want %d", when, st.Unseen, unseen)
		}
		sameMails(t, when, b.limits, b.box("Box"), mails)
		b.reopen()
	}
}

// identityMails have gaps in their UIDs, dates at the edges, and many keywords.
func identityMails(limits formats.Limits) []Mail {
	mails := Samples(3, 4, 9, 10, 11, 50, 51, 1000)
	keywords := Keywords(40)
	if limits.MaxKeywords > 0 && limits.MaxKeywords < len(keywords) {
		keywords = Keywords(limits.MaxKeywords)
	}
	all := Sample(70000)
	all.Keywords, all.Flags = keywords, formats.SystemFlags
	all.GUID = "1551393607.M7P2Q3.host.example.org"
	none := Sample(70001)
	none.Keywords, none.Flags, none.POP3UIDL, none.POP3Order = nil, 0, "", 0
	mails = append(mails, all, none)
	for i, date := range []time.Time{time.Unix(1, 0), time.Unix(1<<31-1, 0), time.Unix(1<<31, 0), time.Date(2099, 12, 31, 23, 59, 59, 0, time.UTC)} {
		m := Sample(70002 + i)
		m.InternalDate, m.SaveDate = date, date
		mails = append(mails, m)
	}
	return mails
}

// sameMails compares what can be held.
func sameMails(t testing.TB, when string, limits formats.Limits, box formats.Mailbox, want []Mail) {
	t.Helper()
	got := list(t, box, formats.WantAll)
	if len(got) != len(want) {
		t.Errorf("%s: %d messages, want %d", when, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		sameMessage(t, when, limits, got[i], want[i])
		sameBody(t, when, limits, box, got[i], want[i].Content)
	}
}

func sameMessage(t testing.TB, when string, limits formats.Limits, got formats.Message, mail Mail) {
	t.Helper()
	want := mail.Message
	wrong := func(what string, g, w any) {
		t.Helper()
		t.Errorf("%s: uid %d: %s %v, want %v", when, want.UID, what, g, w)
	}
	if got.UID != want.UID {
		wrong("UID", got.UID, want.UID)
	}
	if got.Flags&formats.SystemFlags != want.Flags&formats.SystemFlags {
		wrong("flags", got.Flags, want.Flags)
	}
	if !formats.SameKeywords(got.Keywords, want.Keywords) {
		wrong("keywords", got.Keywords, want.Keywords)
	}
	if !got.InternalDate.Truncate(time.Second).Equal(want.InternalDate) {
		wrong("internal date", got.InternalDate, want.InternalDate)
	}
	if !limits.NoModSeq && want.ModSeq != 0 && got.ModSeq != want.ModSeq {
		wrong("modseq", got.ModSeq, want.ModSeq)
	}
	if !limits.NoGUID && got.GUID != want.GUID {
		wrong("GUID", got.GUID, want.GUID)
	}
	if !limits.NoSaveDate && !got.SaveDate.Truncate(time.Second).Equal(want.SaveDate) {
		wrong("save date", got.SaveDate, want.SaveDate)
	}
	if !limits.NoPOP3 && got.POP3UIDL != want.POP3UIDL {
		wrong("POP3 UIDL", got.POP3UIDL, want.POP3UIDL)
	}
	if !limits.NoPOP3 && limits.POP3OrderProblem == nil && got.POP3Order != want.POP3Order {
		wrong("POP3 order", got.POP3Order, want.POP3Order)
	}
	size := int64(len(stored(limits, mail.Content)))
	if got.Size != size {
		wrong("size", got.Size, size)
	}
	if virtual := size + int64(formats.BareNewlines(stored(limits, mail.Content), 0)); got.VirtualSize != virtual {
		wrong("virtual size", got.VirtualSize, virtual)
	}
}

// stored is the content as the format keeps it.
func stored(limits formats.Limits, content []byte) []byte {
	if limits.FinalNewline && !bytes.HasSuffix(content, []byte("\n")) {
		return append(bytes.Clone(content), '\n')
	}
	return content
}

// testChosen appends without UIDs or values: the mailbox gives each what it needs, once and for all.
func testChosen(t *testing.T, b *bench) {
	b.create("Box", formats.Status{})
	before := b.status("Box")
	if before.UIDValidity == 0 || before.UIDNext != 1 || before.Messages != 0 {
		t.Errorf("a new mailbox: %+v", before)
	}
	content := []byte("Subject: plain\n\ntext\n")
	done := b.update("Box", func(tx formats.Tx) error {
		for range 3 {
			if err := tx.Append(t.Context(), formats.Message{}, formats.BytesBody(content)); err != nil {
				return err
			}
		}
		return nil
	})
	if got := done.UIDs.String(); got != "1:3" {
		t.Errorf("Committed has UIDs %s, want 1:3", got)
	}
	first := list(t, b.box("Box"), formats.WantAll)
	b.reopen()
	again := list(t, b.box("Box"), formats.WantAll)
	if len(first) != 3 || len(again) != 3 {
		t.Fatalf("%d messages, %d when opened again, want 3", len(first), len(again))
	}
	guids := map[string]bool{}
	for i, m := range again {
		if m.GUID != first[i].GUID || m.UID != first[i].UID || !m.InternalDate.Equal(first[i].InternalDate) {
			t.Errorf("first seen as %+v, then as %+v", first[i], m)
		}
		if m.Size != int64(len(content)) || m.InternalDate.IsZero() {
			t.Errorf("uid %d: size %d, date %v", m.UID, m.Size, m.InternalDate)
		}
		guids[m.GUID] = true
	}
	if !b.limits.NoGUID && (len(guids) != 3 || guids[""]) {
		t.Errorf("GUIDs of three messages: %v", guids)
	}
	after := b.status("Box")
	if after.UIDValidity != before.UIDValidity || after.GUID != before.GUID || after.UIDNext != 4 {
		t.Errorf("status was %+v, now %+v", before, after)
	}
}

// testWant asks for one part at a time.
func testWant(t *testing.T, b *bench) {
	b.create("Box", like())
	mails := Samples(2, 4, 7)
	b.add("Box", mails...)
	b.reopen()
	all := list(t, b.box("Box"), formats.WantAll)
	for i, m := range list(t, b.box("Box"), 0) {
		if m.UID != all[i].UID || m.Flags != all[i].Flags || !formats.SameKeywords(m.Keywords, all[i].Keywords) {
			t.Errorf("wanting nothing: %+v, wanting all: %+v", m, all[i])
		}
	}
	for i, m := range list(t, b.box("Box"), formats.WantGUID) {
		if m.GUID != all[i].GUID {
			t.Errorf("GUID alone: %q, want %q", m.GUID, all[i].GUID)
		}
	}
	for i, m := range list(t, b.box("Box"), formats.WantDate) {
		if !m.InternalDate.Equal(all[i].InternalDate) {
			t.Errorf("date alone: %v, want %v", m.InternalDate, all[i].InternalDate)
		}
	}
	for i, m := range list(t, b.box("Box"), formats.WantSize|formats.WantPOP3) {
		if m.Size != all[i].Size || m.POP3UIDL != all[i].POP3UIDL || m.POP3Order != all[i].POP3Order {
			t.Errorf("size and POP3: %+v, want %+v", m.Detail, all[i].Detail)
		}
	}
	for i, m := range list(t, b.box("Box"), formats.WantVirtualSize|formats.WantSaveDate) {
		if m.VirtualSize != all[i].VirtualSize || !m.SaveDate.Equal(all[i].SaveDate) {
			t.Errorf("virtual size and save date: %+v, want %+v", m.Detail, all[i].Detail)
		}
	}
}
