package sync

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"dovetail/formats"
)

// TestMirrorCompletesAfterDeathAnywhere lets every single change to the target be the last one that succeeds, and
// demands that the next run ends exactly as an undisturbed one.
func TestMirrorCompletesAfterDeathAnywhere(t *testing.T) {
	mbox := formats.Limits{Format: "fake-mbox", NoGUID: true, NoPOP3: true, NoSaveDate: true, NoModSeq: true, NoMailboxGUID: true, OneTx: true}
	for _, c := range []struct {
		name     string
		limits   formats.Limits
		volatile bool
	}{
		{"a target that holds everything", formats.Limits{}, false},
		{"a source without lasting UIDs", formats.Limits{}, true},
		{"a target like mbox", mbox, false},
		{"a target like mbox, a source without lasting UIDs", mbox, true},
	} {
		for _, stage := range []struct {
			name    string
			prepare func(src, dst *fake)
		}{
			{"first run", func(*fake, *fake) {}},
			{"later run", func(src, dst *fake) { mustMirror(t, src, dst, Options{}); changeMuch(src) }},
			{"after delivery into the target", func(src, dst *fake) {
				mustMirror(t, src, dst, Options{})
				dst.deliver("INBOX", "delivered here\n")
				changeMuch(src)
			}},
		} {
			t.Run(c.name+", "+stage.name, func(t *testing.T) {
				boundaries := 0
				for failAt := 1; ; failAt++ {
					src, dst := sample(), newFake(c.limits)
					src.volatile = c.volatile
					stage.prepare(src, dst)
					want := newFake(c.limits)
					for name, b := range dst.boxes {
						copied := *b
						want.boxes[name] = &copied
					}
					want.next, want.subs = dst.next, dst.subs
					for name, b := range dst.notes {
						want.notes[name] = b
					}
					mustMirror(t, src, want, Options{GroupMessages: 1, Jobs: 1})

					dst.failAt, dst.failWith = dst.steps+failAt, syscall.ENOSPC
					r, err := Mirror(context.Background(), src, dst, Options{GroupMessages: 1, Jobs: 1})
					dst.failAt = 0
					if err == nil {
						break
					}
					boundaries++
					if r != nil && r.Unfinished == "" {
						t.Fatalf("step %d: report of an interrupted run says nothing", failAt)
					}
					mustMirror(t, src, dst, Options{GroupMessages: 1, Jobs: 1})
					if got, want := clientView(dst), clientView(want); got != want {
						t.Fatalf("died at step %d (%v), after the next run\n%s\nwant\n%s", failAt, err, got, want)
					}
				}
				t.Logf("%d boundaries", boundaries)
			})
		}
	}
}

// clientView leaves out what may differ after an interruption: the modseqs and UIDVALIDITYs that the target chose.
func clientView(f *fake) string {
	out := ""
	for _, name := range sortedNames(f) {
		b := f.boxes[name]
		out += fmt.Sprintf("%s next %d\n", name, b.status.UIDNext)
		for _, m := range b.msgs {
			out += fmt.Sprintf("  %d %v %v %s %q\n", m.UID, m.Flags, m.Keywords, m.GUID, m.body)
		}
	}
	return out + fmt.Sprint(f.subs)
}

// changeMuch does one of everything to a sample.
func changeMuch(src *fake) {
	src.deliver("INBOX", "Subject: e\n\nfifth\n")
	src.deliver("INBOX", "Subject: f\n\nsixth\n")
	src.expunge("INBOX", 1)
	src.flag("INBOX", 4, formats.Answered, "x")
	rename(src, "Entwürfe", "Drafts")
	src.deliver("Drafts", "another draft\n")
	delete(src.boxes, "Empty")
	src.deliver("Neu", "in a new mailbox\n")
	src.subs = []string{"INBOX", "Drafts"}
}

func TestMirrorEndsCleanlyWhenCancelled(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	for i := range 50 {
		src.deliver("INBOX", fmt.Sprint("message ", i, "\n"))
	}
	ctx, cancel := context.WithCancel(context.Background())
	dst.onStep = func(n int) {
		if n == 20 {
			cancel()
		}
	}
	r, err := Mirror(ctx, src, dst, Options{GroupMessages: 5, Jobs: 1})
	if err == nil || r == nil || r.Unfinished == "" || r.Next == "" {
		t.Fatalf("report %+v, error %v", r, err)
	}
	mustMirror(t, src, dst, Options{})
	wantSame(t, src, dst)
}
