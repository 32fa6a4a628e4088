package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Half a message is not delivered: the MTA is told to try again.
func TestADeliveryThatIsInterruptedDeliversNothing(t *testing.T) {
	s := prepareServer(t, "maildir")
	for _, f := range s.ExtraFiles {
		f.Close()
	}
	cmd := exec.Command("dovetail", "deliver", "-c", filepath.Join(s.dir, "dovecot.conf"), "-d", "ann")
	in, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	// More than a pipe holds: when it is written, the program reads.
	if _, err := io.WriteString(theirs, "Subject: half\r\n\r\n"+string(make([]byte, 1<<20))); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	theirs.Close()
	if code := cmd.ProcessState.ExitCode(); code != exitTryAgain {
		t.Errorf("exit code %d", code)
	}
	if found, _ := filepath.Glob(s.dir + "/home/ann/mail/*/*.*"); len(found) > 0 {
		t.Errorf("delivered: %v", found)
	}
}
