package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/courier"
	"dovetail/formats/formatstest/couriersite"
	"dovetail/formats/formatstest/dovecot"
)

// cutover is the shipped site on its way, by the commands that "dovetail help courier" lists.
type cutover struct {
	*testing.T
	site *couriersite.Site
}

// dovetail runs a command that must end with one of these codes.
func (c *cutover) dovetail(codes []int, args ...string) string {
	c.Helper()
	cmd := exec.Command("dovetail", args...)
	out, _ := cmd.CombinedOutput() // the code says all
	if !slices.Contains(codes, cmd.ProcessState.ExitCode()) {
		c.Fatalf("dovetail %s: exit code %d\n%s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), out)
	}
	return string(out)
}

func (c *cutover) convert(flags ...string) string {
	c.Helper()
	return c.dovetail([]int{0}, slices.Concat([]string{"courier", "--recursive", "--root", c.site.Root}, flags, []string{c.site.Domains()})...)
}

// live is what clients do with the old server between the first pass and the last.
func (c *cutover) live(user string) {
	c.Helper()
	s := courier.New(c, c.site.Maildir(user)).IMAP()
	defer s.Close()
	s.Append("INBOX", `\Flagged $Label1`, "01-Feb-2021 00:00:00 +0000", "Subject: in the last minute\r\n\r\nx\r\n")
	s.Cmd("CREATE INBOX.Neu")
	s.Cmd("SUBSCRIBE INBOX.Neu")
	s.Append("INBOX.Neu", "", "", "Subject: in a new folder\r\n\r\nx\r\n")
	s.Select("INBOX")
	s.Cmd(`STORE 1 +FLAGS (\Answered Later)`)
	s.Cmd(`STORE 2 +FLAGS (\Deleted)`)
	s.Cmd("EXPUNGE")
}

// shown is what either server shows of a user's mailboxes.
func shown(s *dovecot.Session) map[string][]string {
	all := map[string][]string{}
	for _, e := range s.List() {
		if e.NoSelect {
			continue
		}
		st := s.Status(e.Name)
		lines := []string{fmt.Sprintf("uidvalidity %d uidnext %d", st.UIDValidity, st.UIDNext)}
		s.Cmd("EXAMINE " + dovecot.Quote(e.Name))
		if st.Messages > 0 {
			for _, m := range s.Fetch("1:*") {
				flags := append(m.Flags.Names(), m.Keywords...)
				flags = slices.DeleteFunc(flags, func(f string) bool { return f == `\Recent` })
				lines = append(lines, fmt.Sprintf("%d %q %v", m.UID, flags, m.InternalDate))
			}
		}
		all[e.Name] = lines
	}
	return all
}

func popList(p dovecot.POP3) (uidls []string) {
	for _, line := range p.Multi("UIDL") {
		_, uidl, _ := strings.Cut(line, " ")
		uidls = append(uidls, uidl)
	}
	return uidls
}

// The whole move by the documented procedure: a first pass beside the running Courier, clients that go on, the last pass,
// accounts, and Dovecot in its place. Clients see at Dovecot what they saw last at Courier.
func TestR380TheCutOver(t *testing.T) {
	dovecot.Need(t)
	courier.Need(t)
	c := &cutover{t, couriersite.Unpack(t)}
	dir := filepath.Dir(c.site.Root)
	users := filepath.Join(dir, "users")
	c.dovetail([]int{0, 2}, "accounts", "--root", c.site.Root, "vpopmail:/home/vpopmail", "passwd-file:"+users)
	c.dovetail([]int{0, 2}, "courier", "--recursive", "--root", c.site.Root, "--convert", "--ignore-running", c.site.Domains()) // 2: it leaves names of folders to the last pass

	before := map[string]map[string][]string{}
	pops := map[string][]string{}
	movers := []string{"ulla@example.net", "yuki@example.net", "zoe@example.net"}
	for _, user := range movers {
		c.live(user)
		j := courier.New(t, c.site.Maildir(user))
		pops[user] = j.UIDLs()
		s := j.IMAP()
		before[user] = shown(s)
		s.Close()
	}

	stopped := time.Now() // Courier is down
	c.convert("--convert")
	d := dovecot.Serve(t, c.passwords(users))
	d.Login(movers[0], c.site.Users[movers[0]].Password).Close()
	if gone := time.Since(stopped); gone > 5*time.Second {
		t.Errorf("%v without service", gone)
	} else {
		t.Logf("%v without service", gone)
	}

	for _, user := range movers {
		s := d.Login(user, c.site.Users[user].Password)
		after := shown(s)
		s.Close()
		for name, lines := range before[user] {
			if !slices.Equal(lines, after[name]) {
				t.Errorf("%s %s was\n%s\nis\n%s", user, name, strings.Join(lines, "\n"), strings.Join(after[name], "\n"))
			}
		}
		if len(after) != len(before[user]) {
			t.Errorf("%s has %d mailboxes, had %d", user, len(after), len(before[user]))
		}
		p := d.LoginPOP(user, c.site.Users[user].Password)
		if got := popList(p); !slices.Equal(got, pops[user]) {
			t.Errorf("%s: UIDL %q, was %q", user, got, pops[user])
		}
		p.Quit()
	}
	var others []string
	for _, user := range c.site.Names() {
		if u := c.site.Users[user]; u.Courier == 4 && u.IMAPAllowed && u.POP3Allowed {
			others = append(others, user)
		}
	}
	if r := c.site.Check(d, others...); len(r.Loss) > 0 {
		t.Errorf("the others lost %v: %v", r.Loss, r.Detail)
	}
	d.Stop()
	d.MustBeClean()
}

// passwords gives the list of accounts with folders below the unpacked site and its owner, for any who may run the test.
func (c *cutover) passwords(users string) string {
	c.Helper()
	b, err := os.ReadFile(users)
	if err != nil {
		c.Fatal(err)
	}
	uid, gid := couriersite.IDs()
	text := strings.ReplaceAll(string(b), ":/home/vpopmail/", ":"+c.site.Root+"/home/vpopmail/")
	text = strings.ReplaceAll(text, ":89:89:", fmt.Sprintf(":%d:%d:", uid, gid))
	here := users + ".here"
	if err := os.WriteFile(here, []byte(text), 0o644); err != nil {
		c.Fatal(err)
	}
	return here
}
