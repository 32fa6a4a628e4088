package imap_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// TestAnMboxThatAnotherProgramKeepsLocked has another program hold a lock of a mailbox for longer than mbox_lock_timeout: who
// wants it is told so, and can go on.
func TestAnMboxThatAnotherProgramKeepsLocked(t *testing.T) {
	root := dovecot.TempDir(t)
	inbox := filepath.Join(root, "inbox")
	server := start(t, "mbox:"+root+"/mail:INBOX="+inbox, "mbox_lock_timeout = 1 s")
	s := server.login()
	s.Append("INBOX", "", "", "A: b\r\n\r\nc\r\n")
	s.Select("INBOX")
	other := server.login()
	refused := func(who string, commands ...string) {
		t.Helper()
		for _, command := range commands {
			if _, status, _ := s.Last(command); !strings.HasPrefix(status, "NO [INUSE] Timeout while waiting for lock") {
				t.Errorf("%s, %.20q: %s", who, command, status)
			}
		}
	}
	append1 := "APPEND INBOX {9+}\r\nA: b\r\n\r\nd"
	change := `STORE 1 +FLAGS (\Flagged)`

	dir, err := dovecot.FS().OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	f, err := dir.OpenWrite("inbox", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Lock(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	refused("locked", append1, change)
	if err := f.Unlock(); err != nil {
		t.Fatal(err)
	}
	s.Cmd(append1)
	other.Select("INBOX")

	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(inbox+".lock", fmt.Appendf(nil, "%d:%s", os.Getppid(), host), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("with a dotlock", append1, change)
	other.Cmd("FETCH 1:2 BODY[]")
	if err := os.Remove(inbox + ".lock"); err != nil {
		t.Fatal(err)
	}
	s.Cmd(append1)
	s.Cmd(change)
	if lines := s.Cmd("FETCH 1:3 FLAGS"); len(lines) != 3 || !strings.Contains(lines[0], `\Flagged`) {
		t.Errorf("%q", lines)
	}
}
