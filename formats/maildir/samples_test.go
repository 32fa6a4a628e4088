package maildir

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/samples"
)

// options reads the location of a sample.
func options(location string) (o Options, ok bool) {
	location, ok = strings.CutPrefix(location, "maildir:")
	parts := strings.Split(location, ":")
	o.Root = parts[0]
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "LAYOUT":
			o.Layout = value
		case "INDEX":
			o.Index = value
		case "CONTROL":
			o.Control = value
		case "INBOX":
			o.Inbox = value
		case "UTF-8":
			o.UTF8 = true
		}
	}
	return o, ok
}

func TestSamplesAreReadAsDovecotReadsThem(t *testing.T) {
	for _, name := range samples.Names(t) {
		dir, e := samples.Load(t, name)
		o, ok := options(e.Location)
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			before := treeSum(t, dir)
			o.FS = &disk.FS{ReadOnly: true}
			checkSample(t, openStore(t, o), e)
			if after := treeSum(t, dir); after != before {
				t.Errorf("the source was changed: %s", after)
			}
		})
	}
}

func checkSample(t *testing.T, s *Store, e samples.Expect) {
	list, err := s.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, info := range list {
		got = append(got, strings.ToValidUTF8(info.Name, "\ufffd")) // as JSON writes it
	}
	for _, m := range e.Mailboxes {
		want = append(want, m.Mailbox)
	}
	slices.Sort(want)
	if !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("mailboxes %q, want %q", got, want)
	}
	subscribed, err := s.Subscriptions(t.Context())
	slices.Sort(subscribed)
	if err != nil || !slices.Equal(subscribed, e.Subscribed) {
		t.Errorf("subscriptions %q, %v, want %q", subscribed, err, e.Subscribed)
	}
	for _, m := range e.Mailboxes {
		if i := slices.Index(got, m.Mailbox); i >= 0 && !m.NoSelect {
			m.Mailbox = list[i].Name
			checkSampleMailbox(t, openBox(t, s, m.Mailbox), m, e.Unsure)
		}
	}
}

func checkSampleMailbox(t *testing.T, b formats.Mailbox, want samples.Mailbox, unsure []string) {
	st, err := b.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sure := func(field string) bool { return !slices.Contains(unsure, field) }
	if want.UIDValidity != 0 && (sure("uidvalidity") && st.UIDValidity != want.UIDValidity || sure("uidnext") && st.UIDNext != want.UIDNext) ||
		sure("mailboxguid") && !st.GUID.IsZero() && st.GUID.String() != want.GUID {
		t.Errorf("status %+v, want %+v", st, want)
	}
	if st.HighestModSeq != want.HighestModSeq {
		sure = func(field string) bool { return field != "modseq" && !slices.Contains(unsure, field) } // Dovecot began to count when it was asked
	}
	var sums, wanted []string
	var damaged []formats.UID
	for m, err := range b.Messages(t.Context(), formats.Query{Want: formats.WantAll}) {
		sum := ""
		if err == nil {
			sum, err = sumOf(t, b, m)
		}
		if bad, ok := formats.Damaged(err); ok {
			damaged = append(damaged, bad.UID)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, sum)
		i := slices.IndexFunc(want.Messages, func(w samples.Message) bool { return w.SHA256 == sum && (!sure("uid") || w.UID == m.UID) })
		if i < 0 && m.GUID == "1577836801.twice.mx" {
			sums = sums[:len(sums)-1] // two files of one name: which one Dovecot keeps is chance
			continue
		}
		if i < 0 {
			t.Errorf("unexpected message %+v", m)
			continue
		}
		compareSample(t, m, want.Messages[i], sure)
	}
	for _, w := range want.Messages {
		wanted = append(wanted, w.SHA256)
	}
	slices.Sort(sums)
	slices.Sort(wanted)
	if !slices.Equal(slices.Compact(sums), slices.Compact(wanted)) || !slices.Equal(damaged, want.Damaged) {
		t.Errorf("%s: %d bodies, damaged %v; want %d, %v", want.Mailbox, len(sums), damaged, len(wanted), want.Damaged)
	}
}

func compareSample(t *testing.T, m formats.Message, w samples.Message, sure func(string) bool) {
	var flags formats.Flags
	for _, name := range w.Flags {
		f, _ := formats.ParseFlag(name)
		flags |= f
	}
	if sure("flags") && (m.Flags&formats.SystemFlags != flags&formats.SystemFlags || !formats.SameKeywords(m.Keywords, w.Keywords)) ||
		sure("guid") && m.GUID != w.GUID || !m.InternalDate.Equal(w.Date) || sure("modseq") && m.ModSeq != w.ModSeq ||
		m.VirtualSize != w.VSize || m.POP3UIDL != w.POP3UIDL || m.POP3Order != w.POP3Order {
		t.Errorf("read %+v, want %+v", m, w)
	}
}

// sumOf is the sum of a body with CRLF line ends.
func sumOf(t *testing.T, b formats.Mailbox, m formats.Message) (string, error) {
	body, err := b.Body(t.Context(), &m)
	if err != nil {
		return "", err
	}
	defer body.Close()
	var text bytes.Buffer
	n, err := body.WriteTo(&text)
	if err != nil || n != body.Size() || n != m.Size {
		return "", errors.Join(err, io.ErrShortWrite)
	}
	crlf := bytes.ReplaceAll(bytes.ReplaceAll(text.Bytes(), []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	sum := sha256.Sum256(crlf)
	return hex.EncodeToString(sum[:]), nil
}
