package mdbox

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

func spooled(s string) formats.Body {
	b := new(disk.Spool)
	b.Write([]byte(s))
	return b
}

// Messages that many sessions add at the same time have a UID each, which is told to the session that added it. Those
// that wait for the lock are made durable together: in one file, one step of the map and one of the folder.
func TestAppendsAtTheSameTimeAreCommittedTogether(t *testing.T) {
	const sessions = 16
	ctx := context.Background()
	var syncs atomic.Int64
	first, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s, err := Open(ctx, Options{Root: filepath.Join(t.TempDir(), "mail"), Create: true, FS: &disk.FS{Fault: func(op disk.Op, path string) error {
		switch {
		case op == disk.OpSync:
			syncs.Add(1)
		case op == disk.OpRename && filepath.Base(path) == "m.1":
			once.Do(func() { close(first); <-goOn })
		}
		return nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Create(ctx, "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	b, err := s.open(ctx, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got := make([]formats.UID, sessions)
	var group sync.WaitGroup
	add := func(i int) {
		group.Go(func() {
			done, err := b.Update(ctx, func(tx formats.Tx) error {
				return tx.Append(ctx, formats.Message{}, spooled(fmt.Sprintf("Subject: %d\n\nx\n", i)))
			})
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
	for b.joining.Waiting() < sessions-1 {
		runtime.Gosched()
	}
	before := syncs.Load()
	close(goOn)
	group.Wait()
	if n := syncs.Load() - before; n > 8 {
		t.Errorf("%d syncs for two commits, that of the first and that of all others", n)
	}
	for i, uid := range got {
		body, err := b.Body(ctx, &formats.Message{UID: uid})
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		body.WriteTo(&text)
		body.Close()
		if want := fmt.Sprintf("Subject: %d\n\nx\n", i); text.String() != want {
			t.Errorf("uid %d is %q, want %q", uid, text.String(), want)
		}
	}
}
