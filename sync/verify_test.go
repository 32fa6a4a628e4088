package sync

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
)

func TestVerifyFindsEveryDifference(t *testing.T) {
	inbox := func(dst *fake, uid formats.UID, edit func(*fakeMsg)) {
		for i := range dst.boxes["INBOX"].msgs {
			if m := &dst.boxes["INBOX"].msgs[i]; m.UID == uid {
				edit(m)
			}
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(dst *fake)
		want  []string // "mailbox uid field"
	}{
		{"nothing", func(*fake) {}, nil},
		{"line ends alone", func(dst *fake) { inbox(dst, 1, func(m *fakeMsg) { m.body = strings.ReplaceAll(m.body, "\n", "\r\n") }) }, nil},
		{"a body", func(dst *fake) { inbox(dst, 1, func(m *fakeMsg) { m.body += "x" }) }, []string{"INBOX 1 body"}},
		{"flags", func(dst *fake) { inbox(dst, 3, func(m *fakeMsg) { m.Flags = 0 }) }, []string{"INBOX 3 flags"}},
		{"keywords", func(dst *fake) { inbox(dst, 3, func(m *fakeMsg) { m.Keywords = []string{"other"} }) }, []string{"INBOX 3 keywords"}},
		{"a GUID", func(dst *fake) { inbox(dst, 3, func(m *fakeMsg) { m.GUID = "other" }) }, []string{"INBOX 3 guid"}},
		{"a date", func(dst *fake) { inbox(dst, 3, func(m *fakeMsg) { m.InternalDate = time.Unix(5, 0) }) }, []string{"INBOX 3 date"}},
		{"a save date", func(dst *fake) { inbox(dst, 3, func(m *fakeMsg) { m.SaveDate = time.Unix(5, 0) }) }, nil}, // the source has none
		{"POP3", func(dst *fake) { inbox(dst, 3, func(m *fakeMsg) { m.POP3UIDL, m.POP3Order = "", 0 }) }, []string{"INBOX 3 pop3-order", "INBOX 3 pop3-uidl"}},
		{"a modseq", func(dst *fake) { inbox(dst, 3, func(m *fakeMsg) { m.ModSeq = 1 }) }, []string{"INBOX 3 modseq"}},
		{"a message missing", func(dst *fake) { dst.expunge("INBOX", 3) }, []string{"INBOX 3 message"}},
		{"a message too many", func(dst *fake) { dst.deliver("INBOX", "x") }, []string{"INBOX 5 message"}},
		{"a mailbox missing", func(dst *fake) { delete(dst.boxes, "Empty") }, []string{"Empty 0 mailbox"}},
		{"a mailbox too many", func(dst *fake) { dst.deliver("More", "x") }, []string{"More 0 mailbox"}},
		{"UIDVALIDITY", func(dst *fake) { dst.boxes["INBOX"].status.UIDValidity++ }, []string{"INBOX 0 uidvalidity"}},
		{"UIDNEXT", func(dst *fake) { dst.boxes["INBOX"].status.UIDNext++ }, []string{"INBOX 0 uidnext"}},
		{"a mailbox's GUID", func(dst *fake) { dst.boxes["INBOX"].status.GUID[0]++ }, []string{"INBOX 0 mailbox-guid"}},
		{"HIGHESTMODSEQ", func(dst *fake) { dst.boxes["INBOX"].status.HighestModSeq-- }, []string{"INBOX 0 highestmodseq"}},
		{"subscriptions", func(dst *fake) { dst.subs = []string{"INBOX", "Entwürfe"} }, []string{"Entwürfe 0 subscription", "Sent/2019 0 subscription"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, dst := sample(), newFake(formats.Limits{})
			mustMirror(t, src, dst, Options{})
			c.spoil(dst)
			steps := dst.steps
			r, err := Verify(context.Background(), src, dst, Options{Jobs: 2})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range r.Differences {
				got = append(got, fmt.Sprint(d.Mailbox, " ", d.UID, " ", d.Field))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if want := min(1, len(c.want)) * 2; r.ExitCode() != want || dst.steps != steps {
				t.Errorf("exit code %d, want %d; %d changes", r.ExitCode(), want, dst.steps-steps)
			}
			if err := r.WriteText(io.Discard); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestVerifyKnowsMessagesWithAnotherUID(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	mustMirror(t, src, dst, Options{})
	dst.deliver("INBOX", "own\n")
	src.deliver("INBOX", "of the source\n")
	mustMirror(t, src, dst, Options{})
	r, err := Verify(context.Background(), src, dst, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range r.Differences {
		got = append(got, d.String())
	}
	want := []string{"different: INBOX uid 5: message: want none, got a message that the source does not have",
		"different: INBOX uid 5: uid: want 5, got 6"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// Dovecot's index keeps no modseqs of messages until a client asks for them.
func TestASourceWithoutModSeqsOfMessages(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	src.oneSeq = true
	mustMirror(t, src, dst, Options{})
	dst.deliver("INBOX", "own\n") // raises what the target counts
	src.flag("INBOX", 3, formats.Flagged)
	r := mustMirror(t, src, dst, Options{})
	if r.Totals.Flagged != 1 {
		t.Errorf("%d messages with new flags, want the one that has them", r.Totals.Flagged)
	}
	dst.expunge("INBOX", dst.boxes["INBOX"].msgs[len(dst.boxes["INBOX"].msgs)-1].UID)
	r, err := Verify(context.Background(), src, dst, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range r.Differences {
		if d.Field != "uidnext" { // the target has given one to its own message
			t.Error(d)
		}
	}
	dst.boxes["INBOX"].status.HighestModSeq = 2
	r, err = Verify(context.Background(), src, dst, Options{})
	if err != nil || !slices.ContainsFunc(r.Differences, func(d Difference) bool { return d.Field == "highestmodseq" }) {
		t.Errorf("a lower HIGHESTMODSEQ is not told: %v %v", r.Differences, err)
	}
}

func TestDigestIsThatOfCRLF(t *testing.T) {
	const want = "a: b\r\nc: d\r\n e\r\n\r\nx-uid: body\r\ny\r\r\nz"
	whole, _ := rawDigest(formats.BytesBody([]byte(want)))
	withEnd, _ := rawDigest(formats.BytesBody([]byte(want + "\r\n")))
	for _, c := range []struct {
		body   string
		hidden []string
		ending bool
		want   digest
	}{
		{"a: b\nc: d\n e\n\nx-uid: body\ny\r\r\nz", nil, false, whole},
		{want, nil, false, whole},
		{"a: b\nX-UID: 7\n\tfolded\nc: d\n e\n\nx-uid: body\ny\r\r\nz", []string{"X-Uid"}, false, whole},
		{"a: b\nc: d\n e\n\nx-uid: body\ny\r\r\nz", []string{"X-Uid"}, true, withEnd},
		{want + "\n", []string{"X-Uid"}, true, withEnd},
	} {
		if got, err := crlfDigest(formats.BytesBody([]byte(c.body)), c.hidden, c.ending); err != nil || got != c.want {
			t.Errorf("%q hidden %q: got %x, want %x, %v", c.body, c.hidden, got, c.want, err)
		}
	}
}
