package mbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/mbox"
)

// TestADovecotThatWaitsForTheLockLosesNothing has Dovecot wait for the lock of the file while we write all of it anew: it
// must go on with the same file.
func TestADovecotThatWaitsForTheLockLosesNothing(t *testing.T) {
	dovecot.Need(t)
	root := dovecot.TempDir(t)
	location := "mbox:" + root + ":INBOX=" + filepath.Join(root, "inbox")
	j := dovecot.New(t, location, "mbox_write_locks = fcntl")
	var once sync.Once
	locked, waits := make(chan struct{}), make(chan struct{})
	fs := dovecot.FS()
	ready := false
	fs.Fault = func(_ disk.Op, path string) error {
		if ready && strings.Contains(path, "spool") {
			once.Do(func() { close(locked); <-waits })
		}
		return nil
	}
	store := open(t, mbox.Options{Root: root, Inbox: filepath.Join(root, "inbox"), FS: fs})
	b := create(t, store, "INBOX", formats.Status{UIDValidity: 9, UIDNext: 1})
	update(t, b, appendAll(numbered(odd[:6])))
	gone := formats.RangesOf(list(t, b)[0].UID, list(t, b)[2].UID)
	session := j.IMAP()
	session.Select("INBOX")
	ready = true
	var wait sync.WaitGroup
	wait.Go(func() {
		<-locked
		session.Append("INBOX", "", "", "Subject: theirs\r\n\r\nx\r\n")
	})
	wait.Go(func() {
		<-locked
		waitsFor(t, filepath.Join(root, "inbox"))
		close(waits)
	})
	update(t, b, func(tx formats.Tx) error { return tx.Expunge(gone) })
	wait.Wait()
	texts := ""
	all := list(t, b)
	for _, m := range all {
		texts += m.text
	}
	if !strings.Contains(texts, "Subject: theirs") || len(all) != 5 {
		t.Errorf("%d messages, and what Dovecot has saved is among them: %v", len(all), strings.Contains(texts, "theirs"))
	}
	session.Cmd("NOOP")
	session.Close()
	j.MustBeClean()
}

// waitsFor returns when somebody waits for the lock of a file.
func waitsFor(t *testing.T, path string) {
	st, err := os.Stat(path)
	if err != nil {
		t.Error(err)
		return
	}
	inode := fmt.Sprintf(":%d ", st.Sys().(*syscall.Stat_t).Ino)
	for t.Context().Err() == nil {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Error(err)
			return
		}
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "-> ") && strings.Contains(line, inode) {
				return
			}
		}
		runtime.Gosched()
	}
}
