package accounts

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"dovetail/auth/vpopmail"
	"dovetail/formats/formatstest/dovecot"
)

// odd are accounts that a careless list of colons and spaces loses.
var odd = []struct {
	user     User
	password string
}{
	{User{Name: "o'brien@example.com", Clear: "a:b", Home: "/h/o'brien"}, "a:b"},
	{User{Name: "user+tag@example.com", Clear: " blanks ", Home: "/h/with space"}, " blanks "},
	{User{Name: "a&b=c~d@example.com", Clear: "%u%%", Home: "/h/100%u"}, "%u%%"},
	{User{Name: "colon@example.com", Clear: "{PLAIN}x", Home: "/h/a:b c"}, "{PLAIN}x"},
	{User{Name: "percent@example.com", Clear: "p\u00e4ssw\u00f6rd", Home: "/h/a:b/100%u"}, "p\u00e4ssw\u00f6rd"},
	{User{Name: "ctrl@example.com", Clear: "tab\there", Home: "/h/x", Gecos: "a:b%c\n"}, "tab\there"},
	{User{Name: "old@example.com", Hash: "{PLAIN}a:b", Home: "/h/x"}, "a:b"},
	{User{Name: "des@example.com", Hash: "xYEzwLG5knggo", Home: "/h/x"}, "bobpass"},
	{User{Name: "slash/name@example.com", Clear: "x", Home: "/h/x"}, "x"},
}

func oddList() *List {
	l := &List{Aliases: []Alias{{"example.org", "example.com"}}}
	for _, o := range odd {
		o.user.UID, o.user.GID = "89", "89"
		l.Users = append(l.Users, o.user)
	}
	return l
}

func TestOddAccountsInRealDovecot(t *testing.T) {
	dovecot.Need(t)
	path := filepath.Join(outside(t), "users")
	report := apply(t, oddList(), place(t, "passwd-file:"+path, ""), Options{FS: dovecotReads(t)})
	var left []string
	for _, r := range report.Remarks {
		if r.Kind != Note {
			left = append(left, string(r.Kind)+" "+r.User)
		}
	}
	// A home with both a colon and a space has no place; a tab in a password does not come through.
	if want := []string{"set aside colon@example.com", "loss ctrl@example.com"}; !slices.Equal(left, want) {
		t.Errorf("left over: %q, want %q", left, want)
	}
	s := serve(t, path+".conf")
	for _, o := range odd {
		if o.user.Name == "colon@example.com" {
			continue
		}
		for _, domain := range []string{"@example.com", "@example.org"} {
			name := o.user.Local() + domain
			possible := !strings.ContainsAny(o.password, refused)
			if got := s.knows("imap", name, o.password); got != possible {
				t.Errorf("%s logs in: %v", name, got)
			}
			if got := s.home(name); got != o.user.Home {
				t.Errorf("%s: home %q, want %q", name, got, o.user.Home)
			}
		}
	}
	again, err := Read(t.Context(), place(t, "passwd-file:"+path, ""))
	if err != nil || len(again.Users) != len(odd)-1 || !slices.Equal(again.Aliases, oddList().Aliases) {
		t.Fatalf("%+v, %v", again, err)
	}
	for _, u := range again.Users {
		i := slices.IndexFunc(odd, func(o struct {
			user     User
			password string
		}) bool {
			return o.user.Name == u.Name
		})
		want := odd[i].user
		if u.Home != want.Home || u.Gecos != want.Gecos || u.Clear != "" && u.Clear != odd[i].password {
			t.Errorf("read back as %+v", u)
		}
	}
}

func TestWhoIsKeptOut(t *testing.T) {
	dovecot.Need(t)
	path := filepath.Join(outside(t), "users")
	user := func(name string, f vpopmail.Flags) User {
		a := vpopmail.Account{Name: name, Domain: "example.com", Clear: "x", PwUID: 1, Flags: f, Dir: "/h", Quota: "NOQUOTA"}
		return User{Name: a.Address(), Clear: "x", UID: "89", GID: "89", Home: "/h", Vpopmail: &a, Deny: deniedBy(f)}
	}
	l := &List{Aliases: []Alias{{"example.org", "example.com"}}, Users: []User{
		user("nosmtp", vpopmail.NoSMTP), user("nomail", vpopmail.BounceMail), user("nothing", vpopmail.NoIMAP|vpopmail.NoPOP|vpopmail.NoSMTP|vpopmail.BounceMail),
		user("free", vpopmail.NoWebmail|vpopmail.NoDialup|vpopmail.QAAdmin),
		{Name: "nopassword@example.com", UID: "89", GID: "89", Home: "/h"},
		{Name: "locked@example.com", Hash: "!", UID: "89", GID: "89", Home: "/h"},
		{Name: "emptyplain@example.com", Hash: "{PLAIN}", UID: "89", GID: "89", Home: "/h"},
	}}
	apply(t, l, place(t, "passwd-file:"+path, ""), Options{FS: dovecotReads(t)})
	s := serve(t, path+".conf")
	var all sync.WaitGroup
	for name, services := range map[string]string{"nosmtp": "imap pop3 sieve", "nomail": "imap pop3 smtp submission sieve", "nothing": "sieve", "free": "imap pop3 smtp submission sieve"} {
		for _, service := range strings.Fields("imap pop3 smtp submission sieve") {
			for _, domain := range []string{"@example.com", "@example.org"} {
				all.Go(func() {
					want := slices.Contains(strings.Fields(services), service)
					if got := s.knows(service, name+domain, "x"); got != want {
						t.Errorf("%s, %s: %v, want %v", name+domain, service, got, want)
					}
				})
			}
		}
	}
	for _, name := range []string{"nopassword", "locked", "emptyplain"} {
		for _, password := range []string{"", "x", "!"} {
			all.Go(func() {
				if s.knows("imap", name+"@example.com", password) {
					t.Errorf("%s logs in with %q", name, password)
				}
			})
		}
	}
	all.Wait()
	for name, gets := range map[string]bool{"nosmtp@example.com": true, "nomail@example.com": false, "nomail@example.org": false, "free@example.org": true} {
		out, err := s.doveadm("user", "-x", "service=lmtp", name)
		if (err == nil) != gets {
			t.Errorf("%s gets mail: %v\n%s", name, err, out)
		}
	}
}

// Every scheme that this Dovecot makes goes through a list and lets its owner in.
func TestEverySchemeOfDovecot(t *testing.T) {
	dovecot.Need(t)
	out, err := exec.Command("doveadm", "pw", "-l").Output()
	if err != nil {
		t.Fatal(err)
	}
	l := &List{}
	for _, name := range strings.Fields(string(out)) {
		user := strings.ToLower(name) + "@example.com"
		hash, err := exec.Command("doveadm", "pw", "-s", name, "-u", user, "-p", "secret").Output()
		if err != nil {
			continue // OTP and others that make none
		}
		if exec.Command("doveadm", "pw", "-t", strings.TrimSpace(string(hash)), "-u", user, "-p", "secret").Run() != nil {
			continue // PLAIN-TRUNC is made in a form that is never right
		}
		l.Users = append(l.Users, User{Name: user, Hash: strings.TrimSpace(string(hash)), UID: "89", GID: "89", Home: "/h"})
	}
	if len(l.Users) < 20 {
		t.Fatalf("only %d schemes in %q", len(l.Users), out)
	}
	path := filepath.Join(outside(t), "users")
	report := apply(t, l, place(t, "passwd-file:"+path, ""), Options{FS: dovecotReads(t)})
	if report.LeftOver() {
		t.Errorf("%+v", report.Remarks)
	}
	s := serve(t, path+".conf")
	for _, u := range l.Users {
		if !s.knows("imap", u.Name, "secret") {
			t.Errorf("%s cannot log in", u.Name)
		}
	}
}
