package mdbox_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/mdbox"
)

// box opens a mailbox, making it if there is none.
func box(t *testing.T, s formats.Store, name string) formats.Mailbox {
	t.Helper()
	b, err := s.Open(ctx, name)
	if err != nil {
		if err := s.Create(ctx, name, formats.Status{}); err != nil {
			t.Fatal(err)
		}
		b, err = s.Open(ctx, name)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func update(t *testing.T, b formats.Mailbox, fn func(tx formats.Tx) error) {
	t.Helper()
	if done, err := b.Update(ctx, fn); err != nil || done.Leftover != nil {
		t.Fatal(err, done.Leftover)
	}
}

// fill adds messages, each of some hundred bytes, one by one.
func fill(t *testing.T, b formats.Mailbox, n int) {
	t.Helper()
	for i := range n {
		update(t, b, func(tx formats.Tx) error {
			return tx.Append(ctx, formats.Message{}, text(fmt.Sprintf("Subject: %d\n\n%s\n", i, strings.Repeat("x", 300))))
		})
	}
}

func files(t *testing.T, dir string) (n int, size int64) {
	t.Helper()
	names, err := filepath.Glob(dir + "/m.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		st, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		size += st.Size()
	}
	return len(names), size
}

// forceResync has Dovecot build everything anew and tells of anything that it did not like.
func forceResync(t *testing.T, j *dovecot.Judge) {
	t.Helper()
	j.MustBeClean()
	j.Doveadm("force-resync", "*")
	for line := range strings.Lines(j.Log()) {
		usual := strings.Contains(line, "rebuilding indexes") || strings.Contains(line, "fscking index file") // it says so each time
		if !usual && strings.TrimSpace(line) != "" {
			t.Errorf("force-resync: %s", line)
		}
	}
	j.ForgetLog()
}

func TestPurgeGivesTheRoomOfExpungedMessagesBack(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	j := dovecot.New(t, "mdbox:"+root, "mdbox_rotate_size = 3k")
	s := writable(t, mdbox.Options{Root: root, Rotation: mdbox.Rotation{Size: 3 << 10}})
	b, copies := box(t, s, "INBOX"), box(t, s, "Copies")
	fill(t, b, 30)
	update(t, copies, func(tx formats.Tx) error { // one message of those that go stays by its copy
		return formats.Copy(ctx, tx, formats.Message{}, b, 3)
	})
	update(t, b, func(tx formats.Tx) error {
		return tx.Expunge(formats.Ranges{{First: 2, Last: 20}, {First: 25, Last: 25}})
	})
	before, size := files(t, root+"/storage")
	old := formats.Message{UID: 30}
	if body, err := b.Body(ctx, &old); err != nil {
		t.Fatal(err)
	} else {
		body.Close()
	}
	would, err := s.Purgeable(ctx)
	if err != nil || would.Messages != 19 || would.Files < 3 {
		t.Errorf("would do %+v, %v", would, err)
	}
	done, err := s.Purge(ctx)
	if err != nil || done.Messages != 19 || done.Busy != 0 || done.Files != would.Files {
		t.Errorf("%+v, %v", done, err)
	}
	after, now := files(t, root+"/storage")
	if after >= before || now >= size/2 || done.Bytes < (size-now)*9/10 || done.Bytes > size-now+200 {
		t.Errorf("%d files with %d bytes before, %d with %d after, said to have freed %d", before, size, after, now, done.Bytes)
	}
	if done, err := s.Purge(ctx); err != nil || done != (formats.Purged{}) {
		t.Errorf("again: %+v, %v", done, err)
	}
	compareMailbox(t, j, s, "INBOX")
	compareMailbox(t, j, s, "Copies")
	session := j.IMAP()
	session.Select("INBOX")
	session.Append("INBOX", "", "", "Subject: theirs\r\n\r\ny\r\n")
	session.Cmd(`UID STORE 21:24 +FLAGS (\Deleted)`)
	session.Cmd("EXPUNGE")
	session.Close()
	j.Doveadm("purge")
	fill(t, b, 2)
	compareMailbox(t, j, s, "INBOX")
	forceResync(t, j)
	compareMailbox(t, j, s, "INBOX")
	compareMailbox(t, j, s, "Copies")
}

func TestAFileThatSomebodyAppendsToIsNotPurged(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	s := writable(t, mdbox.Options{Root: root})
	b := box(t, s, "INBOX")
	fill(t, b, 3)
	update(t, b, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(2)) })
	dir, err := dovecot.FS().OpenRoot(root + "/storage")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	f, err := dir.OpenWrite("m.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	if locked, err := f.TryFlock(); !locked || err != nil {
		t.Fatal(locked, err)
	}
	if done, err := s.Purge(ctx); err != nil || done != (formats.Purged{Busy: 1}) {
		t.Errorf("%+v, %v", done, err)
	}
	f.Close()
	if done, err := s.Purge(ctx); err != nil || done.Messages != 1 || done.Files != 1 {
		t.Errorf("%+v, %v", done, err)
	}
}

// TestMessagesAreMovedToTheAltStorageAndBack and Dovecot finds them in both.
func TestMessagesAreMovedToTheAltStorageAndBack(t *testing.T) {
	dir := dovecot.TempDir(t)
	root, alt := filepath.Join(dir, "mail"), filepath.Join(dir, "alt")
	j := dovecot.New(t, "mdbox:"+root+":ALT="+alt, "mdbox_rotate_size = 3k")
	s := writable(t, mdbox.Options{Root: root, Alt: alt, Rotation: mdbox.Rotation{Size: 3 << 10}})
	b, copies := box(t, s, "INBOX"), box(t, s, "Copies")
	fill(t, b, 12)
	update(t, copies, func(tx formats.Tx) error { return formats.Copy(ctx, tx, formats.Message{}, b, 5) })
	move := func(what map[string]formats.Ranges, alt bool) {
		t.Helper()
		if _, err := s.MoveAlt(ctx, what, alt); err != nil {
			t.Fatal(err)
		}
		compareMailbox(t, j, s, "INBOX")
		compareMailbox(t, j, s, "Copies")
	}
	move(map[string]formats.Ranges{"INBOX": formats.RangesOf(5)}, true)
	if n, _ := files(t, alt+"/storage"); n != 0 {
		t.Errorf("%d files in the alt storage: the message is in another mailbox, too", n)
	}
	move(map[string]formats.Ranges{"INBOX": {{First: 1, Last: 8}}, "Copies": formats.RangesOf(1)}, true)
	n, size := files(t, alt+"/storage")
	if n == 0 || size < 8*300 || size > 8*600 {
		t.Errorf("%d files with %d bytes in the alt storage", n, size)
	}
	move(map[string]formats.Ranges{"Copies": formats.RangesOf(1)}, false)
	if _, now := files(t, alt+"/storage"); now >= size {
		t.Errorf("%d bytes in the alt storage, %d before", now, size)
	}
	j.Doveadm("altmove", "-r", "mailbox", "INBOX", "uid", "1:2")
	j.Doveadm("altmove", "mailbox", "INBOX", "uid", "9")
	move(map[string]formats.Ranges{"INBOX": {{First: 1, Last: 12}}}, false)
	if n, _ := files(t, alt+"/storage"); n != 0 {
		t.Errorf("%d files are left in the alt storage", n)
	}
	forceResync(t, j)
	compareMailbox(t, j, s, "INBOX")
}

// TestPurgesOfBothTakeTurns beside changes of both.
func TestPurgesOfBothTakeTurns(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	j := dovecot.New(t, "mdbox:"+root, "mdbox_rotate_size = 3k")
	s := writable(t, mdbox.Options{Root: root, Rotation: mdbox.Rotation{Size: 3 << 10}})
	b := box(t, s, "INBOX")
	box(t, s, "Copies")
	rnd := rand.New(rand.NewPCG(5, 6))
	session := j.IMAP()
	defer session.Close()
	for round := range 30 {
		if err := few(s, b, rnd); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		theirs(session, rnd)
		switch round % 6 {
		case 2:
			if done, err := s.Purge(ctx); err != nil {
				t.Fatalf("round %d: %+v, %v", round, done, err)
			}
		case 5:
			j.Doveadm("purge")
			compareMailbox(t, j, s, "INBOX")
			compareMailbox(t, j, s, "Copies")
		}
	}
	forceResync(t, j)
}

// TestHalfAMessageThatADeadRunLeftBehindIsCutOff by who appends next, and is no reason to keep a file.
func TestHalfAMessageThatADeadRunLeftBehindIsCutOff(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	j := dovecot.New(t, "mdbox:"+root)
	s := writable(t, mdbox.Options{Root: root})
	b := box(t, s, "INBOX")
	fill(t, b, 3)
	leave := func() {
		f, err := os.OpenFile(root+"/storage/m.1", os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.WriteString("\x01\x02N          0000000000000004\nhalf of")
	}
	leave()
	fill(t, b, 1)
	if n, _ := files(t, root+"/storage"); n != 1 {
		t.Errorf("%d files", n)
	}
	compareMailbox(t, j, s, "INBOX")
	forceResync(t, j)
	leave()
	update(t, b, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(2)) })
	if done, err := s.Purge(ctx); err != nil || done.Messages != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	compareMailbox(t, j, s, "INBOX")
	forceResync(t, j)
}

// TestAMessageThatTheMapDoesNotKnowIsKept: the map may be older than the files. Who may mend puts it where it was saved.
func TestAMessageThatTheMapDoesNotKnowIsKept(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	j := dovecot.New(t, "mdbox:"+root)
	s := writable(t, mdbox.Options{Root: root})
	b := box(t, s, "INBOX")
	fill(t, b, 2)
	old := map[string][]byte{}
	for _, name := range []string{"/storage/dovecot.map.index", "/storage/dovecot.map.index.log", "/mailboxes/INBOX/dbox-Mails/dovecot.index.log"} {
		old[name], _ = os.ReadFile(root + name)
	}
	fill(t, b, 1)
	for name, was := range old {
		if err := os.WriteFile(root+name, was, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = writable(t, mdbox.Options{Root: root})
	b = box(t, s, "INBOX")
	fill(t, b, 1)
	update(t, b, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(1)) })
	if n, _ := files(t, root+"/storage"); n != 2 {
		t.Errorf("%d files", n)
	}
	if done, err := s.Purge(ctx); !errors.Is(err, formats.ErrCorrupt) {
		t.Errorf("%+v, %v", done, err)
	}
	var told []string
	s = writable(t, mdbox.Options{Root: root, Mended: func(text string) { told = append(told, text) }})
	if done, err := s.Purge(ctx); err != nil || len(told) != 1 {
		t.Errorf("%+v, %v, told %q", done, err, told)
	}
	if st, err := box(t, s, "INBOX").Status(ctx); err != nil || st.Messages != 3 {
		t.Errorf("%+v, %v", st, err)
	}
	compareMailbox(t, j, s, "INBOX")
	forceResync(t, j)
}
