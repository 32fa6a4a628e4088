package imap_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// behind is a change of a mailbox's files by a script, while a session of ours has it selected. INBOX has three messages:
// 1, 2 with \Seen and the keyword work, 3.
type behind struct {
	kind, name string
	change     func(t *testing.T, mail string) error // mail is the folder of the user's mail; its INBOX is there, too, or beside it
	told       string                                // one of the lines that the session is told at its next NOOP; "BYE": it ends
	shown      []string                              // subjects, in a new session
	flags      string                                // of the first message there
	salvaged   bool                                  // a process that did not have it open can read, but not change it
	lost       bool                                  // the first message is: it cannot be shown, the others can
}

var all = []string{"one", "two", "three"}

// only gives the one file that a pattern is for.
func only(t *testing.T, pattern ...string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(pattern...))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q: %q, %v", pattern, found, err)
	}
	return found[0]
}

// replace writes a file anew with some text replaced, as an editor does.
func replace(path, old, now string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Contains(b, []byte(old)) {
		return fmt.Errorf("%s holds no %q:\n%s", path, old, b)
	}
	return os.WriteFile(path, bytes.Replace(b, []byte(old), []byte(now), 1), 0o600)
}

// put writes a file as a script does, for the mail user.
func put(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return own(path)
}

// own gives a file to the mail user.
func own(path string) error {
	if os.Getuid() != 0 {
		return nil
	}
	uid, gid := dovecot.IDs()
	return os.Chown(path, uid, gid)
}

var behinds = []behind{
	{kind: "maildir", name: "a file gets flags in its name", told: `FETCH (FLAGS (\Flagged \Seen \Recent))`, shown: all, flags: `(\Flagged \Seen)`,
		change: func(t *testing.T, mail string) error {
			path := only(t, mail, "*", "*W=23*")
			return os.Rename(path, filepath.Join(mail, "cur", strings.TrimSuffix(filepath.Base(path), ":2,")+":2,FS"))
		}},
	{kind: "maildir", name: "a file is removed", told: "* 1 EXPUNGE", shown: all[1:],
		change: func(t *testing.T, mail string) error { return os.Remove(only(t, mail, "*", "*W=23*")) }},
	{kind: "maildir", name: "a file comes to new", told: "* 4 EXISTS", shown: append(all[:3:3], "four"),
		change: func(t *testing.T, mail string) error {
			return put(filepath.Join(mail, "new", "1700000000.M1P1.host"), "Subject: four\n\nx\n")
		}},
	{kind: "maildir", name: "a file with flags comes to cur", told: "* 4 EXISTS", shown: append(all[:3:3], "four"),
		change: func(t *testing.T, mail string) error {
			return put(filepath.Join(mail, "cur", "1700000000.M1P1.host:2,RS"), "Subject: four\n\nx\n")
		}},
	{kind: "maildir", name: "the list of UIDs is removed", shown: all,
		change: func(_ *testing.T, mail string) error { return os.Remove(filepath.Join(mail, "dovecot-uidlist")) }},
	{kind: "maildir", name: "the list of UIDs is cut in a line", shown: all,
		change: func(_ *testing.T, mail string) error {
			path := filepath.Join(mail, "dovecot-uidlist")
			st, err := os.Stat(path)
			return errors.Join(err, os.Truncate(path, st.Size()-9))
		}},
	{kind: "maildir", name: "the list of UIDs is rubbish", shown: all,
		change: func(_ *testing.T, mail string) error {
			return put(filepath.Join(mail, "dovecot-uidlist"), "\x00\xffrubbish\n\n")
		}},
	{kind: "maildir", name: "a keyword is added to the list", shown: all,
		change: func(_ *testing.T, mail string) error {
			return replace(filepath.Join(mail, "dovecot-keywords"), "0 work\n", "0 work\n1 play\n")
		}},
	{kind: "maildir", name: "the folders are removed and made anew", told: "BYE", shown: []string{"four"},
		change: func(_ *testing.T, mail string) error {
			err := os.RemoveAll(mail)
			for _, dir := range []string{"", "cur", "new", "tmp"} {
				err = errors.Join(err, os.Mkdir(filepath.Join(mail, dir), 0o700), own(filepath.Join(mail, dir)))
			}
			return errors.Join(err, put(filepath.Join(mail, "new", "1700000000.M1P1.host"), "Subject: four\n\nx\n"),
				put(filepath.Join(mail, "dovecot-uidlist"), "3 V1600000000 N1 G0123456789abcdef0123456789abcdef\n"))
		}},
	{kind: "sdbox", name: "a message file is removed", lost: true,
		change: func(_ *testing.T, mail string) error {
			return os.Remove(filepath.Join(mail, "mailboxes", "INBOX", "dbox-Mails", "u.1"))
		}},
	{kind: "sdbox", name: "a message file is cut", lost: true,
		change: func(_ *testing.T, mail string) error {
			return os.Truncate(filepath.Join(mail, "mailboxes", "INBOX", "dbox-Mails", "u.1"), 30)
		}},
	{kind: "sdbox", name: "the index is removed", salvaged: true,
		change: func(t *testing.T, mail string) error {
			dir := filepath.Join(mail, "mailboxes", "INBOX", "dbox-Mails")
			return errors.Join(os.Remove(filepath.Join(dir, "dovecot.index")), os.Remove(filepath.Join(dir, "dovecot.index.log")))
		}},
	{kind: "sdbox", name: "the folder of the messages is removed", told: "BYE",
		change: func(_ *testing.T, mail string) error {
			return os.RemoveAll(filepath.Join(mail, "mailboxes", "INBOX", "dbox-Mails"))
		}},
	{kind: "mbox", name: "a message is added to the end", told: "* 4 EXISTS", shown: append(all[:3:3], "four"),
		change: func(_ *testing.T, mail string) error {
			f, err := os.OpenFile(mail+"-inbox", os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("From x@example.org Mon Jan  2 03:04:05 2023\nSubject: four\n\nx\n")
			return err
		}},
	{kind: "mbox", name: "the file is written anew with other flags", shown: all, flags: `(\Answered`,
		change: func(_ *testing.T, mail string) error {
			return replace(mail+"-inbox", "X-UID: 1\n", "X-UID: 1\nX-Status: A\n")
		}},
	{kind: "mbox", name: "the file is emptied", told: "* 1 EXPUNGE",
		change: func(_ *testing.T, mail string) error { return os.Truncate(mail+"-inbox", 0) }},
	{kind: "mbox", name: "the file loses its last message", told: "* 3 EXPUNGE", shown: all[:2],
		change: func(_ *testing.T, mail string) error {
			b, err := os.ReadFile(mail + "-inbox")
			return errors.Join(err, os.Truncate(mail+"-inbox", int64(bytes.LastIndex(b, []byte("From ")))))
		}},
}

// TestFilesThatScriptsChangeUnderASession: the session is told of it, or ends with a word; the next one sees what is there
// now, and so does a real Dovecot that comes behind it, without complaint.
func TestFilesThatScriptsChangeUnderASession(t *testing.T) {
	for _, b := range behinds {
		t.Run(b.kind+": "+b.name, b.run)
	}
}

func (b behind) run(t *testing.T) {
	mail := dovecot.TempDir(t) + "/mail"
	location := dovecot.Location(b.kind, mail)
	s := start(t, location)
	c := s.login()
	for i, subject := range all {
		c.Append("INBOX", []string{"", `\Seen work`, ""}[i], "", fmt.Sprintf("Subject: %s\r\n\r\n%s\r\n", subject, strings.Repeat("x", 5+i)))
	}
	c.Select("INBOX")
	c.Cmd("FETCH 1:* (FLAGS BODY.PEEK[])")
	if err := b.change(t, mail); err != nil {
		t.Fatal(err)
	}
	lines, status, alive := c.Last("NOOP")
	told := strings.Join(lines, "\n")
	if !strings.Contains(told, b.told) || b.told != "BYE" && (!alive || !strings.HasPrefix(status, "OK")) {
		t.Errorf("NOOP: %s\n%s, want %q", told, status, b.told)
	}
	if b.salvaged {
		c.Close()
		b.readable(t, start(t, location))
		return
	}
	next := s.login()
	next.Cmd("SELECT INBOX")
	if b.lost {
		if got := strings.Join(next.Cmd("FETCH 2:3 BODY.PEEK[]"), "\n"); !strings.Contains(got, "two") || !strings.Contains(got, "three") {
			t.Errorf("the others are %q", got)
		}
		if log := s.log.String(); strings.Contains(log, "panic") {
			t.Error(log)
		}
		return
	}
	ours := everything(next)
	next.Close()
	var subjects []string
	for line := range strings.Lines(ours) {
		if _, rest, ok := strings.Cut(line, `"Subject: `); ok {
			subject, _, _ := strings.Cut(rest, `\r\n`)
			subjects = append(subjects, subject)
		}
	}
	if fmt.Sprint(subjects) != fmt.Sprint(b.shown) {
		t.Errorf("a new session shows %q, want %q:\n%s", subjects, b.shown, ours)
	}
	if b.flags != "" {
		again := s.login()
		again.Select("INBOX")
		if got := strings.Join(again.Cmd("FETCH 1 FLAGS"), "\n"); !strings.Contains(got, "FLAGS "+b.flags) {
			t.Errorf("%s, want %s", got, b.flags)
		}
		again.Close()
	}
	c.Close()
	judge := dovecot.New(t, location)
	d := judge.IMAP()
	if theirs := everything(d); theirs != ours {
		t.Errorf("Dovecot shows\n%swe\n%s", theirs, ours)
	}
	d.Close()
	judge.MustBeClean()
}

// readable is what is left without an index: the messages, but nothing can be changed before a repair.
func (b behind) readable(t *testing.T, s *server) {
	t.Helper()
	c := s.login()
	c.Select("INBOX")
	got := strings.Join(c.Cmd("FETCH 1:* BODY.PEEK[]"), "\n")
	for _, subject := range all {
		if !strings.Contains(got, "Subject: "+subject+"\r\n") {
			t.Errorf("%s is not in %q", subject, got)
		}
	}
	if _, status := c.Try(`STORE 1 +FLAGS (\Flagged)`); !strings.HasPrefix(status, "NO ") || !strings.Contains(s.log.String(), "repair") {
		t.Errorf("STORE: %s\n%s", status, s.log)
	}
	c.Cmd("CREATE Other")
}

// A mailbox file that somebody else has locked can be read; changes wait until it is free.
func TestAChangeWaitsForTheLockOfAnotherProgram(t *testing.T) {
	mail := dovecot.TempDir(t) + "/mail"
	s := start(t, dovecot.Location("mbox", mail))
	c := s.login()
	c.Append("INBOX", "", "", "Subject: one\r\n\r\nx\r\n")
	c.Select("INBOX")
	lock := mail + "-inbox.lock"
	if err := put(lock, fmt.Sprint(os.Getpid())); err != nil {
		t.Fatal(err)
	}
	stored := make(chan string, 1)
	go func() {
		_, status, _ := c.Last(`STORE 1 +FLAGS (\Flagged)`)
		stored <- status
	}()
	other := s.login()
	other.Cmd("EXAMINE INBOX")
	if got := strings.Join(other.Cmd("FETCH 1 (FLAGS BODY.PEEK[])"), "\n"); !strings.Contains(got, "Subject: one") || strings.Contains(got, `\Flagged`) {
		t.Errorf("while it is locked: %q", got)
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	if status := <-stored; !strings.HasPrefix(status, "OK") {
		t.Error(status)
	}
	if got := strings.Join(other.Cmd("FETCH 1 FLAGS"), "\n"); !strings.Contains(got, `\Flagged`) {
		t.Errorf("afterwards: %q", got)
	}
}
