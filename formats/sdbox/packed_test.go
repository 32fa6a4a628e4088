package sdbox_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/sdbox"
)

// multipart has a part that Dovecot takes out and stores decoded, and one that it stores as it is.
func multipart() string {
	raw := []byte(strings.Repeat("attachment \x00\x01\xff ", 900))
	var b64 strings.Builder
	for line := base64.StdEncoding.EncodeToString(raw); line != ""; {
		n := min(76, len(line))
		b64.WriteString(line[:n] + "\r\n")
		line = line[n:]
	}
	return strings.Join([]string{
		"Subject: attachments", "MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="b"`, "",
		"--b", "Content-Type: text/plain", "", "see below", "--b",
		"Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64", "Content-Disposition: attachment", "",
		b64.String() + "--b",
		"Content-Type: application/x-text", "Content-Disposition: attachment", "",
		strings.Repeat("plain attachment\r\n", 400) + "--b--", ""}, "\r\n")
}

func TestCompressedMailAndAttachmentsOfDovecotAreReadWhole(t *testing.T) {
	for name, settings := range map[string][]string{
		"gz":                    {"mail_plugins = zlib", "plugin {", "zlib_save = gz", "}"},
		"bz2":                   {"mail_plugins = zlib", "plugin {", "zlib_save = bz2", "}"},
		"lz4":                   {"mail_plugins = zlib", "plugin {", "zlib_save = lz4", "}"},
		"zstd":                  {"mail_plugins = zlib", "plugin {", "zlib_save = zstd", "}"},
		"attachments":           {"mail_attachment_dir = ATT", "mail_attachment_min_size = 1k", "mail_attachment_fs = posix"},
		"shared attachments":    {"mail_attachment_dir = ATT", "mail_attachment_min_size = 1k", "mail_attachment_fs = sis posix"},
		"gz beside attachments": {"mail_attachment_dir = ATT", "mail_attachment_min_size = 1k", "mail_attachment_fs = posix", "mail_plugins = zlib", "plugin {", "zlib_save = gz", "}"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := dovecot.TempDir(t)
			attachments := filepath.Join(dir, "att")
			if err := os.Mkdir(attachments, 0o700); err != nil {
				t.Fatal(err)
			}
			dovecot.Own(t, dir)
			for i := range settings {
				settings[i] = strings.ReplaceAll(settings[i], "ATT", attachments)
			}
			root := filepath.Join(dir, "mail")
			j := dovecot.New(t, "sdbox:"+root, settings...)
			session := j.IMAP()
			session.Append("INBOX", "", "", multipart())
			session.Append("INBOX", "", "", "Subject: small\r\n\r\nx\r\n")
			session.Close()
			s := open(t, sdbox.Options{Root: root, Attachments: attachments, FS: &disk.FS{ReadOnly: true}})
			compareMailbox(t, j, s, "INBOX")
			stored, err := os.Stat(root + "/mailboxes/INBOX/dbox-Mails/u.1")
			if err != nil || stored.Size() > int64(len(multipart()))*3/4 {
				t.Errorf("the message is stored whole in %d bytes: the test proves nothing; %v", stored.Size(), err)
			}
			j.MustBeClean()
		})
	}
}

func TestAttachmentsGoWithTheirMessage(t *testing.T) {
	dir := dovecot.TempDir(t)
	attachments := filepath.Join(dir, "att")
	if err := os.Mkdir(attachments, 0o700); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, dir)
	j := dovecot.New(t, "sdbox:"+dir+"/mail", "mail_attachment_dir = "+attachments, "mail_attachment_min_size = 1k", "mail_attachment_fs = posix")
	session := j.IMAP()
	session.Append("INBOX", "", "", multipart())
	session.Close()
	found := func() (n int) {
		filepath.WalkDir(attachments, func(_ string, e os.DirEntry, _ error) error {
			if e.Type().IsRegular() {
				n++
			}
			return nil
		})
		return n
	}
	before := found()
	without := box(t, open(t, sdbox.Options{Root: dir + "/mail"}), "INBOX")
	m := formats.Message{UID: 1}
	if _, err := without.Body(ctx, &m); err == nil || !strings.Contains(err.Error(), "mail_attachment_dir") {
		t.Errorf("without the attachment root: %v", err)
	}
	b := box(t, open(t, sdbox.Options{Root: dir + "/mail", Attachments: attachments}), "INBOX")
	update(t, b, func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(1)) })
	if after := found(); before != 2 || after != 0 {
		t.Errorf("%d attachments before, %d after", before, after)
	}
	j.MustBeClean()
}

func TestAltStorageIsReadAndWrittenBeside(t *testing.T) {
	dir := dovecot.TempDir(t)
	if err := os.Mkdir(dir+"/alt", 0o700); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, dir)
	j := dovecot.New(t, "sdbox:"+dir+"/mail:ALT="+dir+"/alt")
	session := j.IMAP()
	for range 4 {
		session.Append("INBOX", "", "", "Subject: x\r\n\r\nx\r\n")
	}
	session.Close()
	j.Doveadm("altmove", "mailbox", "INBOX", "uid", "2:3")
	if _, err := os.Stat(dir + "/alt/mailboxes/INBOX/dbox-Mails/u.2"); err != nil {
		t.Fatal(err)
	}
	s := open(t, sdbox.Options{Root: dir + "/mail"}) // the alt root from the link
	compareMailbox(t, j, s, "INBOX")
	b := box(t, s, "INBOX")
	update(t, b, func(tx formats.Tx) error {
		tx.Expunge(formats.RangesOf(2))
		return tx.Append(ctx, formats.Message{}, text("Subject: new\n\n"))
	})
	compareMailbox(t, j, s, "INBOX")
	if _, err := os.Stat(dir + "/alt/mailboxes/INBOX/dbox-Mails/u.2"); !os.IsNotExist(err) {
		t.Errorf("the expunged message is still in the alt storage: %v", err)
	}
	if err := s.Rename(ctx, "INBOX", "old"); err != nil {
		t.Fatal(err)
	}
	compareMailbox(t, j, s, "old")
	j.MustBeClean()
}

func TestALinkToAnotherUsersAltStorageIsNotFollowed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make a directory of another user")
	}
	dir := t.TempDir()
	for _, sub := range []string{"mail", "alt"} {
		if err := os.Mkdir(dir+"/"+sub, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir+"/mail", 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir+"/alt", dir+"/mail/dbox-alt-root"); err != nil {
		t.Fatal(err)
	}
	if _, err := sdbox.Open(ctx, sdbox.Options{Root: dir + "/mail"}); err == nil || !strings.Contains(err.Error(), "ALT=") {
		t.Errorf("followed: %v", err)
	}
}

func TestNamesInTheListIndexAreRead(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	j := dovecot.New(t, "sdbox:"+root+":LAYOUT=index")
	session := j.IMAP()
	for _, name := range []string{"Größe/R&D", "a/b/c", "gone"} {
		session.Cmd("CREATE " + dovecot.Quote(name))
		session.Append(name, `\Seen`, "", "Subject: "+"x\r\n\r\nx\r\n")
	}
	session.Append("INBOX", `\Seen`, "", "Subject: x\r\n\r\nx\r\n")
	session.Cmd("DELETE gone")
	session.Cmd("RENAME a/b new")
	session.Close()
	s := open(t, sdbox.Options{Root: root, Layout: "index", FS: &disk.FS{ReadOnly: true}})
	compare(t, j, s)
	j.MustBeClean()
}
