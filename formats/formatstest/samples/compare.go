package samples

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"slices"
	"testing"

	"dovetail/formats"
)

// Compare demands that a store shows what e expects. What e is unsure of, and what the format does not keep, is left
// out.
func Compare(t *testing.T, s formats.Store, e Expect) {
	t.Helper()
	infos, err := s.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	compareList(t, infos, e)
	if sub, ok := s.(formats.Subscriber); ok {
		names, err := sub.Subscriptions(t.Context())
		if err != nil {
			t.Errorf("subscriptions: %v", err)
		}
		slices.Sort(names)
		if !slices.Equal(names, e.Subscribed) {
			t.Errorf("subscribed %q, want %q", names, e.Subscribed)
		}
	}
	for _, want := range e.Mailboxes {
		if !want.NoSelect {
			e.compareMailbox(t, s, want)
		}
	}
}

// compareList wants every expected mailbox; more than expected are an error only if they can be opened.
func compareList(t *testing.T, infos []formats.Info, e Expect) {
	t.Helper()
	listed := map[string]formats.Info{}
	for _, info := range infos {
		listed[info.Name] = info
	}
	for _, want := range e.Mailboxes {
		info, ok := listed[want.Mailbox]
		delete(listed, want.Mailbox)
		if !ok && want.NoSelect {
			continue // a parent that no file stands for
		}
		if !ok || info.NoSelect != want.NoSelect || info.Err != nil {
			t.Errorf("mailbox %q is listed as %+v, want noselect %v", want.Mailbox, info, want.NoSelect)
		}
	}
	for name, info := range listed {
		if info.Err == nil && !info.NoSelect {
			t.Errorf("mailbox %q came from nowhere", name)
		}
	}
}

func (e Expect) unsure(field string) bool { return slices.Contains(e.Unsure, field) }

// modseq tells whether modseqs are compared: only dbox keeps them with the mail. Elsewhere they are the index's, which
// Dovecot brings up to date, and so raises, when it is asked.
func (e Expect) modseq(limits formats.Limits) bool {
	return !e.unsure("modseq") && (limits.Format == "sdbox" || limits.Format == "mdbox")
}

func (e Expect) compareMailbox(t *testing.T, s formats.Store, want Mailbox) {
	t.Helper()
	box, err := s.Open(t.Context(), want.Mailbox)
	if err != nil {
		t.Errorf("open %q: %v", want.Mailbox, err)
		return
	}
	defer box.Close()
	st, err := box.Status(t.Context())
	if err != nil {
		t.Errorf("status of %q: %v", want.Mailbox, err)
	}
	e.compareStatus(t, st, want, s.Limits())
	got, damaged := e.read(t, box)
	if !slices.Equal(damaged, want.Damaged) {
		t.Errorf("%s: damaged are %v, want %v", want.Mailbox, damaged, want.Damaged)
	}
	e.compareMessages(t, want.Mailbox, e.tidy(got, s.Limits()), e.tidy(want.Messages, s.Limits()))
}

func (e Expect) compareStatus(t *testing.T, st formats.Status, want Mailbox, limits formats.Limits) {
	t.Helper()
	if !e.unsure("uidvalidity") && st.UIDValidity != want.UIDValidity {
		t.Errorf("%s: UIDVALIDITY %d, want %d", want.Mailbox, st.UIDValidity, want.UIDValidity)
	}
	if !e.unsure("uidnext") && st.UIDNext != want.UIDNext {
		t.Errorf("%s: UIDNEXT %d, want %d", want.Mailbox, st.UIDNext, want.UIDNext)
	}
	if !e.unsure("guid") && !e.unsure("mailboxguid") && !limits.NoMailboxGUID && st.GUID.String() != want.GUID {
		t.Errorf("%s: GUID %s, want %s", want.Mailbox, st.GUID, want.GUID)
	}
	if e.modseq(limits) && st.HighestModSeq != want.HighestModSeq {
		t.Errorf("%s: HIGHESTMODSEQ %d, want %d", want.Mailbox, st.HighestModSeq, want.HighestModSeq)
	}
	if len(want.Damaged) == 0 && len(want.Messages) != 0 && st.Messages != uint32(len(want.Messages)) {
		t.Errorf("%s: status counts %d messages, want %d", want.Mailbox, st.Messages, len(want.Messages))
	}
}

// read gives all messages with their bodies, and the UIDs of the damaged ones.
func (e Expect) read(t *testing.T, box formats.Mailbox) (msgs []Message, damaged []formats.UID) {
	t.Helper()
	for m, err := range box.Messages(t.Context(), formats.Query{Want: formats.WantAll}) {
		if bad, ok := formats.Damaged(err); ok {
			damaged = append(damaged, bad.UID)
			continue
		}
		if err != nil {
			t.Errorf("messages of %s: %v", box.Name(), err)
			break
		}
		msg, err := e.readOne(t, box, &m)
		if bad, ok := formats.Damaged(err); ok {
			damaged = append(damaged, bad.UID)
			continue
		}
		if err != nil {
			t.Errorf("body of %s uid %d: %v", box.Name(), m.UID, err)
			continue
		}
		msgs = append(msgs, msg)
	}
	return msgs, damaged
}

func (e Expect) readOne(t *testing.T, box formats.Mailbox, m *formats.Message) (Message, error) {
	t.Helper()
	body, err := box.Body(t.Context(), m)
	if err != nil {
		return Message{}, err
	}
	defer body.Close()
	var raw bytes.Buffer
	if _, err := body.WriteTo(&raw); err != nil {
		return Message{}, err
	}
	if body.Size() != int64(raw.Len()) {
		t.Errorf("%s uid %d: Size %d, but %d bytes come out", box.Name(), m.UID, body.Size(), raw.Len())
	}
	again, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	if err != nil || !bytes.Equal(again, raw.Bytes()) {
		t.Errorf("%s uid %d: ReadAt gives %d other bytes, %v", box.Name(), m.UID, len(again), err)
	}
	text := withCRLF(raw.Bytes())
	if !e.unsure("vsize") && m.VirtualSize >= 0 && m.VirtualSize != int64(len(text)) {
		t.Errorf("%s uid %d: VirtualSize %d, want %d", box.Name(), m.UID, m.VirtualSize, len(text))
	}
	sum := sha256.Sum256(text)
	first, _, _ := bytes.Cut(text[:min(len(text), 60)], []byte("\r\n"))
	return Message{
		UID: m.UID, GUID: m.GUID, Flags: (m.Flags & formats.SystemFlags).Names(), Keywords: slices.Sorted(slices.Values(m.Keywords)),
		Date: m.InternalDate.UTC(), ModSeq: m.ModSeq, VSize: int64(len(text)), POP3UIDL: m.POP3UIDL, POP3Order: m.POP3Order,
		SHA256: hex.EncodeToString(sum[:]), Text: string(first),
	}, nil
}

// withCRLF puts a CR before each LF that has none.
func withCRLF(b []byte) []byte {
	var out bytes.Buffer
	for i, c := range b {
		if c == '\n' && (i == 0 || b[i-1] != '\r') {
			out.WriteByte('\r')
		}
		out.WriteByte(c)
	}
	return out.Bytes()
}

// tidy takes out what is not compared and sorts what has no order of its own.
func (e Expect) tidy(msgs []Message, limits formats.Limits) []Message {
	out := slices.Clone(msgs)
	for i := range out {
		m := &out[i]
		m.Text = ""
		if len(m.Keywords) == 0 {
			m.Keywords = nil
		}
		if !e.modseq(limits) {
			m.ModSeq = 0
		}
		if e.unsure("guid") || limits.NoGUID {
			m.GUID = ""
		}
		if e.unsure("flags") {
			m.Flags, m.Keywords = nil, nil
		}
		if e.unsure("uid") {
			m.UID = 0
		}
	}
	if e.unsure("uid") {
		slices.SortStableFunc(out, func(a, b Message) int { return cmp.Compare(a.SHA256, b.SHA256) })
	}
	return out
}

func (e Expect) compareMessages(t *testing.T, mailbox string, got, want []Message) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d messages, want %d", mailbox, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("%s message %d\n got %s\nwant %s", mailbox, i+1, line(got[i]), line(want[i]))
		}
	}
}

func line(m Message) string {
	return fmt.Sprintf("uid %d guid %q %q %q %v modseq %d vsize %d uidl %q %d sha256 %.8s", m.UID, m.GUID, m.Flags, m.Keywords, m.Date, m.ModSeq,
		m.VSize, m.POP3UIDL, m.POP3Order, m.SHA256)
}
