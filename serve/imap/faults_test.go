package imap_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/serve/imap"
)

// fault lets one change of the disk fail, while it is armed.
type fault struct {
	mu    sync.Mutex
	armed bool
	n     int // the number of the one that fails, from 1; 0: none
	errno syscall.Errno
	seen  int
	at    string // what failed
}

func (f *fault) ask(op disk.Op, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.armed {
		return nil
	}
	if f.seen++; f.seen != f.n {
		return nil
	}
	f.at = string(op) + " " + path
	return &fs.PathError{Op: string(op), Path: path, Err: f.errno}
}

func (f *fault) arm(n int, errno syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed, f.n, f.errno, f.seen, f.at = true, n, errno, 0, ""
}

func (f *fault) disarm() (seen int, at string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = false
	return f.seen, f.at
}

// faultyCommands are given to a session that has INBOX selected, with three messages in it, the third \Deleted; Box has two.
var faultyCommands = []struct{ name, text string }{
	{"APPEND", "APPEND INBOX (\\Seen work) \"02-Jan-2020 03:04:05 +0000\" {25+}\r\nSubject: new\r\n\r\nnew one\r\n"},
	{"MULTIAPPEND", "APPEND Box (\\Seen) \"02-Jan-2020 03:04:05 +0000\" {14+}\r\nSubject: a\r\n\r\n () \"02-Jan-2020 03:04:06 +0000\" {14+}\r\nSubject: b\r\n\r\n"},
	{"COPY", "COPY 1:2 Box"},
	{"MOVE", "MOVE 1:2 Box"},
	{"STORE of a flag", `STORE 1:2 +FLAGS (\Flagged)`},
	{"STORE of a keyword", "STORE 2 +FLAGS (brandnew)"},
	{"EXPUNGE", "EXPUNGE"},
	{"CREATE", "CREATE New"},
	{"DELETE", "DELETE Box"},
	{"RENAME", "RENAME Box New"},
	{"SUBSCRIBE", "SUBSCRIBE INBOX"},
	{"UNSUBSCRIBE", "UNSUBSCRIBE Box"},
}

// codes are what Dovecot has for failures of the system (2.3, src/lib-storage/mail-error.c and
// src/imap/imap-commands-util.c).
var codes = map[syscall.Errno]string{syscall.EIO: "[SERVERBUG]", syscall.ENOSPC: "[OVERQUOTA]", syscall.EDQUOT: "[OVERQUOTA]", syscall.EACCES: "[NOPERM]"}

// TestACommandWhoseFilesFailIsRefusedAndTheSessionGoesOn has every change of the disk that a command makes fail in turn.
// The answer is OK, and then everything is done; or it is NO with the code for it and a line in the log that names the file
// and the cause, and nothing was added; and the session goes on.
func TestACommandWhoseFilesFailIsRefusedAndTheSessionGoesOn(t *testing.T) {
	for _, kind := range []string{"sdbox", "mdbox", "maildir", "mbox"} {
		t.Run(kind, func(t *testing.T) {
			place := faultyPlace(t, kind)
			for _, command := range faultyCommands {
				t.Run(command.name, func(t *testing.T) { place.at(t).failAll(command.text) })
			}
		})
	}
}

// faulty is a server whose disk fails when it is told to, for users who all have the same mail.
type faulty struct {
	t     *testing.T
	s     *server
	f     *fault
	dir   string // a folder for each user
	users int
}

func faultyPlace(t *testing.T, kind string) *faulty {
	t.Helper()
	p := &faulty{t: t, f: &fault{}, dir: dovecot.TempDir(t)}
	location := dovecot.Location(kind, p.dir+"/%u/mail")
	p.s = startSet(t, func(mail *imap.Protocol) { mail.Stores.Fault, mail.Hub.Linger = p.f.ask, 0 }, static(location))
	c := p.s.loginAs("model")
	c.Cmd("CREATE Box")
	c.Cmd("SUBSCRIBE Box")
	for i := range 5 {
		c.Append([]string{"INBOX", "INBOX", "INBOX", "Box", "Box"}[i], []string{"", `\Seen work`, `\Deleted`, "", `\Answered`}[i], "",
			fmt.Sprintf("Subject: message %d\r\n\r\ntext %[1]d\r\n", i))
	}
	c.Select("INBOX") // nothing is \Recent any more
	c.Select("Box")
	c.Close()
	return p
}

// at has failures told to a subtest.
func (p *faulty) at(t *testing.T) *faulty {
	p.t, p.s.t = t, t
	return p
}

// user makes one with the mail of the model.
func (p *faulty) user() string {
	p.t.Helper()
	p.users++
	name := fmt.Sprintf("user%d", p.users)
	if out, err := exec.Command("cp", "-a", filepath.Join(p.dir, "model"), filepath.Join(p.dir, name)).CombinedOutput(); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	return name
}

// failAll runs a command once to count its changes of the disk, then once for each of them.
func (p *faulty) failAll(command string) {
	p.t.Helper()
	before := p.shown(p.user())
	all, after, _ := p.run(command, 0, 0)
	if before == after {
		p.t.Fatalf("%s changes nothing:\n%s", command, before)
	}
	errnos := []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EACCES}
	for n := 1; n <= all; n++ {
		errno := errnos[n%len(errnos)]
		_, found, status := p.run(command, n, errno)
		switch {
		case strings.HasPrefix(status, "OK"):
			if found != after {
				p.t.Errorf("%v at %s: the answer is %s, and there is\n%swant\n%s", errno, p.f.at, status, found, after)
			}
		case !strings.HasPrefix(status, "NO "+codes[errno]):
			p.t.Errorf("%v at %s: the answer is %s", errno, p.f.at, status)
		case added(found, before) != "" && !strings.HasPrefix(command, "RENAME"):
			p.t.Errorf("%v at %s: the answer is %s, and yet there is %q. Before that there was\n%s", errno, p.f.at, status, added(found, before), before)
		}
		if p.t.Failed() {
			return
		}
	}
	p.t.Logf("%d changes of the disk", all)
}

// run gives a command to a session of a new user, with a fault, and tells what is there afterwards.
func (p *faulty) run(command string, n int, errno syscall.Errno) (seen int, shown, status string) {
	p.t.Helper()
	user := p.user()
	defer os.RemoveAll(filepath.Join(p.dir, user))
	c := p.s.loginAs(user)
	c.Select("INBOX")
	logged := len(p.s.log.String())
	p.f.arm(n, errno)
	_, status = c.Try(command)
	seen, at := p.f.disarm()
	c.Cmd("NOOP")
	if log := p.s.log.String()[logged:]; at != "" && strings.HasPrefix(status, "NO") &&
		(!strings.Contains(log, errno.Error()) || !strings.Contains(log, p.dir+"/"+user) || !strings.Contains(log, "level=ERROR")) {
		p.t.Errorf("%v at %s: the log says %q", errno, at, log)
	}
	c.Close()
	return seen, p.shown(user), status
}

// shown is all that a client sees in a new session.
func (p *faulty) shown(user string) string {
	p.t.Helper()
	c := p.s.loginAs(user)
	defer c.Close()
	return everything(c)
}

// everything is all that a client sees: mailboxes, subscriptions, messages with their UIDs, flags and texts.
func everything(c *client.Session) string {
	var b strings.Builder
	for _, e := range c.List() {
		fmt.Fprintf(&b, "mailbox %q\n", e.Name)
		if e.NoSelect {
			continue
		}
		c.Cmd("EXAMINE " + client.Quote(e.Name))
		for _, m := range c.Fetch("1:*") {
			m.Flags &^= formats.Recent // what is recent depends on who came first
			fmt.Fprintf(&b, "%q %d %v %q %s %q\n", e.Name, m.UID, m.Flags, m.Keywords, m.InternalDate, m.Body)
		}
	}
	fmt.Fprintf(&b, "subscribed %q\n", c.Lsub())
	return b.String()
}

// identities is what a client recognises mailboxes and messages by: UIDVALIDITY, UIDNEXT, UIDs and modification sequences.
func identities(c *client.Session) string {
	var b strings.Builder
	for _, e := range c.List() {
		if e.NoSelect {
			continue
		}
		st := c.Status(e.Name)
		fmt.Fprintf(&b, "%q uidvalidity %d uidnext %d messages %d unseen %d:", e.Name, st.UIDValidity, st.UIDNext, st.Messages, st.Unseen)
		c.Cmd("EXAMINE " + client.Quote(e.Name))
		for _, m := range c.Fetch("1:*") {
			fmt.Fprintf(&b, " %d (%d)", m.UID, m.ModSeq)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// added is the first message that is in one state and not in another, whatever its flags.
func added(now, before string) string {
	var had []string
	for line := range strings.Lines(before) {
		had = append(had, place(line))
	}
	for line := range strings.Lines(now) {
		if p := place(line); p != "" && !slices.Contains(had, p) {
			return line
		}
	}
	return ""
}

// place is mailbox and UID of a message's line.
func place(line string) string {
	f := strings.Fields(line)
	if !strings.HasPrefix(line, `"`) {
		return ""
	}
	return f[0] + f[1]
}
