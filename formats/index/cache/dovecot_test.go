package cache

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

func TestDumpsWhatDovecotWrites(t *testing.T) {
	root := dovecot.TempDir(t)
	judge := dovecot.New(t, "sdbox:"+root)
	s := judge.IMAP()
	for i := range 3 {
		s.Append("INBOX", "", "", fmt.Sprintf("Subject: number %d\r\nFrom: a@b\r\n\r\nx\r\n", i))
	}
	s.Select("INBOX")
	s.Cmd("FETCH 1:* (ENVELOPE BODYSTRUCTURE RFC822.SIZE)")
	s.Cmd("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT X-MAILER)])")
	s.Cmd("FETCH 1:* (SAVEDATE)")
	s.Close()
	b, err := os.ReadFile(filepath.Join(root, "mailboxes/INBOX/dbox-Mails/dovecot.index.cache"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Dump(&out, bytes.NewReader(b), int64(len(b))); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"cache 1.1", `"hdr.Subject"`, `number 2`, `"imap.envelope"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("dump lacks %s:\n%s", want, out.String())
		}
	}
}
