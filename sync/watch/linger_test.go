package watch

import (
	"context"
	"testing"
	"time"

	"dovetail/formats"
)

// closings counts how often mailboxes of a store are closed.
type closings struct {
	formats.Mailbox
	n *int
}

func (c closings) Close() error                    { *c.n++; return c.Mailbox.Close() }
func (c closings) StillNamed(context.Context) bool { return true }

func TestMailboxesLinger(t *testing.T) {
	store := formats.NewMemory()
	h := NewHub(0)
	h.Linger = time.Hour
	b, err := h.Open(t.Context(), store, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	b.Mailbox = closings{b.Mailbox, &n}
	b.Close()
	again, err := h.Open(t.Context(), store, "INBOX")
	if err != nil || again != b || n != 0 {
		t.Fatalf("opened again it is %p after %p, closed %d times, %v", again, b, n, err)
	}
	h.expire()
	if n != 0 {
		t.Error("it was closed while a session had it open")
	}
	again.Close()
	h.expire()
	if n != 0 {
		t.Error("it was closed before its time")
	}
	h.left.timer.Stop()
	h.Linger = 1
	h.expire()
	if n != 1 || len(h.boxes) != 0 {
		t.Errorf("after its time it was closed %d times, and %d are there", n, len(h.boxes))
	}
}

func TestOnlySomeMailboxesLinger(t *testing.T) {
	store := formats.NewMemory()
	h := NewHub(0)
	h.Linger = time.Hour
	for i := range maxLeft + 3 {
		name := string(rune('a'+i%26)) + string(rune('a'+i/26))
		if err := store.Create(t.Context(), name, formats.Status{}); err != nil {
			t.Fatal(err)
		}
		b, err := h.Open(t.Context(), store, name)
		if err != nil {
			t.Fatal(err)
		}
		b.Mailbox = closings{b.Mailbox, new(int)}
		b.Close()
	}
	if len(h.boxes) != maxLeft || h.left.list.Len() != maxLeft {
		t.Errorf("%d mailboxes are open, %d of them linger", len(h.boxes), h.left.list.Len())
	}
	if err := h.Close(); err != nil || len(h.boxes) != 0 || h.left.messages != 0 {
		t.Errorf("closed, there are %d mailboxes and %d messages, %v", len(h.boxes), h.left.messages, err)
	}
}
