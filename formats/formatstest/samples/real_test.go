package samples

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// realStores are made by Dovecot alone, or by hand as other programs leave them, and judged by Dovecot.
func realStores() []maker {
	var all []maker
	for _, kind := range dovecot.Kinds {
		all = append(all, maker{
			name:     kind + "-awkward",
			about:    "every value a client can see is an unusual one; a Maildir written by hand, converted by doveadm backup",
			location: dovecot.Location(kind, "%r/mail"),
			make: func(t *testing.T, _ *dovecot.Judge, dir string) {
				dovecot.AwkwardAt(t, kind, filepath.Join(dir, "mail"))
			},
		}, maker{
			name:     kind + "-names",
			about:    "mailbox names that need care, made with IMAP's CREATE",
			location: dovecot.Location(kind, "%r/mail"),
			make:     func(_ *testing.T, j *dovecot.Judge, _ string) { oddNames(j) },
		})
	}
	for _, kind := range []string{"sdbox", "mdbox", "maildir"} {
		all = append(all, compressed(kind))
	}
	for _, kind := range []string{"sdbox", "mdbox"} {
		all = append(all, attachments(kind, "posix"), attachments(kind, "sis posix"))
	}
	all = append(all, rotated("sdbox"), rotated("mdbox"))
	all = append(all, separateRoots()...)
	all = append(all, mdboxStores()...)
	all = append(all, maildirStores()...)
	return append(all, mboxStores()...)
}

func oddNames(j *dovecot.Judge) {
	s := j.IMAP()
	defer s.Close()
	s.Append("INBOX", "", "", "Subject: in INBOX\r\n\r\nx\r\n")
	for _, name := range []string{
		"R&D", "Größe/Über/ß", "日本語", "😀", `quo"te`, `back\slash`, "per%cent", "st*r", " leading", "trailing ", "-dash", "UPPER", "upper",
		"Inboxes", "e\u0301 decomposed", "tab\u00a0space", "(round)", "[square]", "{curly}", "#hash", "semi;colon", "plus+plus", "a,b", "&", "INBOX2/sub",
	} {
		if _, status := s.Try("CREATE " + dovecot.Quote(name)); strings.HasPrefix(status, "OK") {
			s.Try("SUBSCRIBE " + dovecot.Quote(name))
			s.Try(fmt.Sprintf("APPEND %s (\\Seen) {%d+}\r\nSubject: in it\r\n\r\nx\r\n", dovecot.Quote(name), len("Subject: in it\r\n\r\nx\r\n")))
		}
	}
}

// compressed keeps one mailbox for each way of compressing that Dovecot 2.3 can write.
func compressed(kind string) maker {
	return maker{
		name:     kind + "-compressed",
		about:    "bodies compressed by Dovecot's zlib plugin, one mailbox for each method, with plain ones between",
		location: dovecot.Location(kind, "%r/mail"),
		settings: []string{"mail_plugins = zlib"},
		make: func(t *testing.T, plain *dovecot.Judge, dir string) {
			for _, method := range []string{"INBOX", "gz", "bz2", "zstd", "lz4"} {
				j := dovecot.New(t, dovecot.Location(kind, filepath.Join(dir, "mail")), "mail_plugins = zlib", "plugin {\n zlib_save = "+strings.ReplaceAll(method, "INBOX", "gz")+"\n}")
				s := j.IMAP()
				s.Try("CREATE " + method)
				s.Append(method, `\Flagged kw`, "01-Jan-2020 00:00:00 +0000", "Subject: small\r\n\r\nx\r\n")
				s.Append(method, "", "02-Jan-2020 00:00:00 +0000", "Subject: large\r\n\r\n"+strings.Repeat("text that compresses well\r\n", 8000))
				s.Close()
				j.MustBeClean()
				s = plain.IMAP()
				s.Append(method, "", "03-Jan-2020 00:00:00 +0000", "Subject: plain\r\n\r\nnot compressed\r\n")
				s.Close()
			}
		},
	}
}

// attachments keeps parts of messages outside of them.
func attachments(kind, how string) maker {
	settings := []string{
		"mail_attachment_dir = %r/attachments",
		"mail_attachment_min_size = 512",
		"mail_attachment_fs = " + how,
	}
	return maker{
		name:     kind + "-attachments-" + strings.Fields(how)[0],
		about:    "attachments of 512 bytes or more are in files of their own (mail_attachment_fs = " + how + ")",
		location: dovecot.Location(kind, "%r/mail"),
		settings: settings,
		make: func(_ *testing.T, j *dovecot.Judge, _ string) {
			s := j.IMAP()
			for i, part := range []struct{ encoding, text string }{
				{"base64", wrapped(3000, 76, "\r\n")},
				{"base64", wrapped(2999, 60, "\r\n")},
				{"base64", wrapped(1000, 72, "\r\n") + "\r\n\r\n"},
				{"base64", wrapped(3000, 76, "\r\n")}, // the same again
				{"base64", "not base64 at all! " + strings.Repeat("-", 600)},
				{"7bit", strings.Repeat("0123456789abcdef\r\n", 60)},
			} {
				s.Append("INBOX", "", "01-Jan-2020 00:00:00 +0000", multipart(i, part.encoding, part.text))
			}
			s.Close()
		},
	}
}

func multipart(i int, encoding, text string) string {
	return fmt.Sprintf("Subject: attachment %d\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"+
		"--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a.bin\r\n"+
		"Content-Transfer-Encoding: %s\r\n\r\n%s\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment\r\n"+
		"Content-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\nepilogue\r\n", i, encoding, text, wrapped(700+i, 76, "\r\n"))
}

// wrapped is base64 of n bytes in lines of width characters, without a line end at its end.
func wrapped(n, width int, eol string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	text := base64.StdEncoding.EncodeToString(b)
	var lines []string
	for len(text) > width {
		lines, text = append(lines, text[:width]), text[width:]
	}
	return strings.Join(append(lines, text), eol)
}

// rotated has a snapshot, a log and the log before it, and changes after the last rotation.
func rotated(kind string) maker {
	return maker{
		name:     kind + "-rotated",
		about:    "dovecot.index, .log and .log.2 after rotations, with changes that only the log has",
		location: dovecot.Location(kind, "%r/mail"),
		settings: []string{"mail_index_log_rotate_min_size = 2k", "mail_index_log_rotate_max_size = 4k", "mail_index_log_rotate_min_age = 0"},
		make: func(_ *testing.T, j *dovecot.Judge, _ string) {
			for range 4 {
				s := j.IMAP()
				for i := range 25 {
					s.Append("INBOX", fmt.Sprintf("kw%d", i%7), "01-Jan-2020 00:00:00 +0000", fmt.Sprintf("Subject: %d\r\n\r\nx\r\n", i))
				}
				s.Select("INBOX")
				for uid := 1; uid < 60; uid += 3 {
					s.Cmd(fmt.Sprintf("UID STORE %d +FLAGS.SILENT (\\Seen late%d)", uid, uid%5))
				}
				s.Close()
			}
			s := j.IMAP()
			s.Cmd("ENABLE CONDSTORE")
			s.Select("INBOX")
			s.Cmd(`UID STORE 4:90 +FLAGS.SILENT (\Deleted)`)
			s.Cmd("UID EXPUNGE 10:40,77")
			s.Cmd(`UID STORE 4:9 -FLAGS.SILENT (\Deleted kw1 kw2)`)
			s.Cmd(`UID STORE 95 FLAGS.SILENT (\Draft Only)`)
			s.Close()
		},
	}
}

func separateRoots() []maker {
	fill := func(_ *testing.T, j *dovecot.Judge, _ string) {
		s := j.IMAP()
		s.Cmd("CREATE Work/2019")
		s.Cmd("SUBSCRIBE Work/2019")
		for _, box := range []string{"INBOX", "Work/2019"} {
			s.Append(box, `\Seen $Label1`, "01-Jan-2020 00:00:00 +0000", "Subject: one\r\n\r\nx\r\n")
			s.Append(box, "", "02-Jan-2020 00:00:00 +0000", "Subject: two\r\n\r\nx\r\n")
		}
		s.Close()
	}
	alt := func(t *testing.T, j *dovecot.Judge, dir string) {
		fill(t, j, dir)
		j.Doveadm("altmove", "seen")
	}
	return []maker{
		{name: "maildir-roots", about: "index and control files outside of the mail", location: "maildir:%r/mail:INDEX=%r/index:CONTROL=%r/control", make: fill},
		{name: "mbox-roots", about: "index files outside of the mail, INBOX elsewhere", location: "mbox:%r/mail:INBOX=%r/spool/inbox:INDEX=%r/index",
			make: func(t *testing.T, j *dovecot.Judge, dir string) {
				if err := os.MkdirAll(filepath.Join(dir, "spool"), 0o700); err != nil {
					t.Fatal(err)
				}
				dovecot.Own(t, dir)
				fill(t, j, dir)
			}},
		{name: "sdbox-roots", about: "index and control files outside of the mail, read messages moved to the alternative storage",
			location: "sdbox:%r/mail:INDEX=%r/index:CONTROL=%r/control:ALT=%r/alt", make: alt},
		{name: "mdbox-roots", about: "index files outside of the mail, read messages moved to the alternative storage",
			location: "mdbox:%r/mail:INDEX=%r/index:ALT=%r/alt", make: alt},
		{name: "sdbox-utf8", about: "mailbox names are UTF-8 on disk", location: "sdbox:%r/mail:UTF-8", make: func(_ *testing.T, j *dovecot.Judge, _ string) { oddNames(j) }},
		{name: "maildir-utf8", about: "mailbox names are UTF-8 on disk", location: "maildir:%r/mail:UTF-8", make: func(_ *testing.T, j *dovecot.Judge, _ string) { oddNames(j) }},
	}
}

func mdboxStores() []maker {
	return []maker{{
		name:     "mdbox-many-files",
		about:    "many m files, copies that share one message, expunged messages, a purge, then more expunged ones",
		location: "mdbox:%r/mail",
		settings: []string{"mdbox_rotate_size = 4k"},
		make: func(_ *testing.T, j *dovecot.Judge, _ string) {
			s := j.IMAP()
			for _, box := range []string{"A", "B/C"} {
				s.Cmd("CREATE " + box)
			}
			for i := range 30 {
				s.Append("INBOX", fmt.Sprintf("kw%d", i%3), "01-Jan-2020 00:00:00 +0000", fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", i, strings.Repeat("x", 300)))
			}
			s.Select("INBOX")
			s.Cmd("UID COPY 1:10 A")
			s.Cmd("UID MOVE 5:15 B/C")
			s.Cmd(`UID STORE 20:25 +FLAGS.SILENT (\Deleted)`)
			s.Cmd("EXPUNGE")
			s.Close()
			j.Doveadm("purge")
			s = j.IMAP()
			s.Select("B/C")
			s.Cmd(`UID STORE 2:3 +FLAGS.SILENT (\Deleted)`)
			s.Cmd("EXPUNGE")
			s.Close()
		},
	}}
}
