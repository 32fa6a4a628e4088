package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
)

// dovetail runs one command line in this process and gives its standard output.
func dovetail(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(args, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Fatalf("dovetail %s: exit code %d\n%s", strings.Join(args, " "), code, stderr.String())
	}
	return stdout.String()
}

// TestR161OneFileAMailThatDovecotReads converts the demo mbox and lets real Dovecot show the result.
func TestR161OneFileAMailThatDovecotReads(t *testing.T) {
	dovecot.Need(t)
	root := filepath.Join(dovecot.TempDir(t), "sdbox")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, root)
	dovetail(t, "convert", "--verify", demoLocation(t), "sdbox:"+root)
	ours := fetched(t, dovetail(t, "fetch", "--json", "--location", "sdbox:"+root))

	files, err := filepath.Glob(filepath.Join(root, "mailboxes/INBOX/dbox-Mails/u.*"))
	if err != nil || len(files) != len(ours) {
		t.Errorf("%d files for %d messages, %v", len(files), len(ours), err)
	}
	judge := dovecot.New(t, "sdbox:"+root)
	theirs := judge.Fetch("INBOX")
	if len(theirs) != len(ours) || len(ours) < 300 {
		t.Fatalf("Dovecot shows %d messages, dovetail %d", len(theirs), len(ours))
	}
	for i, m := range theirs {
		if got := ours[i]; !got.same(m) {
			t.Errorf("uid %d: Dovecot shows %+v, dovetail %+v", m.UID, m, got)
		}
	}
	judge.MustBeClean()
}

// demoLocation is a copy of the sample mbox as the INBOX of a store without other mailboxes.
func demoLocation(t *testing.T) string {
	root := t.TempDir()
	content, err := os.ReadFile("../../samples/demo.mbox")
	if err != nil {
		t.Fatal(err)
	}
	inbox := filepath.Join(t.TempDir(), "inbox")
	if err := os.WriteFile(inbox, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return "mbox:" + root + ":INBOX=" + inbox
}

// fetchedMessage is a line of fetch --json.
type fetchedMessage struct {
	Mailbox  string
	UID      formats.UID
	GUID     string
	Flags    []string
	Keywords []string
	Date     time.Time
	ModSeq   formats.ModSeq
	VSize    int64
	SHA256   string
}

func fetched(t *testing.T, lines string) (messages []fetchedMessage) {
	decoder := json.NewDecoder(strings.NewReader(lines))
	for {
		var m fetchedMessage
		if err := decoder.Decode(&m); err == io.EOF {
			return messages
		} else if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
}

func (m *fetchedMessage) same(d dovecot.Msg) bool {
	slices.Sort(m.Keywords)
	names := (d.Flags &^ formats.Recent).Names()
	return m.UID == d.UID && m.GUID == d.GUID && slices.Equal(m.Flags, names) && slices.Equal(m.Keywords, d.Keywords) &&
		m.Date.Equal(d.InternalDate) && m.ModSeq == d.ModSeq && m.VSize == d.Size &&
		m.SHA256 == fmt.Sprintf("%x", sha256.Sum256([]byte(d.Body)))
}
