package sync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
)

func sortedNames(f *fake) []string { return slices.Sorted(maps.Keys(f.boxes)) }

func bodies(f *fake, name string) []string {
	var out []string
	for _, m := range f.boxes[name].msgs {
		out = append(out, fmt.Sprintf("%d:%s", m.UID, strings.TrimSpace(m.body)))
	}
	return out
}

func TestReversedDirectionLosesNothing(t *testing.T) {
	a, b := sample(), newFake(formats.Limits{})
	mustMirror(t, a, b, Options{})
	a.deliver("INBOX", "newer\n")
	a.flag("Entwürfe", 1, formats.Seen)
	before := a.dump()
	r := mustMirror(t, b, a, Options{Source: "b"})
	if a.dump() != before {
		t.Fatalf("got\n%s\nwant\n%s", a.dump(), before)
	}
	if r.ExitCode() != 2 || len(r.SetAside) != 2 || !strings.Contains(r.SetAside[0].Next, "--remove-own") {
		t.Errorf("set aside: %+v", r.SetAside)
	}
}

func TestMailInTheTargetIsSetAside(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	dst.next = 8000
	dst.deliver("INBOX", "the target's own\n")
	r := mustMirror(t, src, dst, Options{})
	if got := bodies(dst, "INBOX"); len(got) != 1 {
		t.Fatalf("INBOX has %q", got)
	}
	if r.ExitCode() != 2 || len(r.SetAside) != 1 || r.SetAside[0].Mailbox != "INBOX" {
		t.Fatalf("set aside: %+v", r.SetAside)
	}
	if got := bodies(dst, "Sent/2019"); len(got) != 1 {
		t.Errorf("the rest did not move: %q", got)
	}
	mustMirror(t, src, dst, Options{RemoveOwn: true})
	wantSame(t, src, dst)
}

func TestDeliveryIntoTheTarget(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	mustMirror(t, src, dst, Options{})
	dst.deliver("INBOX", "delivered in the target\n") // UID 5
	src.deliver("INBOX", "delivered in the source\n") // UID 5 as well
	r := mustMirror(t, src, dst, Options{})
	want := []string{"1:Subject: a\n\nfirst", "3:Subject: c\r\n\r\nthird without end", "4:Subject: d\n\nfourth",
		"5:delivered in the target", "6:delivered in the source"}
	if got := bodies(dst, "INBOX"); !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	if len(r.Losses) != 1 || r.Losses[0].What != "uid" || r.Losses[0].UIDs != "5" || r.ExitCode() != 2 {
		t.Errorf("losses %+v", r.Losses)
	}
	src.flag("INBOX", 5, formats.Flagged)
	src.expunge("INBOX", 1)
	r = mustMirror(t, src, dst, Options{})
	if m := dst.boxes["INBOX"].msgs; len(m) != 4 || m[2].Flags != 0 || m[3].Flags != formats.Flagged {
		t.Errorf("target has %+v", m)
	}
	if r.ExitCode() != 0 {
		t.Errorf("losses %+v", r.Losses)
	}
}

// racing delivers into the target between the look at it and the first commit.
func TestDeliveryWhileARunGoesOn(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	mustMirror(t, src, dst, Options{})
	src.deliver("INBOX", "from the source\n")
	fired := false
	dst.onStep = func(int) {
		if box := dst.boxes["INBOX"]; !fired && box != nil {
			fired = true
			dst.deliver("INBOX", "raced\n")
		}
	}
	r := mustMirror(t, src, dst, Options{})
	if got := bodies(dst, "INBOX"); len(got) != 5 || got[3] != "5:raced" || got[4] != "6:from the source" {
		t.Fatalf("got %q", got)
	}
	if r.Totals.Appended != 1 || len(r.Losses) != 1 {
		t.Errorf("totals %+v, losses %+v", r.Totals, r.Losses)
	}
}

func TestARaceForAUIDDoesNotCountMessagesTwice(t *testing.T) {
	src, dst := newFake(formats.Limits{}), newFake(formats.Limits{})
	for i := range 6 {
		src.deliver("INBOX", fmt.Sprint("message ", i, "\n"))
	}
	src.boxes["INBOX"].bad[2] = &formats.Error{Op: "read", Mailbox: "INBOX", UID: 2, Err: formats.Corrupt("torn")}
	fired := false
	dst.onStep = func(int) {
		if box := dst.boxes["INBOX"]; !fired && box != nil && len(box.msgs) == 2 { // after the first group
			fired = true
			dst.deliver("INBOX", "raced\n")
		}
	}
	var p Progress
	r := mustMirror(t, src, dst, Options{GroupMessages: 3, Progress: &p})
	if !fired || len(dst.boxes["INBOX"].msgs) != 6 {
		t.Fatalf("got %q", bodies(dst, "INBOX"))
	}
	if c := r.Totals; c.Appended != 5 || c.Unchanged != 0 || c.SetAside != 1 || len(r.SetAside) != 1 {
		t.Errorf("totals %+v, set aside %+v", c, r.SetAside)
	}
	if p.Messages.Load() != 6 {
		t.Errorf("progress counts %d messages", p.Messages.Load())
	}
}

func TestABadMessageIsSetAsideAndComesLater(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	src.boxes["INBOX"].bad[3] = &formats.Error{Op: "read", Mailbox: "INBOX", UID: 3, Path: "cur/x", Offset: 7, Err: formats.Corrupt("torn")}
	r := mustMirror(t, src, dst, Options{})
	if len(r.SetAside) != 1 || r.SetAside[0].UID != 3 || r.SetAside[0].Path != "cur/x" || r.SetAside[0].Offset != 7 || r.ExitCode() != 2 {
		t.Fatalf("set aside %+v", r.SetAside)
	}
	if r.Totals.Appended != 4 || r.Totals.SetAside != 1 {
		t.Errorf("totals %+v", r.Totals)
	}
	r = mustMirror(t, src, dst, Options{})
	if len(r.SetAside) != 1 {
		t.Errorf("the rerun did not say again what is left over: %+v", r.SetAside)
	}
	delete(src.boxes["INBOX"].bad, 3)
	r = mustMirror(t, src, dst, Options{})
	if got := bodies(dst, "INBOX"); len(got) != 3 || !strings.HasPrefix(got[2], "5:Subject: c") {
		t.Fatalf("got %q", got)
	}
	if len(r.Losses) != 1 || r.Losses[0].What != "uid" {
		t.Errorf("losses %+v", r.Losses)
	}
}

// noNotes hides that a fake can keep notes.
type noNotes struct {
	formats.Store
	formats.Subscriber
}

func TestATargetWithoutNotesIsRecognised(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	mustMirror(t, src, noNotes{dst, dst}, Options{})
	before := dst.steps
	r := mustMirror(t, src, noNotes{dst, dst}, Options{})
	if dst.steps != before || r.ExitCode() != 0 {
		t.Fatalf("%d changes, %+v", dst.steps-before, r.SetAside)
	}
	src.deliver("INBOX", "new\n")
	mustMirror(t, src, noNotes{dst, dst}, Options{})
	wantSame(t, src, dst)
}

func TestADamagedNoteIsNoObstacle(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	mustMirror(t, src, dst, Options{})
	dst.notes[noteName][30] ^= 1
	src.deliver("INBOX", "new\n")
	r := mustMirror(t, src, dst, Options{})
	if len(r.SetAside) != 1 || !strings.Contains(r.SetAside[0].Reason, "checksum") {
		t.Errorf("set aside %+v", r.SetAside)
	}
	wantSame(t, src, dst)
}

func TestTwoSourcesDoNotMix(t *testing.T) {
	one, two, dst := sample(), newFake(formats.Limits{}), newFake(formats.Limits{})
	two.next = 9000
	two.deliver("INBOX", "of two\n")
	two.deliver("Two", "of two\n")
	mustMirror(t, one, dst, Options{Source: "one"})
	r := mustMirror(t, two, dst, Options{Source: "two"})
	if len(r.SetAside) != 1 || r.SetAside[0].Mailbox != "INBOX" {
		t.Errorf("set aside %+v", r.SetAside)
	}
	r = mustMirror(t, one, dst, Options{Source: "one"})
	if r.ExitCode() != 0 || r.Totals.Expunged != 0 {
		t.Errorf("report %+v", r)
	}
	if got := sortedNames(dst); !slices.Contains(got, "Two") || !slices.Contains(got, "Entwürfe") {
		t.Errorf("mailboxes %q", got)
	}
}

func TestADeletedMailboxWithOwnMailStays(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	mustMirror(t, src, dst, Options{})
	dst.deliver("Entwürfe", "written in the target\n")
	delete(src.boxes, "Entwürfe")
	r := mustMirror(t, src, dst, Options{})
	if got := bodies(dst, "Entwürfe"); len(got) != 1 || got[0] != "2:written in the target" {
		t.Fatalf("got %q", got)
	}
	if r.ExitCode() != 2 {
		t.Error("nothing was said")
	}
}

func TestAnEmptySourceDeletesNothing(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	mustMirror(t, src, dst, Options{})
	src.boxes = map[string]*fakeBox{}
	before := dst.dump()
	if _, err := Mirror(context.Background(), src, dst, Options{}); !errors.Is(err, errNothingLeft) {
		t.Errorf("error %v", err)
	}
	if dst.dump() != before {
		t.Errorf("target became\n%s", dst.dump())
	}
}

func TestTheSameStoreIsRefused(t *testing.T) {
	s := sample()
	if _, err := Mirror(context.Background(), s, s, Options{}); !errors.Is(err, ErrSameStore) {
		t.Errorf("error %v", err)
	}
}

func TestOnlyTheMailboxesAskedFor(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	mustMirror(t, src, dst, Options{})
	src.deliver("INBOX", "new\n")
	src.deliver("Sent/2019", "new\n")
	delete(src.boxes, "Entwürfe")
	mustMirror(t, src, dst, Options{Mailboxes: []string{"Sent/*"}})
	if len(bodies(dst, "INBOX")) != 3 || len(bodies(dst, "Sent/2019")) != 2 || dst.boxes["Entwürfe"] == nil {
		t.Errorf("target is\n%s", dst.dump())
	}
	mustMirror(t, src, dst, Options{})
	wantSame(t, src, dst)
}

func TestInboxThatCannotBeMadeAnew(t *testing.T) {
	src, dst := sample(), newFake(formats.Limits{})
	dst.noInbox, dst.next = true, 8000
	dst.deliver("INBOX", "x")
	dst.expunge("INBOX", 1)
	r := mustMirror(t, src, dst, Options{})
	if len(r.Losses) == 0 || r.Losses[len(r.Losses)-1].What != "uidvalidity" {
		t.Errorf("losses %+v", r.Losses)
	}
	if len(bodies(dst, "INBOX")) != 3 {
		t.Errorf("target is\n%s", dst.dump())
	}
	before := dst.steps
	r = mustMirror(t, src, dst, Options{})
	if dst.steps != before || r.ExitCode() != 0 {
		t.Errorf("rerun: %d changes, %+v", dst.steps-before, r.Losses)
	}
}
