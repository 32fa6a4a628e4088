package sync

import (
	"context"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
)

// sample is a source with something of everything.
func sample() *fake {
	f := newFake(formats.Limits{})
	f.deliver("INBOX", "Subject: a\n\nfirst\n")
	f.deliver("INBOX", "Subject: b\n\nsecond, to be gone\n")
	f.deliver("INBOX", "Subject: c\r\n\r\nthird without end", func(m *formats.Message) {
		m.POP3UIDL, m.POP3Order = "uidl-c", 7
	})
	f.deliver("INBOX", "Subject: d\n\nfourth\n")
	f.expunge("INBOX", 2)
	f.flag("INBOX", 3, formats.Seen|formats.Flagged, "$Forwarded", "work")
	f.deliver("Sent/2019", "Subject: sent\n\nbody\n")
	f.deliver("Entwürfe", "Subject: draft\n\nbody\n")
	f.flag("Entwürfe", 1, formats.Draft, "Work")
	f.deliver("Empty", "")
	f.expunge("Empty", 1)
	f.subs = []string{"INBOX", "Sent/2019"}
	return f
}

func mustMirror(t *testing.T, src, dst formats.Store, o Options) *Report {
	t.Helper()
	r, err := Mirror(context.Background(), src, dst, o)
	if err != nil {
		t.Fatalf("Mirror: %v\nreport: %+v", err, r)
	}
	return r
}

func wantSame(t *testing.T, src, dst *fake) {
	t.Helper()
	if got, want := dst.dump(), src.dump(); got != want {
		t.Fatalf("target\n%s\nwant\n%s", got, want)
	}
}

func TestMirrorCarriesEverything(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	r := mustMirror(t, src, dst, Options{})
	wantSame(t, src, dst)
	if r.ExitCode() != 0 {
		t.Fatalf("exit code %d, losses %+v, aside %+v", r.ExitCode(), r.Losses, r.SetAside)
	}
	if r.Totals.Appended != 5 || r.Totals.Messages != 5 {
		t.Errorf("totals %+v", r.Totals)
	}
	looks := func() int { return src.listings + dst.listings + src.statuses + dst.statuses }
	before, looked := dst.steps, looks()
	r = mustMirror(t, src, dst, Options{})
	if dst.steps != before || looks() != looked {
		t.Errorf("a rerun changed the target %d times and looked into mailboxes %d times", dst.steps-before, looks()-looked)
	}
	if r.Totals.Unchanged != 5 || r.ExitCode() != 0 {
		t.Errorf("rerun: %+v", r.Totals)
	}
}

func TestMirrorBringsChanges(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(src *fake)
	}{
		{"new mail", func(src *fake) { src.deliver("INBOX", "Subject: new\n\nnew\n") }},
		{"a flag set", func(src *fake) { src.flag("INBOX", 1, formats.Answered, "new") }},
		{"a keyword removed", func(src *fake) { src.flag("INBOX", 3, formats.Seen) }},
		{"a message expunged", func(src *fake) { src.expunge("INBOX", 3) }},
		{"all messages expunged", func(src *fake) { src.expunge("INBOX", 1); src.expunge("INBOX", 3); src.expunge("INBOX", 4) }},
		{"a message moved", func(src *fake) {
			src.deliver("Sent/2019", "Subject: a\n\nfirst\n")
			src.expunge("INBOX", 1)
		}},
		{"mail that came and went", func(src *fake) { src.expunge("INBOX", src.deliver("INBOX", "x")) }},
		{"a mailbox renamed", func(src *fake) { rename(src, "Entwürfe", "Drafts") }},
		{"a parent renamed with a message added", func(src *fake) {
			rename(src, "Sent", "Gesendet")
			src.deliver("Gesendet/2019", "more\n")
		}},
		{"two mailboxes that swap names", func(src *fake) {
			rename(src, "Entwürfe", "x")
			rename(src, "Empty", "Entwürfe")
			rename(src, "x", "Empty")
		}},
		{"a mailbox deleted", func(src *fake) { delete(src.boxes, "Entwürfe") }},
		{"a mailbox made", func(src *fake) { src.deliver("New/deep", "x\n") }},
		{"a mailbox deleted and another made with its name", func(src *fake) {
			delete(src.boxes, "Entwürfe")
			src.deliver("Entwürfe", "quite different\n")
		}},
		{"subscriptions", func(src *fake) { src.subs = []string{"Entwürfe", "INBOX"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, dst := sample(), newFake(formats.Limits{})
			mustMirror(t, src, dst, Options{})
			c.change(src)
			r := mustMirror(t, src, dst, Options{})
			if len(dst.subs) == 2 && dst.subs[0] != src.subs[0] {
				dst.subs = []string{dst.subs[1], dst.subs[0]} // the order means nothing
			}
			wantSame(t, src, dst)
			if r.ExitCode() != 0 {
				t.Errorf("losses %+v, aside %+v", r.Losses, r.SetAside)
			}
			before := dst.steps
			mustMirror(t, src, dst, Options{})
			mustMirror(t, src, dst, Options{})
			if n := dst.steps - before; n > 1 {
				t.Errorf("reruns made %d changes", n)
			}
		})
	}
}

func rename(f *fake, from, to string) {
	if err := f.Rename(context.Background(), from, to); err != nil {
		panic(err)
	}
	for i, name := range f.subs {
		if under(name, from) {
			f.subs[i] = to + strings.TrimPrefix(name, from)
		}
	}
}

func TestTheReportListsINBOXFirst(t *testing.T) {
	src := newFake(formats.Limits{})
	for _, name := range []string{"A", "INBOX", "A/b", "A-c"} {
		src.deliver(name, "x\n")
	}
	r := mustMirror(t, src, newFake(formats.Limits{NoGUID: true}), Options{})
	var boxes, losses []string
	for _, m := range r.Mailboxes {
		boxes = append(boxes, m.Mailbox)
	}
	for _, l := range r.Losses {
		losses = append(losses, l.Mailbox)
	}
	if want := []string{"INBOX", "A", "A/b", "A-c"}; !slices.Equal(boxes, want) || !slices.Equal(losses, want) {
		t.Errorf("mailboxes %q, losses %q", boxes, losses)
	}
}
