package samples

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// put writes one file by hand, with its folder.
func put(t *testing.T, path, text string) {
	t.Helper()
	putAt(t, path, text, 1577836800)
}

// putAt chooses the modification time.
func putAt(t *testing.T, path, text string, mtime int64) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Unix(mtime, 0)); err != nil {
		t.Fatal(err)
	}
	uid, gid := dovecot.IDs()
	for p := path; os.Getuid() == 0 && strings.Count(p, "/") > 3; p = filepath.Dir(p) {
		if err := os.Lchown(p, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
}

func folders(t *testing.T, box string) {
	t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(box, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	dovecot.Own(t, box)
}

func maildirStores() []maker {
	return []maker{{
		name:     "maildir-new",
		about:    "delivered messages that no session has seen, in new/, beside read ones",
		location: "maildir:%r/mail",
		make: func(t *testing.T, j *dovecot.Judge, dir string) {
			s := j.IMAP()
			s.Append("INBOX", `\Seen`, "01-Jan-2020 00:00:00 +0000", "Subject: read\r\n\r\nx\r\n")
			s.Append("INBOX", "", "02-Jan-2020 00:00:00 +0000", "Subject: unread\r\n\r\nx\r\n")
			s.Close()
			put(t, filepath.Join(dir, "mail/new/1577836801.M1P1.mx"), "Subject: delivered\n\nx\n")
			put(t, filepath.Join(dir, "mail/new/1577836802.M1P1.mx,S=24"), "Subject: delivered 2\n\nx\n")
		},
	}, {
		name:     "maildir-uidlist-1",
		unsure:   []string{"mailboxguid"}, // version 1 has none
		about:    "the list of UIDs has version 1, as Dovecot 1.0 wrote it",
		location: "maildir:%r/mail",
		make: func(t *testing.T, _ *dovecot.Judge, dir string) {
			folders(t, filepath.Join(dir, "mail"))
			put(t, filepath.Join(dir, "mail/dovecot-uidlist"), "1 1111111111 20\n4 1577836801.a.mx\n9 1577836802.b.mx\n")
			put(t, filepath.Join(dir, "mail/cur/1577836801.a.mx:2,S"), "Subject: four\n\nx\n")
			put(t, filepath.Join(dir, "mail/cur/1577836802.b.mx:2,FR"), "Subject: nine\n\nx\n")
		},
	}, {
		name:     "maildir-odd-files",
		about:    "file names that only other programs make: unknown flags, two colons, no info, a name with a dot in front, a file in tmp/",
		location: "maildir:%r/mail",
		make: func(t *testing.T, _ *dovecot.Judge, dir string) {
			box := filepath.Join(dir, "mail")
			folders(t, box)
			put(t, filepath.Join(box, "dovecot-uidlist"), "3 V1111111112 N30 G000102030405060708090a0b0c0d0e0f\n"+
				"1 :1577836801.a.mx\n2 :1577836802.b.mx\n3 S19 W22 :1577836803.c.mx\n5 Xkept :1577836804.d.mx\n7 :1577836805.e:mx\n")
			put(t, filepath.Join(box, "cur/1577836801.a.mx:2,SPZ"), "Subject: flags\n\nx\n")
			put(t, filepath.Join(box, "cur/1577836802.b.mx"), "Subject: no info\n\nx\n")
			put(t, filepath.Join(box, "cur/1577836803.c.mx:1,S"), "Subject: info 1\n\nx\n")
			put(t, filepath.Join(box, "cur/1577836804.d.mx:2,SF,extra"), "Subject: extra\n\nx\n")
			put(t, filepath.Join(box, "cur/.hidden:2,S"), "Subject: not a message\n\nx\n")
			put(t, filepath.Join(box, "tmp/1577836809.t.mx"), "Subject: not yet a message\n\nx\n")
		},
	}}
}

func mboxStores() []maker {
	two := func(s *dovecot.Session, box string) {
		s.Append(box, `\Seen kw`, "01-Jan-2020 00:00:00 +0000", "Subject: one\r\n\r\nx\r\n")
		s.Append(box, "", "02-Jan-2020 00:00:00 +0000", "Subject: two\r\n\r\nx\r\n")
	}
	return []maker{{
		name:     "mbox-emptied",
		about:    "mailboxes whose messages were all expunged: only Dovecot's internal message is left; in one, mail came after that",
		location: "mbox:%r/mail:INBOX=%r/mail-inbox",
		make: func(_ *testing.T, j *dovecot.Judge, _ string) {
			s := j.IMAP()
			two(s, "INBOX")
			for _, box := range []string{"emptied", "refilled"} {
				s.Cmd("CREATE " + box)
				two(s, box)
				s.Select(box)
				s.Cmd(`STORE 1:* +FLAGS.SILENT (\Deleted)`)
				s.Cmd("EXPUNGE")
			}
			two(s, "refilled")
			s.Close()
		},
	}, {
		name:     "mbox-lazy",
		about:    "flag changes that only the index has, because the session died before it wrote them to the mbox",
		location: "mbox:%r/mail:INBOX=%r/mail-inbox",
		make: func(_ *testing.T, j *dovecot.Judge, _ string) {
			s := j.IMAP()
			two(s, "INBOX")
			two(s, "INBOX")
			s.Select("INBOX")
			s.Cmd("CHECK")
			s.Cmd(`STORE 2:3 +FLAGS (\Answered \Flagged newkw)`)
			s.Cmd(`STORE 1 -FLAGS (\Seen kw)`)
			s.Kill()
		},
	}, {
		name:     "mbox-dialects",
		unsure:   []string{"uidvalidity", "guid", "modseq"},
		about:    "mboxes as other programs leave them, one for each dialect of quoting; Dovecot takes none of the quoting away",
		location: "mbox:%r/mail:INBOX=%r/mail-inbox",
		make: func(t *testing.T, _ *dovecot.Judge, dir string) {
			first := "From ann@example.org Wed Jan  1 00:00:00 2020\nSubject: one\nStatus: RO\n"
			second := "From bob@example.org Thu Jan  2 00:00:00 2020 +0100\nSubject: two\nX-Status: F\n\nlast\n"
			body := "\n>From here\n>>From there\nend\n"
			tricky := "From here\n\nFrom x@y Wed Jan  1 00:00:00 2020\n\nnot a head\n"
			put(t, filepath.Join(dir, "mail-inbox"), first+"\n\nempty lines\n\n\n\n"+second)
			put(t, filepath.Join(dir, "mail/rd"), first+body+"\n"+second)
			put(t, filepath.Join(dir, "mail/cl2"),
				first+fmt.Sprintf("Content-Length: %d\n\n", len(tricky))+tricky+"\n"+second)
			put(t, filepath.Join(dir, "mail/crlf"), strings.ReplaceAll(first+body+"\n"+second, "\n", "\r\n"))
			put(t, filepath.Join(dir, "mail/no-last-newline"), first+body+"\n"+strings.TrimSuffix(second, "\n"))
			put(t, filepath.Join(dir, "mail/no-blank-between"), first+body+second)
		},
	}}
}
