package sdbox_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/sdbox"
)

var errDead = errors.New("the process died here")

// dyingAt is a file system whose process dies before its nth change: nothing is changed from then on.
func dyingAt(n int, count *int) *disk.FS {
	f := dovecot.FS()
	f.Fault = func(disk.Op, string) error {
		*count++
		if *count >= n {
			return errDead
		}
		return nil
	}
	return f
}

// listing is what a mailbox holds, as text.
func listing(t *testing.T, s formats.Store, name string) string {
	t.Helper()
	b, err := s.Open(ctx, name)
	if errors.Is(err, formats.ErrNoMailbox) {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.(formats.Salvaged).Lost(); err != nil {
		t.Fatal(err)
	}
	st, err := b.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s %d %d:", st.GUID, st.UIDValidity, st.UIDNext)
	for m, err := range b.Messages(ctx, formats.Query{Want: formats.WantAll}) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, " %d %v %v %s %q", m.UID, m.Flags&formats.SystemFlags, m.Keywords, m.POP3UIDL, bodyOf(t, b, &m))
	}
	return out.String()
}

// change is a transaction with everything in it.
func change(s formats.Store) error {
	b, err := s.Open(ctx, "INBOX")
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = b.Update(ctx, func(tx formats.Tx) error {
		for uid := formats.UID(100); uid < 107; uid++ {
			m := message(uid, formats.Seen, []string{"new"}, 0, fmt.Sprintf("guid%d", uid), fmt.Sprintf("uidl%d", uid), 0, 1700000000)
			if err := tx.Append(ctx, m, text(fmt.Sprintf("Subject: %d\n\nx\n", uid))); err != nil {
				return err
			}
		}
		tx.SetFlags(formats.RangesOf(2), formats.FlagChange{Op: formats.AddFlags, Flags: formats.Flagged})
		return tx.Expunge(formats.RangesOf(1))
	})
	return err
}

// seed is a store with an INBOX of three messages.
func seed(t *testing.T, root string) *sdbox.Store {
	t.Helper()
	s := open(t, sdbox.Options{Root: root, Create: true})
	if err := s.Create(ctx, "INBOX", formats.Status{GUID: formats.GUID{1}, UIDValidity: 7}); err != nil {
		t.Fatal(err)
	}
	update(t, box(t, s, "INBOX"), func(tx formats.Tx) error {
		for n := range 3 {
			if err := tx.Append(ctx, formats.Message{}, text(fmt.Sprintf("Subject: old %d\n\nx\n", n))); err != nil {
				return err
			}
		}
		return nil
	})
	return s
}

// dieEverywhere runs fn with death at each change of the disk, in a fresh copy each time, and checks what is left.
func dieEverywhere(t *testing.T, name string, fn func(formats.Store) error) {
	var last string
	for n := 1; ; n++ {
		root := filepath.Join(dovecot.TempDir(t), "mail")
		before := listing(t, seed(t, root), name)
		count := 0
		dying, err := sdbox.Open(ctx, sdbox.Options{Root: root, FS: dyingAt(n, &count)})
		if err != nil {
			t.Fatal(err)
		}
		err = fn(dying)
		dying.Close()
		// A process that really dies leaves a lock that says so; this one is still alive.
		os.Remove(root + "/dovecot-uidvalidity.lock")
		s := open(t, sdbox.Options{Root: root})
		after := listing(t, s, name)
		if err == nil {
			if n > 1 && after != last {
				t.Errorf("without a death it ends with\n%s, after deaths with\n%s", after, last)
			}
			t.Logf("%d boundaries", n-1)
			return
		}
		if !errors.Is(err, errDead) {
			t.Fatalf("death %d: %v", n, err)
		}
		j := dovecot.New(t, "sdbox:"+root)
		if after == before {
			if err := fn(s); err != nil {
				t.Fatalf("death %d, run again: %v", n, err)
			}
			after = listing(t, s, name)
		}
		if last != "" && after != last {
			t.Fatalf("death %d: ends with\n%s, death %d with\n%s", n, after, n-1, last)
		}
		last = after
		j.Fetch(name)
		s2 := j.IMAP()
		s2.Append(name, "", "", "Subject: theirs\r\n\r\ny\r\n")
		s2.Close()
		j.MustBeClean()
		if t.Failed() {
			t.Fatalf("after death %d", n)
		}
	}
}

func TestDeathInAnUpdateLeavesTheOldStateOrTheNew(t *testing.T) {
	dieEverywhere(t, "INBOX", change)
}

func TestDeathInCreateLeavesNothingOrAMailbox(t *testing.T) {
	dieEverywhere(t, "a/b", func(s formats.Store) error {
		return s.Create(ctx, "a/b", formats.Status{GUID: formats.GUID{2}, UIDValidity: 9, UIDNext: 5})
	})
}

func TestAFileThatADeadRunLeftIsTakenOverOrKeptAside(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	s := seed(t, root)
	dir := filepath.Join(root, "mailboxes/INBOX/dbox-Mails")
	other := "2 M1e C1\n\x01\x02N          0000000000000006\nother\n\n\x01\x03\nR1\nV7\nGother\n\n"
	if err := os.WriteFile(dir+"/u.4", []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, dir)
	b := box(t, s, "INBOX")
	update(t, b, func(tx formats.Tx) error { return tx.Append(ctx, formats.Message{}, text("Subject: 4\n\n")) })
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var aside []string
	for _, e := range names {
		if strings.Contains(e.Name(), ".orphan.") {
			aside = append(aside, e.Name())
		}
	}
	if len(aside) != 1 {
		t.Fatalf("kept aside %q in %v", aside, names)
	}
	if got, err := os.ReadFile(dir + "/" + aside[0]); err != nil || string(got) != other {
		t.Errorf("%s holds %q, %v", aside[0], got, err)
	}
	list := messages(t, b, 0)
	if got := bodyOf(t, b, &list[3]); got != "Subject: 4\n\n" {
		t.Errorf("uid 4 is %q", got)
	}
	j := dovecot.New(t, "sdbox:"+root)
	if got := j.Fetch("INBOX"); len(got) != 4 {
		t.Errorf("Dovecot shows %d messages", len(got))
	}
	j.MustBeClean()
}

func TestAFailedAppendLeavesTheTransactionUsable(t *testing.T) {
	s := seed(t, filepath.Join(dovecot.TempDir(t), "mail"))
	b := box(t, s, "INBOX")
	update(t, b, func(tx formats.Tx) error {
		bad := formats.Message{Detail: formats.Detail{POP3UIDL: "two\nlines"}}
		if err := tx.Append(ctx, bad, text("x")); err == nil {
			t.Error("a UIDL with a line end was written")
		}
		return tx.Append(ctx, formats.Message{}, text("Subject: good\n\n"))
	})
	if got := messages(t, b, 0); len(got) != 4 {
		t.Errorf("%d messages", len(got))
	}
	_, err := b.Update(ctx, func(tx formats.Tx) error {
		return tx.Append(ctx, formats.Message{UID: 2}, text("Subject: late\n\n"))
	})
	if !errors.Is(err, formats.ErrUIDTaken) {
		t.Errorf("UID 2 again: %v", err)
	}
	boom := errors.New("boom")
	_, err = b.Update(ctx, func(tx formats.Tx) error {
		tx.Append(ctx, formats.Message{}, text("Subject: never\n\n"))
		return boom
	})
	if !errors.Is(err, boom) {
		t.Error(err)
	}
	files, _ := filepath.Glob(s.Options.Root + "/mailboxes/INBOX/dbox-Mails/.temp*")
	if len(files) != 0 || !slices.Equal(uidsOf(messages(t, b, 0)), []formats.UID{1, 2, 3, 4}) {
		t.Errorf("left behind: %q, %v", files, uidsOf(messages(t, b, 0)))
	}
}

func uidsOf(list []formats.Message) (uids []formats.UID) {
	for _, m := range list {
		uids = append(uids, m.UID)
	}
	return uids
}

func TestFilesOfDeadRunsAreRemovedAndThoseOfOthersStay(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	s := seed(t, root)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "mailboxes/INBOX/dbox-Mails")
	ours := fmt.Sprintf("%s/.temp.1.P%dQ1M1.%s.dovetail", dir, dead.Process.Pid, host)
	stay := []string{
		fmt.Sprintf("%s/.temp.1.P%dQ1M1.%s", dir, dead.Process.Pid, host),
		fmt.Sprintf("%s/.temp.1.P%dQ1M1.%s.dovetail", dir, os.Getppid(), host),
		fmt.Sprintf("%s/.temp.1.P%dQ1M1.elsewhere.dovetail", dir, dead.Process.Pid),
	}
	for _, name := range append(stay, ours) {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	update(t, box(t, s, "INBOX"), func(tx formats.Tx) error { return tx.Append(ctx, formats.Message{}, text("Subject: new\n\n")) })
	if left, _ := filepath.Glob(dir + "/.temp*"); !slices.Equal(slices.Sorted(slices.Values(left)), slices.Sorted(slices.Values(stay))) {
		t.Errorf("left are %q, want %q", left, stay)
	}
}
