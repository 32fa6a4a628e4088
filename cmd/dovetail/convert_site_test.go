package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// A run over many users that is killed again and again ends as one that nobody disturbed.
func TestASiteWhoseConversionIsKilled(t *testing.T) {
	const users, kills = 12, 8
	dir := dovecot.TempDir(t)
	sample, err := os.ReadFile("../../samples/demo.mbox")
	if err != nil {
		t.Fatal(err)
	}
	for i := range users {
		home := filepath.Join(dir, "old", fmt.Sprintf("user%02d", i))
		if err := os.MkdirAll(home, 0o755); err != nil {
			t.Fatal(err)
		}
		mail := sample
		if i == 0 {
			for range 8 {
				mail = append(mail, sample...)
			}
		}
		if err := os.WriteFile(filepath.Join(home, "inbox"), mail, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	places := []string{"--jobs", "2", "mbox:" + dir + "/old/%n:INBOX=" + dir + "/old/%n/inbox", "sdbox:" + dir + "/new/%n"}
	for i := range kills {
		killedAfter(t, i%4, append([]string{"convert", "--json"}, places...))
	}
	out, err := exec.Command("dovetail", append([]string{"convert", "--verify"}, places...)...).Output()
	if err != nil {
		t.Fatalf("the last run: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), fmt.Sprintf("%d users: %d done", users, users)) {
		t.Errorf("%s", out)
	}
	out, err = exec.Command("dovetail", append([]string{"verify"}, places...)...).Output()
	want := fmt.Sprintf("verified %d messages", (users+8)*348)
	if err != nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "different:") {
		t.Errorf("%v, want %q\n%s", err, want, out)
	}
}

// killedAfter runs a command and kills it as soon as it has told of so many users.
func killedAfter(t *testing.T, users int, args []string) {
	t.Helper()
	cmd := exec.Command("dovetail", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for range users {
		if !lines.Scan() {
			t.Fatalf("it ended by itself: %v", lines.Err())
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
}
