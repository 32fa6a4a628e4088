package sdbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// Messages that many sessions add at the same time have a UID each, which is told to the session that added it. Those
// that wait for the lock are made durable together: one sync of the folder and one of the log for all of them.
func TestAppendsAtTheSameTimeAreCommittedTogether(t *testing.T) {
	const sessions = 16
	var syncs atomic.Int64
	first, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	box := openNew(t, &disk.FS{Fault: func(op disk.Op, path string) error {
		switch {
		case op == disk.OpSync:
			syncs.Add(1)
		case op == disk.OpRename && filepath.Base(path) == "u.1":
			once.Do(func() { close(first); <-goOn })
		}
		return nil
	}})
	got := make([]formats.UID, sessions)
	var group sync.WaitGroup
	add := func(i int) {
		group.Go(func() {
			done, err := appendText(t, box, fmt.Sprintf("Subject: %d\n\nx\n", i))
			if err != nil || done.UIDs.Len() != 1 {
				t.Errorf("session %d: %v, %v", i, done.UIDs, err)
				return
			}
			got[i] = done.UIDs[0].First
		})
	}
	add(0)
	<-first
	for i := 1; i < sessions; i++ {
		add(i)
	}
	for waiting := 0; waiting < sessions-1; runtime.Gosched() {
		waiting = box.joining.Waiting()
	}
	before := syncs.Load()
	close(goOn)
	group.Wait()
	if n := syncs.Load() - before; n > 4 {
		t.Errorf("%d syncs for two commits, that of the first and that of all others", n)
	}
	for i, uid := range got {
		body, err := box.Body(t.Context(), &formats.Message{UID: uid})
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		body.WriteTo(&text)
		body.Close()
		if want := fmt.Sprintf("Subject: %d\n\nx\n", i); text.String() != want {
			t.Errorf("UID %d is %q, want %q", uid, text.String(), want)
		}
	}
	if st, err := box.Status(t.Context()); err != nil || st.Messages != sessions || st.UIDNext != sessions+1 {
		t.Errorf("%+v, %v", st, err)
	}
}

// One that fails takes nobody with it: when the commit of all fails, each is tried for itself.
func TestOneOfManyAppendsFails(t *testing.T) {
	failed := errors.New("no such luck")
	var left atomic.Int64
	fs := &disk.FS{Fault: func(op disk.Op, path string) error {
		if op == disk.OpRename && filepath.Base(path) == "u.3" && left.Add(-1) >= 0 {
			return failed
		}
		return nil
	}}
	box := openNew(t, fs)
	left.Store(1)
	const sessions = 12
	var lost atomic.Int64
	var group sync.WaitGroup
	for range sessions {
		group.Go(func() {
			if _, err := appendText(t, box, "Subject: x\n\nx\n"); err != nil {
				lost.Add(1)
				if !errors.Is(err, failed) {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if st, err := box.Status(t.Context()); err != nil || lost.Load() > 1 || int64(st.Messages) != sessions-lost.Load() {
		t.Errorf("%d messages, %d failed, %v", st.Messages, lost.Load(), err)
	}
}

func openNew(t *testing.T, fs *disk.FS) *Mailbox {
	t.Helper()
	store, err := Open(t.Context(), Options{Root: filepath.Join(t.TempDir(), "mail"), FS: fs, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Create(t.Context(), "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	box, err := store.Open(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	return box.(*Mailbox)
}

func appendText(t *testing.T, box *Mailbox, text string) (formats.Committed, error) {
	return box.Update(t.Context(), func(tx formats.Tx) error {
		return tx.Append(t.Context(), formats.Message{}, textOf(text))
	})
}

type textBody struct{ *io.SectionReader }

func (textBody) Close() error { return nil }
func (b textBody) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{b.SectionReader})
}

func textOf(text string) formats.Body {
	return textBody{io.NewSectionReader(bytes.NewReader([]byte(text)), 0, int64(len(text)))}
}
