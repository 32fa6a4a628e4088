package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/courier"
	"dovetail/formats/formatstest/couriersite"
	"dovetail/formats/formatstest/dovecot"
)

// cutover is the shipped site on its way, by the commands that the help of "dovetail courier" lists.
type cutover struct {
	*testing.T
	site *couriersite.Site
	etc  string // Dovecot's new configuration
}

func newCutover(t *testing.T) *cutover {
	t.Helper()
	dovecot.Need(t)
	couriersite.NeedChecker(t)
	s := couriersite.Unpack(t)
	return &cutover{t, s, filepath.Join(filepath.Dir(s.Root), "dovecot")}
}

// dovetail runs a command that must end with this code.
func (c *cutover) dovetail(code int, args ...string) string {
	c.Helper()
	cmd := exec.Command("dovetail", args...)
	out, _ := cmd.CombinedOutput() // the code says all
	if got := cmd.ProcessState.ExitCode(); got != code {
		c.Fatalf("dovetail %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

// convert works on the mail of the whole site.
func (c *cutover) convert(code int, flags ...string) string {
	c.Helper()
	return c.dovetail(code, slices.Concat([]string{"courier", "--recursive", "--root", c.site.Root, "--convert"}, flags, []string{c.site.Domains()})...)
}

var accountsHint = regexp.MustCompile(`make its accounts with: dovetail (accounts \S+ passwd-file:\S+)`)

// configure makes a configuration of Courier's settings, and the lists of accounts by the commands that it asks for then:
// those of userdb and those of vpopmail.
func (c *cutover) configure() {
	c.Helper()
	said := c.dovetail(2, "courier", "--settings", filepath.Join(c.site.Root, "etc/courier"), "--output", c.etc) // 2: IMAPACCESSFILE and the like
	hints := accountsHint.FindAllStringSubmatch(said, -1)
	if len(hints) != 2 {
		c.Fatalf("not two lists of accounts are asked for:\n%s", said)
	}
	for _, hint := range hints {
		args := strings.Fields(hint[1])
		if strings.HasPrefix(args[1], "vpopmail:") { // its paths are those of the old machine
			args = append(args, "--root", c.site.Root)
		}
		c.dovetail(0, args...)
	}
}

// serve starts Dovecot with what was made. Only what this machine has elsewhere is moved: mail, its owner for any who may run
// the test, and certificates.
func (c *cutover) serve() *dovecot.Daemon {
	c.Helper()
	uid, gid := couriersite.IDs()
	moved := strings.NewReplacer(":/home/vpopmail/", ":"+c.site.Root+"/home/vpopmail/", ":89:89:", fmt.Sprintf(":%d:%d:", uid, gid))
	for _, name := range []string{"users.userdb", "users.vpopmail"} {
		c.edit(filepath.Join(c.etc, name), moved)
	}
	conf := filepath.Join(c.etc, "dovecot.conf")
	c.edit(conf, strings.NewReplacer("</etc/courier/", "<"+c.etc+"/"))
	c.writeKeys()
	return dovecot.ServeConf(c, conf)
}

func (c *cutover) edit(path string, r *strings.Replacer) {
	c.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(r.Replace(string(b))), 0o600) // owner and mode stay
	}
	if err != nil {
		c.Fatal(err)
	}
}

// writeKeys makes what the settings name: certificates with their keys, and parameters that no session of the test uses, so
// that any number of their size will do.
func (c *cutover) writeKeys() {
	c.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mail.example.com"}, NotAfter: time.Now().AddDate(1, 0, 0)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		c.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		c.Fatal(err)
	}
	params, err := asn1.Marshal(struct{ P, G *big.Int }{new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 2048), big.NewInt(1)), big.NewInt(2)})
	if err != nil {
		c.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...)
	for name, text := range map[string][]byte{
		"imapd.pem": both, "pop3d.pem": both,
		"dhparams.pem": pem.EncodeToMemory(&pem.Block{Type: "DH PARAMETERS", Bytes: params}),
	} {
		if err := os.WriteFile(filepath.Join(c.etc, name), text, 0o600); err != nil {
			c.Fatal(err)
		}
	}
}

// mustBeWhole has the checker compare all users but these. Those whom the site itself keeps out of a service are kept out of
// it by Dovecot too.
func (c *cutover) mustBeWhole(d *dovecot.Daemon, but ...string) {
	c.Helper()
	users := slices.DeleteFunc(c.site.Names(), func(user string) bool { return slices.Contains(but, user) })
	r := c.site.Check(d, users...)
	for _, user := range users {
		var want []string
		switch u := c.site.Users[user]; {
		case !u.IMAPAllowed:
			want = []string{"imap_login", "msg_missing"}
		case !u.POP3Allowed:
			want = []string{"pop3_login", "uidl"}
		}
		got, asked := r.Users[user]
		if lost := slices.Sorted(maps.Keys(got.Loss)); !asked || !slices.Equal(lost, want) {
			c.Errorf("%s lost %v, want %q\n%v", user, got.Loss, want, slices.DeleteFunc(slices.Clone(r.Detail), func(line []any) bool { return line[0] != user }))
		}
	}
}

// letIn empties the lists of those who are kept out of a service.
func (c *cutover) letIn() {
	c.Helper()
	lists, err := filepath.Glob(filepath.Join(c.etc, "users.*.deny-*"))
	if err != nil || len(lists) == 0 {
		c.Fatalf("lists %q, %v", lists, err)
	}
	for _, list := range lists {
		if err := os.Truncate(list, 0); err != nil {
			c.Fatal(err)
		}
	}
}

// The site behind the configuration, the accounts and the lists that the commands make of it is for its users what it was.
func TestTheSiteBehindItsOwnConfiguration(t *testing.T) {
	c := newCutover(t)
	c.configure()
	c.convert(0)
	d := c.serve()
	t.Run("all get in, except where the site keeps them out", func(t *testing.T) { c.with(t).mustBeWhole(d) })
	t.Run("R-378 POP3 shows the UIDLs that it showed, in their order", func(t *testing.T) { c.with(t).mustShowUIDLs(d) })
	t.Run("other names of a user", func(t *testing.T) {
		for _, name := range []string{"alice@example.com", "alice@example.org", "alice", "ALICE@Example.COM"} { // itself, alias domain, DEFDOMAIN
			s := d.Login(name, c.site.Users["alice@example.com"].Password)
			if got, want := uint64(s.Status("INBOX").UIDValidity), c.site.Users["alice@example.com"].IMAP.Folders; !slices.ContainsFunc(want, func(f couriersite.Folder) bool {
				return f.Name == "INBOX" && f.UIDValidity == got
			}) {
				t.Errorf("%s sees UIDVALIDITY %d", name, got)
			}
			if lines := s.Cmd("NAMESPACE"); !slices.Contains(lines, `* NAMESPACE (("INBOX." ".")) NIL NIL`) {
				t.Errorf("%s: %q", name, lines)
			}
			s.Close()
		}
	})
	d.Stop()
	d.MustBeClean()
	c.letIn()
	d = c.serve()
	t.Run("R-306 R-373 the checker finds no loss for 17 of 17 users when nobody is kept out", func(t *testing.T) {
		r := c.site.Check(d)
		if len(r.Loss) > 0 || r.Perfect() != 17 {
			t.Errorf("%d of 17 users without loss; lost %v: %v", r.Perfect(), r.Loss, r.Detail)
		}
	})
	d.Stop()
	d.MustBeClean()
}

// with is the same site for a part of the test.
func (c *cutover) with(t *testing.T) *cutover { return &cutover{t, c.site, c.etc} }

func (c *cutover) mustShowUIDLs(d *dovecot.Daemon) {
	c.Helper()
	seen := 0
	for _, name := range c.site.Names() {
		u := c.site.Users[name]
		if !u.POP3Allowed || slices.ContainsFunc(u.POP3, func(m couriersite.PopMessage) bool { return !m.Known }) {
			continue
		}
		var want []string
		for _, m := range u.POP3 {
			want = append(want, m.UIDL)
		}
		p := d.LoginPOP(name, u.Password)
		if got := popList(p); !slices.Equal(got, want) {
			c.Errorf("%s: UIDL %q, was %q", name, got, want)
		}
		p.Quit()
		seen += len(want)
	}
	if seen < 10 {
		c.Errorf("only %d UIDLs were compared", seen)
	}
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

// shown is what either server shows of a user's mailboxes. Courier wraps messages with 8-bit headers, and adds a CR to CRLF.
func shown(s *dovecot.Session) map[string][]string {
	all := map[string][]string{"subscriptions": s.Lsub()}
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
				body := sha256.Sum256([]byte(strings.ReplaceAll(m.Body, "\r", "")))
				lines = append(lines, fmt.Sprintf("%d %q %v %x", m.UID, flags, m.InternalDate, body[:8]))
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
// and Dovecot in its place. Clients see at Dovecot what they saw last at Courier.
func TestR380TheCutOver(t *testing.T) {
	courier.Need(t)
	c := newCutover(t)
	c.configure()
	c.convert(2, "--ignore-running") // 2: it leaves names of folders to the last pass

	before := map[string]map[string][]string{}
	pops := map[string][]string{}
	movers := []string{"ulla@example.net", "yuki@example.net", "zoe@example.net"}
	for _, user := range movers {
		c.live(user)
		j := courier.New(t, c.site.Maildir(user))
		pops[user] = j.UIDLs()
		s := j.IMAP()
		before[user] = shown(s)
		if said := c.convert(75); !strings.Contains(said, "Courier is running") {
			t.Errorf("beside the session of %s the last pass says\n%s", user, said)
		}
		s.Close()
	}

	stopped := time.Now() // Courier is down
	c.convert(0, "--wait-idle", "2s")
	d := c.serve()
	d.Login(movers[0], c.site.Users[movers[0]].Password).Close()
	t.Logf("%v without service", time.Since(stopped))

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
	c.mustBeWhole(d, movers...)
	d.Stop()
	d.MustBeClean()
}
