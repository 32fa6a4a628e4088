package accounts

import (
	"strings"
	"testing"

	"dovetail/auth/passwdfile"
	"dovetail/auth/scheme"
	"dovetail/auth/vpopmail"
)

// throughAFile writes a user into a passwd-file and reads it again; false when the file cannot hold it.
func throughAFile(t *testing.T, u User, preferHash bool) (User, bool) {
	t.Helper()
	e, _, err := newEntry(u, preferHash)
	if err != nil {
		return User{}, false
	}
	line, err := e.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	again, ok := passwdfile.Parse(strings.TrimSuffix(string(line), "\n"))
	if !ok {
		t.Fatalf("%q is no entry", line)
	}
	back, words := readEntry(again, u.Deny)
	if len(words) > 0 {
		t.Fatalf("%q has unknown fields %q", line, words)
	}
	return back, true
}

func ofAccount(a vpopmail.Account, limits vpopmail.Flags) User {
	quota, _ := vpopmail.ParseQuota(a.Quota)
	return User{
		Name: a.Address(), Hash: a.Hash, Clear: a.Clear, UID: "89", GID: "89", Gecos: a.Gecos, Home: a.Dir, Quota: quota,
		Deny: deniedBy(a.Flags.Effective(vpopmail.Limits{Flags: limits})), Vpopmail: &a, Limits: limits,
	}
}

func TestAPasswordThatWasChangedSinceDoesNotBringTheOldHashBack(t *testing.T) {
	u := ofAccount(vpopmail.Account{Name: "ann", Domain: "x.org", Hash: "xYEzwLG5knggo", Clear: "old", PwUID: 1, Dir: "/h", Quota: "NOQUOTA"}, 0)
	for name, tc := range map[string]struct {
		password, hash, clear string
	}{
		"as it was":       {"{PLAIN}old", "xYEzwLG5knggo", "old"},
		"another":         {"{PLAIN}new", "", "new"},
		"a hash":          {"{CRYPT}$6$salt$hash", "$6$salt$hash", ""},
		"another's hash":  {"{SHA512-CRYPT}$6$salt$hash", "$6$salt$hash", ""},
		"one of Dovecot":  {"{SSHA}76RX9zNx7lJuOkhIDTApu3Kc0LLwZXs+", "", ""},
		"taken away":      {"", "", ""},
		"bcrypt by name":  {"{BLF-CRYPT}$2y$05$sM9QhrQQMVuwztvl7XMcUeP3PVaReBB0734xumwUUHXzxN/FPK7BS", "$2y$05$sM9QhrQQMVuwztvl7XMcUeP3PVaReBB0734xumwUUHXzxN/FPK7BS", ""},
		"locked by a man": {"!", "", ""},
	} {
		e, _, err := newEntry(u, false)
		if err != nil {
			t.Fatal(err)
		}
		e.Password = tc.password
		back, _ := readEntry(e, 0)
		a, err := newAccount(back)
		if a.Hash != tc.hash || a.Clear != tc.clear {
			t.Errorf("%s: hash %q, clear %q, %v", name, a.Hash, a.Clear, err)
		}
		if lost := tc.hash == "" && tc.password != ""; (err == errNoHash) != lost {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsChangedInAPasswdFileGoesBack(t *testing.T) {
	limits := vpopmail.NoPOP
	u := ofAccount(vpopmail.Account{Name: "ann", Domain: "x.org", Hash: "xYEzwLG5knggo", PwUID: 2, Flags: vpopmail.NoIMAP | vpopmail.QAAdmin, Dir: "/h", Quota: "20MB"}, limits)
	e, _, err := newEntry(u, false)
	if err != nil {
		t.Fatal(err)
	}
	same, _ := readEntry(e, IMAP|POP3)
	if *same.Vpopmail != *u.Vpopmail {
		t.Errorf("unchanged: %+v", same.Vpopmail)
	}
	e.Extra = []passwdfile.Field{{Key: "userdb_quota_rule", Value: "*:storage=1M:messages=7"}}
	e.Home = "/other"
	back, _ := readEntry(e, SMTP)
	want := *u.Vpopmail
	want.Flags, want.Quota, want.Dir = vpopmail.NoSMTP|vpopmail.QAAdmin, "1048576S,7C", "/other"
	if *back.Vpopmail != want {
		t.Errorf("got %+v, want %+v", *back.Vpopmail, want)
	}
}

func TestQuotaRules(t *testing.T) {
	for rule, want := range map[string]vpopmail.Quota{
		"*:bytes=5": {Bytes: 5}, "*:storage=5": {Bytes: 5 << 10}, "*:storage=5M": {Bytes: 5 << 20}, "*:storage=1G:messages=3": {Bytes: 1 << 30, Messages: 3},
		"*:messages=3": {Messages: 3}, "*:bytes=7b": {Bytes: 7},
	} {
		if got, ok := parseQuotaRule(rule); !ok || got != want {
			t.Errorf("%q gave %+v, %v", rule, got, ok)
		}
	}
	for _, rule := range []string{"", "*", "Trash:ignore", "*:storage=+10%%", "*:bytes=-1", "*:bytes=99999999999999999999", "*:ignore", "*:storage=9223372036854775807G"} {
		if got, ok := parseQuotaRule(rule); ok {
			t.Errorf("%q gave %+v", rule, got)
		}
	}
}

// Every account of vpopmail that a passwd-file takes comes back as it was, whatever is in it.
func FuzzThereAndBack(f *testing.F) {
	f.Add("ann", "xYEzwLG5knggo", "cl:ear", "Ann: 100%", "/h/a:b", "10MB,5C", 1, uint32(8), uint32(2), false)
	f.Add("o'brien", "", "", "", "", "", 2, uint32(0), uint32(0), true)
	f.Fuzz(func(t *testing.T, name, hash, clear, gecos, dir, quota string, uid int, flags, limits uint32, preferHash bool) {
		a := vpopmail.Account{Name: name, Domain: "x.org", Hash: hash, Clear: clear, PwUID: uid, Flags: vpopmail.Flags(flags), Gecos: gecos, Dir: dir, Quota: quota}
		if _, isClear := scheme.Clear(hash); isClear {
			return // it comes back as a password in clear text, which it is
		}
		back, ok := throughAFile(t, ofAccount(a, vpopmail.Flags(limits)), preferHash)
		if !ok {
			return
		}
		if preferHash && scheme.Tell(hash).Stored != "" {
			a.Clear = "" // that is what the option is for
		}
		if got := *back.Vpopmail; got != a {
			t.Fatalf("%+v came back as %+v", a, got)
		}
	})
}

func FuzzNote(f *testing.F) {
	f.Add("pw_uid=1 pw_gid=8 pw_shell=20MB pw_passwd=$1$a pw_check=1f2e3d4c pw_limits=2")
	f.Fuzz(func(t *testing.T, shell string) {
		readNote(shell) // it must only not panic
		parseQuotaRule(shell)
		if got := unescape(escape(shell)); got != shell {
			t.Fatalf("%q came back as %q", shell, got)
		}
	})
}
