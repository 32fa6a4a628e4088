package imap_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// spoil writes something else into each message's file, of the same length: whoever reads it says something else.
func spoil(t *testing.T, root string) (files int) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		folder := filepath.Base(filepath.Dir(path))
		if err != nil || d.IsDir() || !strings.HasPrefix(name, "u.") && folder != "cur" && folder != "new" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		if _, err = f.WriteAt(bytes.Repeat([]byte("?"), int(info.Size())), 0); err == nil {
			err = os.Chtimes(path, info.ModTime(), info.ModTime())
		}
		f.Close()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// What was told of messages once is told again, to another session and by another server, without a look at a message:
// they hold something else by then.
func TestWhatIsKnownIsToldWithoutReadingMessages(t *testing.T) {
	questions := []string{
		"FETCH 1:* (ENVELOPE)", "FETCH 1:* (BODYSTRUCTURE)", "FETCH 1:* (BODY)", "FETCH 1:* (PREVIEW)", "FETCH 1:* (RFC822.SIZE)",
		"FETCH 1:* (INTERNALDATE)", "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (Subject From Date To Cc References Message-ID)])",
		"SORT (SUBJECT REVERSE FROM) UTF-8 ALL", "SORT (SIZE CC) UTF-8 ALL", "SORT (DATE TO) UTF-8 ALL", "SORT (DISPLAYFROM REVERSE DISPLAYTO ARRIVAL) UTF-8 ALL",
		"THREAD REFERENCES UTF-8 ALL", "THREAD REFS UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL", "SEARCH FROM a", "SEARCH SUBJECT e", "SEARCH OR TO o CC e", "SEARCH BCC a",
		"SEARCH LARGER 2000", "SEARCH SMALLER 2000 SINCE 1-Jan-2001", "SEARCH SENTSINCE 1-Jan-2001", "SEARCH HEADER Message-ID a", "FETCH 1:* (PREVIEW (LAZY))",
	}
	_, texts := realMail(t)
	for _, kind := range []string{"sdbox", "maildir"} {
		t.Run(kind, func(t *testing.T) {
			root := dovecot.TempDir(t) + "/mail"
			first := start(t, kind+":"+root)
			s := first.login()
			for i, text := range texts {
				s.Cmd(fmt.Sprintf("APPEND INBOX \"01-Feb-2003 04:05:%02d +0100\" {%d+}\r\n%s", i%60, len(text), text))
			}
			s.Cmd("SELECT INBOX")
			var want [][]string
			for _, q := range questions {
				want = append(want, s.Cmd(q))
			}
			if n := spoil(t, root); n != len(texts) {
				t.Fatalf("%d files of %d messages", n, len(texts))
			}
			second := start(t, kind+":"+root)
			again, other := first.login(), second.login()
			again.Cmd("SELECT INBOX")
			other.Cmd("SELECT INBOX")
			for i, q := range questions {
				if got := again.Cmd(q); !slices.Equal(got, want[i]) {
					t.Errorf("%s: another session got\n%.500q, want\n%.500q", q, got, want[i])
				}
				if got := other.Cmd(q); !slices.Equal(got, want[i]) {
					t.Errorf("%s: another server gave\n%.500q, want\n%.500q", q, got, want[i])
				}
			}
		})
	}
}

// What is known of messages goes with them into another mailbox.
func TestWhatIsKnownOfMessagesIsKnownOfTheirCopies(t *testing.T) {
	for _, kind := range []string{"sdbox", "maildir"} {
		t.Run(kind, func(t *testing.T) {
			root := dovecot.TempDir(t) + "/mail"
			s := start(t, kind+":"+root).login()
			for i := range 5 {
				text := fmt.Sprintf("Subject: %d\r\nFrom: a@b\r\n\r\ntext %d\r\n", i, i)
				s.Cmd(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(text), text))
			}
			s.Cmd("CREATE Copies")
			s.Cmd("CREATE Moved")
			s.Cmd("SELECT INBOX")
			const all = "FETCH 1:* (RFC822.SIZE ENVELOPE BODYSTRUCTURE PREVIEW)"
			want := s.Cmd(all)
			s.Cmd("COPY 1:* Copies")
			s.Cmd("MOVE 1:* Moved")
			spoil(t, root)
			for _, name := range []string{"Copies", "Moved"} {
				s.Cmd("SELECT " + name)
				if got := s.Cmd(all); !slices.Equal(got, want) {
					t.Errorf("in %s\n%q, want\n%q", name, got, want)
				}
			}
		})
	}
}
