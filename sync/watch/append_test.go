package watch

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"dovetail/formats"
)

// kinds are places for mail of each format below a folder.
func kinds(root string) map[string]string {
	return map[string]string{
		"sdbox":   "sdbox:" + filepath.Join(root, "sdbox"),
		"maildir": "maildir:" + filepath.Join(root, "maildir"),
		"mbox":    "mbox:" + filepath.Join(root, "mbox") + ":INBOX=" + filepath.Join(root, "inbox"),
	}
}

// giving gives messages one after the other.
func giving(list ...Message) func() (Message, error) {
	return func() (Message, error) {
		if len(list) == 0 {
			return Message{}, io.EOF
		}
		m := list[0]
		list = list[1:]
		return m, nil
	}
}

// content reads a message.
func content(t *testing.T, m formats.Mailbox, uid formats.UID) string {
	t.Helper()
	body, err := m.Body(t.Context(), &formats.Message{UID: uid})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var b strings.Builder
	if _, err := body.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func newInbox(t testing.TB, where string) (formats.Store, *Box) {
	t.Helper()
	store := onDisk(t, where)
	if err := store.Create(t.Context(), "INBOX", formats.Status{}); err != nil && !errors.Is(err, formats.ErrExists) {
		t.Fatal(err)
	}
	return store, open(t, NewHub(0), store)
}

func TestMessagesAreTakenInAsTheyCome(t *testing.T) {
	for kind, where := range kinds(t.TempDir()) {
		t.Run(kind, func(t *testing.T) {
			_, box := newInbox(t, where)
			big := "Subject: big\n\n" + strings.Repeat(strings.Repeat("0123456789", 7)+"\n", 10000)
			one, two := "Subject: one\n\nx\n", "Subject: two\n\ny\n"
			rest := strings.NewReader(one + big)
			seen := Message{Body: rest, Size: int64(len(one))}
			seen.Flags = formats.Seen
			c, err := box.Append(t.Context(), giving(seen, Message{Body: rest, Size: int64(len(big))}, Message{Body: strings.NewReader(two), Size: -1}))
			if err != nil || c.UIDs.String() != "1:3" {
				t.Fatalf("UIDs %v, %v", c.UIDs, err)
			}
			for i, want := range []string{one, big, two} {
				if got := content(t, box, formats.UID(i+1)); got != want {
					t.Errorf("message %d has %d bytes in place of %d", i+1, len(got), len(want))
				}
			}
			if s := box.Snapshot(); s.Len() != 3 || s.At(1).Flags() != formats.Seen || s.At(2).Flags() != 0 {
				t.Errorf("the snapshot has %v", model(s))
			}
		})
	}
}

func TestAMessageThatEndsEarlyIsNotTakenNorAreThoseBeforeIt(t *testing.T) {
	for kind, where := range kinds(t.TempDir()) {
		t.Run(kind, func(t *testing.T) {
			_, box := newInbox(t, where)
			c, err := box.Append(t.Context(), giving(Message{Body: strings.NewReader("a: b\n\n"), Size: 6}, Message{Body: strings.NewReader("a: b\n\n"), Size: 7}))
			if !errors.Is(err, io.ErrUnexpectedEOF) || box.Snapshot().Len() != 0 {
				t.Fatalf("%v, %v; %d messages", c, err, box.Snapshot().Len())
			}
			fill(t, box, 1)
		})
	}
}

// waiting is a client that sends nothing more until it is told to.
type waiting struct {
	begun, go_ chan struct{}
	rest       io.Reader
}

func (w *waiting) Read(p []byte) (int, error) {
	if w.begun != nil {
		close(w.begun)
		w.begun = nil
		<-w.go_
	}
	return w.rest.Read(p)
}

func TestASlowClientKeepsNobodyFromChangingTheMailbox(t *testing.T) {
	for kind, where := range kinds(t.TempDir()) {
		t.Run(kind, func(t *testing.T) {
			_, box := newInbox(t, where)
			fill(t, box, 1)
			slow := &waiting{make(chan struct{}), make(chan struct{}), strings.NewReader("a: b\n\nslow\n")}
			begun, done := slow.begun, make(chan error)
			go func() {
				_, err := box.Append(t.Context(), giving(Message{Body: slow, Size: 11}))
				done <- err
			}()
			<-begun
			if _, err := box.Update(t.Context(), func(tx formats.Tx) error {
				return tx.SetFlags(formats.RangesOf(1), formats.FlagChange{Flags: formats.Flagged})
			}); err != nil {
				t.Fatal(err)
			}
			fill(t, box, 1)
			close(slow.go_)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := content(t, box, 3); got != "a: b\n\nslow\n" {
				t.Errorf("UID 3 is %q", got)
			}
		})
	}
}

func TestCopiesAreTheSameMessage(t *testing.T) {
	root := t.TempDir()
	for from, source := range kinds(filepath.Join(root, "a")) {
		for to, target := range kinds(filepath.Join(root, "b-"+from)) {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				_, src := newInbox(t, source+"-"+to)
				_, dst := newInbox(t, target)
				fill(t, src, 30)
				if _, err := dst.Update(t.Context(), func(tx formats.Tx) error {
					for uid := range formats.UID(30) {
						m := formats.Message{Flags: formats.Answered, Keywords: []string{"copied"}}
						if err := formats.Copy(t.Context(), tx, m, src.Mailbox, uid+1); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				if _, err := src.Update(t.Context(), func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(7)) }); err != nil {
					t.Fatal(err)
				}
				isCopy(t, src, dst, to != "mbox")
			})
		}
	}
}

// isCopy compares the 30 messages of two mailboxes but for the expunged one.
func isCopy(t *testing.T, src, dst *Box, guids bool) {
	t.Helper()
	if content(t, dst, 7) != "x\n" {
		t.Error("the copy of an expunged message is another one")
	}
	of := map[formats.UID]formats.Message{}
	for m, err := range src.Messages(t.Context(), formats.Query{Want: formats.WantGUID | formats.WantDate}) {
		if err != nil {
			t.Fatal(err)
		}
		of[m.UID] = m
	}
	n := 0
	for m, err := range dst.Messages(t.Context(), formats.Query{Want: formats.WantGUID | formats.WantDate}) {
		n++
		if err != nil || m.Flags&formats.SystemFlags != formats.Answered || !formats.HasKeyword(m.Keywords, "copied") {
			t.Fatalf("%+v, %v", m, err)
		}
		if o, ok := of[m.UID]; ok && (!m.InternalDate.Equal(o.InternalDate) || guids && m.GUID != o.GUID) {
			t.Errorf("UID %d has date %v and GUID %q in place of %v and %q", m.UID, m.InternalDate, m.GUID, o.InternalDate, o.GUID)
		}
	}
	if n != 30 {
		t.Errorf("%d messages", n)
	}
}

// One command of each session at a time, each durable before the next.
func BenchmarkAppend(b *testing.B) {
	for _, kind := range []string{"sdbox", "maildir"} {
		for _, sessions := range []int{1, 10, 50} {
			b.Run(fmt.Sprintf("%s/%d sessions", kind, sessions), func(b *testing.B) {
				_, box := newInbox(b, kinds(b.TempDir())[kind])
				text := "Subject: x\n\n" + strings.Repeat("0123456789", 400)
				var left atomic.Int64
				left.Store(int64(b.N))
				var all errgroup.Group
				b.ResetTimer()
				for range sessions {
					all.Go(func() error {
						for left.Add(-1) >= 0 {
							if _, err := box.Append(b.Context(), giving(Message{Body: strings.NewReader(text), Size: int64(len(text))})); err != nil {
								return err
							}
						}
						return nil
					})
				}
				if err := all.Wait(); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}
