package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// mirror is a client that keeps a copy of the mail in a Maildir and brings both into line.
type mirror struct {
	t     *testing.T
	s     *mailServer
	user  string
	dir   string
	inbox string // the folder of the copy
	conf  string // takes port, user, dir and direction
	run   func(m *mirror, conf string)

	modseqs string // what STATUS is to tell of them
}

const mbsyncConf = `IMAPAccount r
Host 127.0.0.1
Port %[1]s
User %[2]s
Pass secret
SSLType None
AuthMechs LOGIN

IMAPStore r
Account r

MaildirStore l
Path %[3]s/mb/
Inbox %[3]s/mb/INBOX
SubFolders Verbatim

Channel c
Far :r:
Near :l:
Patterns *
Sync %[4]s
Create Both
Expunge Both
SyncState *
`

const offlineimapConf = `[general]
accounts = a
metadata = %[3]s/meta
ui = quiet
[Account a]
localrepository = l
remoterepository = r
[Repository l]
type = Maildir
localfolders = %[3]s/mb
[Repository r]
type = IMAP
remotehost = 127.0.0.1
remoteport = %[1]s
remoteuser = %[2]s
remotepass = secret
ssl = no
starttls = no
auth_mechanisms = LOGIN
#%[4]s
`

func mbsync(t *testing.T, s *mailServer, user string) *mirror {
	return newMirror(t, s, user, mbsyncConf, func(m *mirror, conf string) { s.client(m.dir, "mbsync", "-c", conf, "-a", "-V") })
}

func offlineimap(t *testing.T, s *mailServer, user string) *mirror {
	return newMirror(t, s, user, offlineimapConf, func(m *mirror, conf string) { s.client(m.dir, "offlineimap", "-c", conf, "-o") })
}

func newMirror(t *testing.T, s *mailServer, user, conf string, run func(*mirror, string)) *mirror {
	t.Helper()
	m := &mirror{t: t, s: s, user: user, dir: t.TempDir(), conf: conf, run: run, modseqs: " HIGHESTMODSEQ"}
	m.inbox = filepath.Join(m.dir, "mb/INBOX")
	if err := os.Mkdir(filepath.Dir(m.inbox), 0o700); err != nil {
		t.Fatal(err)
	}
	return m
}

// sync runs the client once against a server, in a direction that mbsync knows.
func (m *mirror) sync(address, direction string) {
	m.t.Helper()
	_, port, _ := strings.Cut(address, ":")
	conf := filepath.Join(m.dir, "rc")
	if err := os.WriteFile(conf, fmt.Appendf(nil, m.conf, port, m.user, m.dir, direction), 0o600); err != nil {
		m.t.Fatal(err)
	}
	m.run(m, conf)
}

// twice syncs, and then again, when there must be nothing to do.
func (m *mirror) twice(address, direction string) {
	m.t.Helper()
	m.sync(address, direction)
	m.nothing(address, direction)
}

// nothing syncs when there is nothing to do: neither side may change.
func (m *mirror) nothing(address, direction string) {
	m.t.Helper()
	here, there := m.local(), m.remote()
	m.sync(address, direction)
	if now := m.local(); now != here {
		m.t.Errorf("%s, nothing to do: the copy was\n%s\nand is\n%s", direction, here, now)
	}
	if now := m.remote(); now != there {
		m.t.Errorf("%s, nothing to do: the server had\n%s\nand has\n%s", direction, there, now)
	}
}

// local lists the files of the copy with the times of their last change: what is downloaded again is another file.
func (m *mirror) local() string {
	var list []string
	err := filepath.WalkDir(filepath.Dir(m.inbox), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "/cur/") && !strings.Contains(path, "/new/") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			list = append(list, fmt.Sprint(strings.TrimPrefix(path, m.dir), " ", info.Size(), " ", info.ModTime().UnixNano()))
		}
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// remote is what the server has.
func (m *mirror) remote() string {
	c := m.s.login(m.user)
	defer c.Close()
	var list []string
	for _, box := range c.List() {
		if box.NoSelect {
			continue
		}
		name := dovecot.Quote(box.Name)
		c.Cmd("SELECT " + name)
		list = append(list, clean(c.Cmd("UID FETCH 1:* (FLAGS RFC822.SIZE)")))
		c.Cmd("UNSELECT")
		list = append(list, c.Cmd("STATUS "+name+" (MESSAGES UIDNEXT UIDVALIDITY"+m.modseqs+")")...)
	}
	return strings.Join(list, "\n")
}

// rename gives the local message that has a text in it other flags.
func (m *mirror) rename(text, flags string) {
	m.t.Helper()
	old := holding(m.t, maildirFiles(m.t, m.inbox), text)
	name, _, _ := strings.Cut(filepath.Base(old), ":2,")
	if err := os.Rename(old, filepath.Join(m.inbox, "cur", name+":2,"+flags)); err != nil {
		m.t.Fatal(err)
	}
}

// deliver adds a local message.
func (m *mirror) deliver(id string) {
	m.t.Helper()
	text := strings.ReplaceAll(strings.Replace(clientMail[0], "i1@", id+"@", 1), "\r\n", "\n")
	if err := os.WriteFile(filepath.Join(m.inbox, "new", "17000000"+strings.TrimPrefix(id, "i")+".1_1.h"), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// has checks the server's flags of the messages with some Message-IDs; "-" for one that must not be there.
func (m *mirror) has(want map[string]string) {
	m.t.Helper()
	c := m.s.login(m.user)
	defer c.Close()
	c.Cmd("EXAMINE INBOX")
	for id, flags := range want {
		found := strings.Fields(strings.TrimPrefix(strings.Join(c.Cmd("UID SEARCH HEADER MESSAGE-ID "+id+"@"), ""), "* SEARCH"))
		if flags == "-" && len(found) == 0 {
			continue
		}
		if flags == "-" || len(found) != 1 {
			m.t.Errorf("the server has %q as %q", id, found)
			continue
		}
		got := clean(c.Cmd("UID FETCH " + found[0] + " FLAGS"))
		for flag := range strings.FieldsSeq(flags) {
			if !strings.Contains(got, flag) {
				m.t.Errorf("%s was not pushed to %s: %s", flag, id, got)
			}
		}
	}
}

// there changes the mailbox on the server by a session of another client.
func there(c *client.Session) {
	c.Append("INBOX", `\Flagged`, "", strings.Replace(clientMail[1], "i2@", "i8@", 1))
	c.Select("INBOX")
	c.Cmd(`UID STORE 1 +FLAGS.SILENT (\Answered)`)
	c.Cmd(`UID STORE 4 +FLAGS.SILENT (\Deleted)`)
	c.Cmd("EXPUNGE")
}

// mbsync pulls, pushes, does both, and finds nothing to do the next time.
func withMbsync(t *testing.T, s *mailServer, user string) {
	s.fill(user)
	m := mbsync(t, s, user)
	c := s.login(user)
	c.Cmd("CREATE " + dovecot.Quote("Größe"))
	c.Append("Größe", "", "", clientMail[3])
	m.twice(s.imap, "Pull")
	if pulled := maildirFiles(t, m.inbox); len(pulled) != len(clientMail) {
		t.Fatalf("%d messages were pulled", len(pulled))
	}
	m.rename("<i2@", "FS")
	m.rename("<i5@", "ST")
	m.deliver("i9")
	m.twice(s.imap, "Push")
	m.has(map[string]string{"i2": `\Flagged \Seen`, "i5": "-", "i9": ""})
	there(c)
	c.Close()
	m.rename("<i3@", "R")
	m.deliver("i7")
	m.twice(s.imap, "All")
	m.has(map[string]string{"i1": `\Answered`, "i3": `\Answered`, "i4": "-", "i7": "", "i8": `\Flagged`})
	if n := len(maildirFiles(t, m.inbox)); n != 6 {
		t.Errorf("the copy has %d messages", n)
	}
}

func withOfflineimap(t *testing.T, s *mailServer, user string) {
	s.fill(user)
	m := offlineimap(t, s, user)
	m.twice(s.imap, "")
	if pulled := maildirFiles(t, m.inbox); len(pulled) != len(clientMail) {
		t.Fatalf("%d messages were pulled", len(pulled))
	}
	c := s.login(user)
	there(c)
	c.Close()
	m.rename("<i3@", "FRS")
	m.twice(s.imap, "")
	m.has(map[string]string{"i1": `\Answered`, "i3": `\Flagged \Answered \Seen`, "i4": "-", "i8": `\Flagged`})
	if n := len(maildirFiles(t, m.inbox)); n != len(clientMail) {
		t.Errorf("the copy has %d messages", n)
	}
}

// TestServeClientsDoNotNoticeThatTheServerChanged has clients with a copy go from Dovecot to us and back, over the same
// mail: nothing is fetched again, and what was changed with one server is taken from the other.
func TestServeClientsDoNotNoticeThatTheServerChanged(t *testing.T) {
	dovecot.Need(t)
	for _, kind := range []string{"sdbox", "mdbox", "maildir", "mbox"} {
		for name, client := range map[string]func(*testing.T, *mailServer, string) *mirror{"mbsync": mbsync, "offlineimap": offlineimap} {
			t.Run(name+" over "+kind, func(t *testing.T) {
				s := startServer(t, kind)
				theirs := s.dovecot(kind, "ann")
				m := client(t, s, "ann")
				c := theirs.session("ann")
				for _, mail := range clientMail {
					c.Append("INBOX", `\Seen`, "", mail)
				}
				m.twice(theirs.IMAPAddr, "All")
				m.nothing(s.imap, "All")
				m.rename("<i2@", "FS")
				m.deliver("i9")
				m.twice(s.imap, "All")
				m.nothing(theirs.IMAPAddr, "All")
				m.has(map[string]string{"i2": `\Flagged \Seen`, "i9": ""})
				there(c)
				c.Close()
				m.twice(s.imap, "All")
				m.nothing(theirs.IMAPAddr, "All")
				ours := s.login("ann")
				there(ours)
				ours.Close()
				m.twice(theirs.IMAPAddr, "All")
				m.nothing(s.imap, "All")
				theirs.MustBeClean()
			})
		}
	}
}

// besideUs is a Dovecot that serves the same mail.
type besideUs struct {
	*dovecot.Daemon
	t *testing.T
}

// dovecot starts it for some users.
func (s *mailServer) dovecot(kind string, users ...string) besideUs {
	uid, gid := dovecot.IDs()
	var list strings.Builder
	for _, user := range users {
		fmt.Fprintf(&list, "%s:secret:%d:%d::%s::\n", user, uid, gid, filepath.Join(s.dir, "home", user))
	}
	path := filepath.Join(s.dir, "users")
	if err := os.WriteFile(path, []byte(list.String()), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return besideUs{t: s.t, Daemon: dovecot.Serve(s.t, path, "mail_location = "+dovecot.Location(kind, "~/mail"),
		"namespace inbox {\n  separator = /\n  prefix =\n}")}
}

func (d besideUs) session(user string) *client.Session {
	d.t.Helper()
	c := client.Dial(d.t, client.IMAP, d.IMAPAddr, d.Log)
	c.Next()
	c.Cmd("LOGIN " + user + " secret")
	return c
}
