package accounts

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes files below a folder; names that end in "/" are folders.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// told gives names and remarks of a list, short enough to compare.
func told(t *testing.T, p Place) (names, remarks []string) {
	t.Helper()
	l, err := Read(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range l.Users {
		names = append(names, fmt.Sprintf("%s %s:%s %s", u.Name, u.UID, u.GID, u.Home))
	}
	for _, a := range l.Aliases {
		names = append(names, a.Name+"="+a.Real)
	}
	for _, r := range l.Remarks {
		remarks = append(remarks, strings.ReplaceAll(r.String(), p.Root, ""))
	}
	slices.Sort(names)
	return names, remarks
}

func one(name, home string) string { return name + ":xYEzwLG5knggo:1:0::" + home + ":NOQUOTA\n" }

func TestDomainsLieAnywhere(t *testing.T) {
	root := tree(t, map[string]string{
		"var/qmail/users/assign": "+flat.org-:flat.org:89:89:/home/vpopmail/domains/flat.org:-::\n" +
			"+hashed.org-:hashed.org:89:89:/home/vpopmail/domains/3/x/hashed.org:-::\n" +
			"+far.org-:far.org:1001:1002:/srv/far:-::\n" +
			"+alias.org-:far.org:1001:1002:/srv/far:-::\n" +
			"+only-alias.org-:by-alias.org:7:8:/srv/by:-::\n" +
			"+gone.org-:gone.org:89:89:/home/vpopmail/domains/gone.org:-::\n.\n",
		"home/vpopmail/domains/flat.org/vpasswd":        one("ann", "/home/vpopmail/domains/flat.org/ann") + one("bob", ""),
		"home/vpopmail/domains/3/x/hashed.org/vpasswd":  one("ann", "/home/vpopmail/domains/3/x/hashed.org/0/A/z/ann"),
		"home/vpopmail/domains/4/stray.org/vpasswd":     one("eve", "/x"),
		"home/vpopmail/domains/flat.org/.qmail-sales":   "&ann@flat.org\n",
		"home/vpopmail/domains/flat.org/.qmail-default": "| vdelivermail '' bounce-no-mailbox\n",
		"srv/far/vpasswd": one("ann", "/srv/far/ann"), "srv/far/ann/Maildir/cur/x": "",
		"srv/by/vpasswd": one("ann", "/srv/by/ann"),
	})
	names, remarks := told(t, place(t, "vpopmail:/home/vpopmail", root))
	want := []string{
		"alias.org=far.org", "ann@by-alias.org 7:8 /srv/by/ann", "ann@far.org 1001:1002 /srv/far/ann",
		"ann@flat.org 89:89 /home/vpopmail/domains/flat.org/ann", "ann@hashed.org 89:89 /home/vpopmail/domains/3/x/hashed.org/0/A/z/ann",
		"bob@flat.org 89:89 ", "only-alias.org=by-alias.org",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %q\nwant %q", names, want)
	}
	want = []string{
		"damage: /home/vpopmail/domains/4/stray.org has accounts and no line of users/assign names it: they are not read",
		"note: domain flat.org: 1 addresses only forward or run programs; they are for the mail transfer agent and no accounts",
		"note: ann@flat.org: there is no folder /home/vpopmail/domains/flat.org/ann",
		"note: ann@hashed.org: there is no folder /home/vpopmail/domains/3/x/hashed.org/0/A/z/ann",
		"damage: domain gone.org: open /home/vpopmail/domains/gone.org/vpasswd: no such file or directory\nopen /home/vpopmail/domains/gone.org/vpasswd.cdb: no such file or directory",
		"note: ann@by-alias.org: there is no folder /srv/by/ann",
	}
	for i, r := range remarks {
		if i >= len(want) || r != want[i] && r != fmt.Sprintf("%q", want[i]) && !strings.HasPrefix(r, "damage: \"domain gone.org") {
			t.Errorf("remark %q", r)
		}
	}
	if len(remarks) != len(want) {
		t.Errorf("%d remarks, want %d", len(remarks), len(want))
	}
}

func TestWithoutAListOfDomainsTheFoldersAreAsked(t *testing.T) {
	root := tree(t, map[string]string{
		"home/vpopmail/domains/Flat.org/vpasswd": one("ann", "/h"), "home/vpopmail/domains/3/hashed.org/vpasswd": one("ann", "/h"),
	})
	uid, gid := os.Getuid(), os.Getgid()
	names, remarks := told(t, place(t, "vpopmail:/home/vpopmail", root))
	want := []string{fmt.Sprintf("ann@flat.org %d:%d /h", uid, gid), fmt.Sprintf("ann@hashed.org %d:%d /h", uid, gid)}
	if !slices.Equal(names, want) || len(remarks) != 3 || !strings.Contains(remarks[0], "/var/qmail/users: no list of domains") {
		t.Errorf("got %q, %q", names, remarks)
	}
	names, _ = told(t, place(t, "vpopmail:/home/vpopmail/domains/3/hashed.org", root))
	if !slices.Equal(names, want[1:]) {
		t.Errorf("one domain: %q", names)
	}
}

func TestTheCompiledListOfDomainsCounts(t *testing.T) {
	root := unpacked(t)
	assign := filepath.Join(root, "var/qmail/users/assign")
	text := strings.Replace(read(t, assign), "+example.org-", "+other.org-", 1)
	if err := os.WriteFile(assign, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	names, remarks := told(t, place(t, "vpopmail:/home/vpopmail", root))
	if !slices.Contains(names, "example.org=example.com") || slices.Contains(names, "other.org=example.com") {
		t.Errorf("got %q", names)
	}
	told := strings.Join(remarks, "\n")
	if !strings.Contains(told, "has not: other.org") || !strings.Contains(told, "has not: example.org") {
		t.Errorf("remarks %q", remarks)
	}
	if names, _ = told2(t, root); !slices.Contains(names, "other.org=example.com") {
		t.Errorf("with the file named: %q", names)
	}
}

func told2(t *testing.T, root string) (names, remarks []string) {
	t.Helper()
	return told(t, place(t, "vpopmail:/home/vpopmail:assign=/var/qmail/users/assign", root))
}

func TestLimitsOfADomainKeepItsAccountsOut(t *testing.T) {
	root := tree(t, map[string]string{
		"d/x.org/vpasswd":             "ann:h:1:8::/h:NOQUOTA\nbob:h:1:8192::/h:NOQUOTA\n",
		"d/x.org/.qmailadmin-limits":  "disable_pop\ndisable_smtp\n",
		"d/x.org/ann/Maildir/cur/new": "",
	})
	l, err := Read(context.Background(), place(t, "vpopmail:"+root+"/d/x.org", ""))
	if err != nil || len(l.Users) != 2 {
		t.Fatal(l, err)
	}
	if l.Users[0].Deny != IMAP|POP3|SMTP || l.Users[1].Deny != 0 {
		t.Errorf("ann %b, bob %b", l.Users[0].Deny, l.Users[1].Deny)
	}
}

func TestUserdbOfCourier(t *testing.T) {
	root := tree(t, map[string]string{"db": `ann@x	uid=1|gid=2|home=/h|mail=/h/Maildir|systempw=xYEzwLG5knggo|quota=10MB|options=disableimap=1,disablepop3=0
bob@x	uid=1|gid=2|home=/h|mail=/m/Bob|imappw=xYEzwLG5knggo
cid@x	uid=1|gid=2|home=/h|systempw=xYEzwLG5knggo|pop3pw=zzz|options=disablewebmail=1,sharedgroup=g|imaphmac-md5pw=00
dan@x	uid=1|gid=2|home=/h|systempw=xYEzwLG5knggo|quota=lots
qqq
Ann@x	uid=9
`})
	l, err := Read(context.Background(), place(t, "userdb:/db", root))
	if err != nil || len(l.Users) != 4 {
		t.Fatal(l, err)
	}
	ann, bob := l.Users[0], l.Users[1]
	if ann.Deny != IMAP || ann.Mail != "" || ann.Quota.Bytes != 10<<20 || bob.Mail != "maildir:/m/Bob" || bob.Hash != "xYEzwLG5knggo" {
		t.Errorf("got %+v, %+v", ann, bob)
	}
	var got []string
	for _, r := range l.Remarks {
		got = append(got, string(r.Kind)+" "+r.User)
		if strings.Contains(r.What, "zzz") || strings.Contains(r.What, "qqq") {
			t.Errorf("quoted: %s", r)
		}
	}
	slices.Sort(got)
	want := []string{"damage ", "loss bob@x", "loss cid@x", "loss cid@x", "loss cid@x", "loss dan@x", "set aside Ann@x"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A passwd-file made by hand comes through with all that is in it.
func TestAForeignPasswdFileIsKept(t *testing.T) {
	text := `# by hand
ann:{SSHA}76RX9zNx7lJuOkhIDTApu3Kc0LLwZXs+:vmail:vmail:Ann:/h/ann:/bin/false:userdb_quota_rule=*:storage=1G userdb_quota_rule2=Trash:ignore nologin allow_nets=10.0.0.0/8,::1 userdb_home=/h/%u
bob@x:{PLAIN}pw:::::
old:{CRYPT}xYEzwLG5knggo:1:2::/h:::mbox:~/mail
`
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	carry(t, place(t, "passwd-file:"+from, ""), place(t, "passwd-file:"+to, ""), Options{})
	want := `ann:{SSHA}76RX9zNx7lJuOkhIDTApu3Kc0LLwZXs+:vmail:vmail:Ann:/h/ann:/bin/false:userdb_quota_rule=*:bytes=1073741824 userdb_quota_rule2=Trash:ignore nologin allow_nets=10.0.0.0/8,::1 userdb_home=/h/%u
bob@x:{PLAIN}pw::::::
old:{CRYPT}xYEzwLG5knggo:1:2::/h::userdb_mail=mbox:~/mail
`
	if got := read(t, to); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestASchemeThatIsNotInTheFile(t *testing.T) {
	for _, tc := range []struct{ name, stored, option, want string }{
		{"the default is left to Dovecot", "xYEzwLG5knggo", "", "xYEzwLG5knggo"},
		{"one that has a prefix", "{SSHA}x", "PLAIN", "{SSHA}x"},
		{"one of the option", "secret", "PLAIN", "{PLAIN}secret"},
		{"MD5 is known without", "$1$a$b", "PLAIN", "$1$a$b"},
		{"libpam-pwdfile, DES", "xYEzwLG5knggo[13]", "", "{CRYPT}xYEzwLG5knggo"},
		{"libpam-pwdfile, MD5", "5ebe2294ecd0e0f08eab7690d2a6ee69[34]", "PLAIN", "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69"},
		{"brackets alone", "[13]", "", "[13]"},
		{"nothing", "", "PLAIN", ""},
	} {
		if got := withScheme(tc.stored, tc.option); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, spec := range []string{"", "vpopmail", "vpopmail:", "nothing:/x", "passwd-file:/x:y=z", "vpopmail:/x:assign"} {
		if p, err := ParsePlace(spec, ""); err == nil {
			t.Errorf("%q is %+v", spec, p)
		}
	}
	p, err := ParsePlace("vpopmail:/home/v:assign=/q/assign", "/mnt")
	if err != nil || p.at(p.Path) != "/mnt/home/v" || p.at(p.Keys["assign"]) != "/mnt/q/assign" || p.String() != "vpopmail:/home/v:assign=/q/assign" {
		t.Errorf("got %+v, %v", p, err)
	}
	if p, err = ParsePlace("passwd-file:/etc/users", "/mnt"); err != nil || p.at(p.Path) != "/etc/users" {
		t.Errorf("got %+v, %v", p, err)
	}
}
