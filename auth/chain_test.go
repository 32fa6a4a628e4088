package auth

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMasterUsers(t *testing.T) {
	masters := accounts(map[string]Fields{"boss": {{"password", "bp"}}})
	for _, c := range []struct {
		name   string
		master *PassEntry
		want   [4]string // of u1*boss, nosuch*boss, u1*boss with a wrong password, boss alone
		log    string
	}{
		{"and the user must be in a passdb", &PassEntry{Success: Continue},
			[4]string{"ok user=u1 fa=1 original_user=boss auth_user=boss", "no authz_fail original_user=boss auth_user=boss", "no", "no"},
			"INFO: users(boss,192.0.2.7,master,<s1>): Master user logging in as u1\n"},
		{"and the userdb decides", &PassEntry{}, [4]string{"ok user=u1 original_user=boss auth_user=boss", "ok user=nosuch original_user=boss auth_user=boss", "no", "no"},
			"INFO: users(boss,192.0.2.7,master,<s1>): Master user logging in as nosuch\n"},
		{"that do not exist", nil, [4]string{"no", "no", "no", "no"}, "INFO: plain(boss,192.0.2.7,<s1>): Master user login attempted without master passdbs\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain := []PassEntry{{Driver: "sql", ImportAll: true, DB: accounts(map[string]Fields{"u1": {{"password", "pa"}, {"fa", "1"}}})}}
			if c.master != nil {
				c.master.Driver, c.master.Name, c.master.DB, c.master.Master, c.master.ImportAll = "passwd-file", "users", masters, true, true
				chain = append(chain, *c.master)
			}
			s, log := must(t, Options{MasterSeparator: "*"}, chain, nil)
			for i, one := range [][2]string{{"u1*boss", "bp"}, {"nosuch*boss", "bp"}, {"u1*boss", "pa"}, {"boss", "bp"}} {
				if got := text(s.Login(context.Background(), client, one[0], one[1])); got != c.want[i] {
					t.Errorf("%s with %s: got %s, want %s", one[0], one[1], got, c.want[i])
				}
			}
			if !strings.Contains(log.String(), c.log) {
				t.Errorf("no %q in\n%s", c.log, log)
			}
		})
	}
}

func TestAnAuthorizationNameIsAMasterUsersLogin(t *testing.T) {
	s, log := must(t, Options{Mechanisms: []string{"PLAIN", "CRAM-MD5"}}, []PassEntry{
		{Driver: "sql", ImportAll: true, DB: accounts(map[string]Fields{"boss": {{"password", "bp"}}}), Master: true, Success: Continue},
		{Driver: "sql", ImportAll: true, DB: accounts(map[string]Fields{"u1": {{"password", "pa"}}})}}, nil)
	for _, c := range []struct{ response, want string }{
		{"u1\x00boss\x00bp", "ok user=u1 original_user=boss auth_user=boss"},
		{"u1\x00u1\x00pa", "ok user=u1"},
		{"\x00u1\x00pa", "ok user=u1"},
		{"u1\x00boss\x00pa", "no"},
		{"u2\x00u1\x00pa", "no"},
		{"\x00u1*boss\x00bp", "no"},
		{"nonsense", "no"},
		{"\x00\x00", "no"},
	} {
		x, err := s.Begin(client, "plain")
		if err != nil {
			t.Fatal(err)
		}
		if _, done := x.Step(context.Background(), []byte(c.response)); done == nil || text(done) != c.want {
			t.Errorf("%q: got %+v, want %s\n%s", c.response, done, c.want, log)
		}
	}
	if _, err := s.Begin(client, "SCRAM-SHA-1"); !errors.Is(err, ErrMechanism) {
		t.Errorf("a mechanism that is not offered: %v", err)
	}
	if got := s.Mechanisms(); len(got) != 2 || !got[0].Plaintext || got[1].Plaintext {
		t.Errorf("offered are %+v", got)
	}
}

func TestWhatTheRulesSayHoldsForChallengesToo(t *testing.T) {
	stored := map[string]Fields{"u1": {{"password", "{SHA512-CRYPT}$6$x$y"}}, "u2": {{"password", "{PLAIN}pa"}, {"allow_nets", "10.0.0.1"}}}
	s, log := must(t, Options{Mechanisms: []string{"CRAM-MD5"}}, []PassEntry{{Driver: "sql", ImportAll: true, DB: accounts(stored)}}, nil)
	for user, want := range map[string]string{
		"u1": "Requested CRAM-MD5 scheme, but we have only SHA512-CRYPT",
		"u2": "allow_nets check failed: IP 192.0.2.7 not in allowed networks",
		"u3": "unknown user",
	} {
		x, err := s.Begin(client, "CRAM-MD5")
		if err != nil {
			t.Fatal(err)
		}
		if challenge, done := x.Step(t.Context(), nil); done != nil || len(challenge) == 0 {
			t.Fatalf("challenge %q, %+v", challenge, done)
		}
		_, done := x.Step(t.Context(), []byte(user+" 0123456789abcdef0123456789abcdef"))
		if done == nil || done.OK || done.Code != "" || !strings.Contains(log.String(), "sql("+user+",192.0.2.7,<s1>): "+want) {
			t.Errorf("%s: %+v\n%s", user, done, log)
		}
	}
}

func TestAProofThatDoesNotFitIsSaidByTheMechanism(t *testing.T) {
	s, log := must(t, Options{Mechanisms: []string{"CRAM-MD5"}}, []PassEntry{{Driver: "sql", ImportAll: true, DB: accounts(map[string]Fields{"u1": {{"password", "{PLAIN}pa"}}})}}, nil)
	for _, password := range []string{"pb", "pa"} {
		x, err := s.Begin(client, "CRAM-MD5")
		if err != nil {
			t.Fatal(err)
		}
		challenge, _ := x.Step(t.Context(), nil)
		h := hmac.New(md5.New, []byte(password))
		h.Write(challenge)
		_, done := x.Step(t.Context(), fmt.Appendf(nil, "u1 %x", h.Sum(nil)))
		if done == nil || done.OK != (password == "pa") || done.Code != "" {
			t.Errorf("%s: %+v", password, done)
		}
	}
	if want := "INFO: cram-md5(u1,192.0.2.7,<s1>): Password mismatch\n"; log.String() != want {
		t.Errorf("log %q, want %q", log, want)
	}
}

func TestCertificatesAndAnonymousUsers(t *testing.T) {
	open := accounts(map[string]Fields{"u1": {{"nopassword", ""}}, "u2": {{"password", "p"}}})
	for _, c := range []struct {
		name, mechanism string
		o               Options
		valid           bool
		cert            string
		response, want  string
	}{
		{"EXTERNAL", "EXTERNAL", Options{UsernameFromCert: true}, true, "u1", "", "ok user=u1"},
		{"EXTERNAL where names are not in certificates", "EXTERNAL", Options{}, true, "u1", "", "no"},
		{"EXTERNAL needs nopassword", "EXTERNAL", Options{UsernameFromCert: true}, true, "u2", "", "no"},
		{"EXTERNAL without a certificate", "EXTERNAL", Options{UsernameFromCert: true}, false, "u1", "", "no"},
		{"the name of the certificate wins", "PLAIN", Options{UsernameFromCert: true}, true, "u2", "\x00other\x00p", "ok user=u2 original_user=other"},
		{"a name without a valid certificate does not", "PLAIN", Options{UsernameFromCert: true}, false, "u2", "\x00other\x00p", "no"},
		{"a certificate is demanded", "PLAIN", Options{RequireCert: true}, false, "", "\x00u2\x00p", "no"},
		{"a certificate is shown", "PLAIN", Options{RequireCert: true}, true, "", "\x00u2\x00p", "ok user=u2"},
		{"one with a name is demanded", "PLAIN", Options{RequireCert: true, UsernameFromCert: true}, true, "", "\x00u2\x00p", "no"},
		{"ANONYMOUS", "ANONYMOUS", Options{Anonymous: "nobody"}, false, "", "me@here", "ok user=nobody anonymous="},
		{"ANONYMOUS without a name", "ANONYMOUS", Options{}, false, "", "me@here", "no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Mechanisms = []string{c.mechanism}
			s, log := must(t, c.o, []PassEntry{{Driver: "sql", ImportAll: true, DB: open}}, nil)
			r := client
			r.ValidCert, r.CertUser = c.valid, c.cert
			x, err := s.Begin(r, c.mechanism)
			if err != nil {
				t.Fatal(err)
			}
			if _, done := x.Step(t.Context(), []byte(c.response)); done == nil || text(done) != c.want {
				t.Errorf("got %+v, want %s\n%s", done, c.want, log)
			}
		})
	}
}

func TestUserdbsOfALogin(t *testing.T) {
	pass := accounts(map[string]Fields{"u1": {{"password", "p"}, {"userdb_uid", "1001"}, {"userdb_quota", "1M"}}, "u2": {{"password", "p"}}, "u3": {{"password", "p"}}})
	users := accounts(map[string]Fields{"u1": {{"uid", "5"}}, "u2": {{"uid", "1002"}, {"gid", "8,9,9,7"}, {"home", "/h/u2"}, {"mail_plugins", "quota"}}})
	s, log := must(t, Options{FirstUID: 500, FirstGID: 1}, []PassEntry{{Driver: "sql", ImportAll: true, DB: pass}},
		[]UserEntry{{Driver: "prefetch", DB: Prefetch{}, ImportAll: true}, {Driver: "sql", DB: users, ImportAll: true}})
	ctx := context.Background()
	u, err := s.Finish(ctx, s.Login(ctx, client, "u1", "p"))
	if err != nil || u.UID != 1001 || u.Fields.Value("quota") != "1M" {
		t.Errorf("what the passdb has fetched: %+v, %v", u, err)
	}
	if u, err = s.User(ctx, client, "u1"); err != nil || u.UID != 5 {
		t.Errorf("without a login the next userdb is asked: %+v, %v", u, err)
	}
	u, err = s.Finish(ctx, s.Login(ctx, client, "u2", "p"))
	if err != nil || u.UID != 1002 || u.GID != 8 || !slices.Equal(u.Groups, []uint32{7, 9}) || u.Home != "/h/u2" || u.Fields.Value("mail_plugins") != "quota" {
		t.Errorf("got %+v, %v", u, err)
	}
	if _, err = s.Finish(ctx, s.Login(ctx, client, "u3", "p")); !errors.Is(err, ErrUnknown) || !strings.Contains(log.String(), "user not found from any userdbs") {
		t.Errorf("one who is in none: %v\n%s", err, log)
	}
	if _, err = s.Finish(ctx, s.Login(ctx, client, "u3", "x")); err == nil {
		t.Error("a login that failed has a user")
	}
}

func TestUserdbStaticAsksThePassdbs(t *testing.T) {
	pass := accounts(map[string]Fields{"u1": {{"password", "p"}}, "gone": {{"password", "p"}}})
	deny := accounts(map[string]Fields{"gone": nil})
	everybody := []UserEntry{{Driver: "static", DB: anybody{}, AskPass: true, ImportAll: true}}
	s, _ := must(t, Options{}, []PassEntry{{Driver: "passwd-file", DB: deny, Deny: true}, {Driver: "sql", DB: pass, ImportAll: true}}, everybody)
	ctx := context.Background()
	if u, err := s.User(ctx, client, "u1"); err != nil || u.Home != "/h/u1" {
		t.Errorf("u1: %+v, %v", u, err)
	}
	for _, name := range []string{"u2", "gone"} {
		if _, err := s.User(ctx, client, name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	pass.down.Store(true)
	if _, err := s.User(ctx, client, "u1"); !errors.Is(err, ErrTemporary) {
		t.Errorf("while it is down: %v", err)
	}
	s, log := must(t, Options{}, []PassEntry{{Driver: "pam", DB: &silent{}}}, everybody)
	if _, err := s.User(ctx, client, "u1"); !errors.Is(err, ErrTemporary) || !strings.Contains(log.String(), "passdb doesn't support lookups, can't verify user's existence") {
		t.Errorf("where no passdb can tell: %v\n%s", err, log)
	}
}

// anybody is a userdb in which everybody is.
type anybody struct{}

func (anybody) Find(_ context.Context, r *Request) (Fields, error) {
	return Fields{{"uid", "1000"}, {"home", "/h/" + r.User}}, nil
}

func TestUserFieldsOfTheSystem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "owner")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db := accounts(map[string]Fields{
		"names":    {{"uid", "root"}, {"gid", "root"}},
		"nobodies": {{"uid", "no-such-user"}},
		"groups":   {{"gid", "no-such-group"}},
		"big":      {{"uid", "4294967295"}},
		"owner":    {{"uidgid_file", file}},
		"noowner":  {{"uidgid_file", file + "x"}},
		"tempfail": {{"tempfail", "yes"}},
		"system":   {{"system_user", "root"}},
		"import":   {{"userdb_import", "a=1\tb\tuid=7"}},
		"keys":     {{"_", "x"}, {"a:protected", "1"}, {"a:protected", "2"}, {"b", "1"}, {"b:remove", ""}},
		"renamed":  {{"username", "other"}},
		"empty":    {{"user", ""}},
	})
	s, log := must(t, Options{}, nil, []UserEntry{{Driver: "sql", DB: db, ImportAll: true}})
	for _, c := range []struct{ user, want, log string }{
		{"names", "uid=0 gid=0", ""},
		{"nobodies", "", "ERROR: sql(nobodies,192.0.2.7,<s1>): Invalid UID value 'no-such-user'"},
		{"groups", "", "ERROR: sql(groups,192.0.2.7,<s1>): Invalid GID value 'no-such-group'"},
		{"big", "", "Invalid UID value '4294967295'"},
		{"owner", "uid=" + idText(uint32(os.Getuid())) + " gid=" + idText(uint32(os.Getgid())), ""},
		{"noowner", "", "no such file or directory"},
		{"tempfail", "", ""},
		{"system", "system_groups_user=root", "WARN: sql(system,192.0.2.7,<s1>): Replace system_user with system_groups_user"},
		{"import", "a=1 b= uid=7", ""},
		{"keys", "a=1", ""},
		{"renamed", "", ""},
		{"empty", "", "username attempted to be changed to empty"},
	} {
		u, err := s.User(context.Background(), client, c.user)
		var words []string
		if err == nil {
			for _, f := range u.Fields {
				words = append(words, f.Key+"="+f.Value)
			}
		}
		if got := strings.Join(words, " "); got != c.want || !strings.Contains(log.String(), c.log) {
			t.Errorf("%s: got %q, %v; want %q\n%s", c.user, got, err, c.want, log)
		}
	}
	if u, err := s.User(context.Background(), client, "renamed"); err != nil || u.Name != "other" || u.AuthUser != "renamed" {
		t.Errorf("renamed: %+v, %v", u, err)
	}
	if u, err := s.User(context.Background(), client, "names"); err != nil || u.Allowed() == nil {
		t.Errorf("root may see mail: %+v, %v", u, err)
	}
}

func TestIDsThatMaySeeMail(t *testing.T) {
	valid := ids{500, 1000, 100, 200}
	for _, c := range []struct {
		name string
		u    User
		want string
	}{
		{"root, with first_valid_uid = 0", User{HasUID: true}, "Mail access for users with UID 0 not permitted (see first_valid_uid in config file, uid from userdb lookup)."},
		{"below the first", User{UID: 8, HasUID: true, valid: valid}, "Mail access for users with UID 8 not permitted (see first_valid_uid in config file, uid from userdb lookup)."},
		{"R-165 above the last", User{UID: 1001, HasUID: true, valid: valid}, "Mail access for users with UID 1001 not permitted (see first_valid_uid in config file, uid from userdb lookup)."},
		{"the first", User{UID: 500, HasUID: true, valid: valid}, ""},
		{"the last", User{UID: 1000, GID: 200, HasUID: true, HasGID: true, valid: valid}, ""},
		{"no last", User{UID: 1 << 31, HasUID: true, valid: ids{firstUID: 500}}, ""},
		{"R-086 a group below the first", User{UID: 500, HasUID: true, HasGID: true, valid: ids{firstGID: 1}}, "Mail access for users with GID 0 not permitted (see first_valid_gid in config file, gid from userdb lookup)."},
		{"a group above the last", User{GID: 201, HasGID: true, valid: valid}, "Mail access for users with GID 201 not permitted (see first_valid_gid in config file, gid from userdb lookup)."},
		{"none of them known", User{valid: valid}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := c.u.Allowed(); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// names is a userdb that has a list.
type names struct {
	anybody
	list []string
	err  error
}

func (n names) Users(context.Context, *Request) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range n.list {
			if !yield(name, nil) {
				return
			}
		}
		if n.err != nil {
			yield("", n.err)
		}
	}
}

func TestUsersAreListedByMasks(t *testing.T) {
	broken := errors.New("connection lost")
	s, _ := must(t, Options{}, nil, []UserEntry{{Driver: "static", DB: anybody{}}, {Driver: "sql", DB: names{list: []string{"ann", "bob@d"}, err: broken}}, {Driver: "passwd-file", DB: names{list: []string{"ann", "cid@d"}}}})
	for _, c := range []struct {
		mask []string
		want string
	}{{nil, "ann bob@d ! ann cid@d"}, {[]string{"*@d"}, "bob@d ! cid@d"}, {[]string{"a??", "c*"}, "ann ! ann cid@d"}, {[]string{"ann"}, "ann ! ann"}} {
		var got []string
		for name, err := range s.Users(context.Background(), client, c.mask...) {
			if errors.Is(err, broken) {
				name = "!"
			}
			got = append(got, name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: got %q, want %s", c.mask, got, c.want)
		}
	}
	s, log := must(t, Options{}, nil, []UserEntry{{Driver: "static", DB: anybody{}}})
	for _, err := range s.Users(context.Background(), client) {
		if !errors.Is(err, ErrNoList) || !strings.Contains(log.String(), "Trying to iterate users, but userdbs don't support it") {
			t.Errorf("%v\n%s", err, log)
		}
	}
}

func TestProxyMaybe(t *testing.T) {
	for _, c := range []struct{ name, fields, want string }{
		{"proxy", "proxy=y host=192.0.2.1", "ok user=u1 proxy= host=192.0.2.1 pass=p"},
		{"proxy to itself", "proxy=y host=192.0.2.9", "ok user=u1 proxy= host=192.0.2.9 pass=p"},
		{"maybe, another host", "proxy_maybe=y host=192.0.2.1", "ok user=u1 host=192.0.2.1 proxy= pass=p"},
		{"maybe, this host", "proxy_maybe=y host=192.0.2.9 destuser=x", "ok user=u1"},
		{"maybe, one of this host's other addresses", "proxy_maybe=y host=::1", "ok user=u1"},
		{"maybe, this host at the same port", "proxy_maybe=y host=192.0.2.9 port=143", "ok user=u1"},
		{"maybe, this host at another port", "proxy_maybe=y host=192.0.2.9 port=144", "ok user=u1 host=192.0.2.9 port=144 proxy= pass=p"},
		{"always", "proxy_maybe=y proxy_always=y host=192.0.2.9", "ok user=u1 proxy= pass=p"},
		{"the address is known", "proxy=y host=mail.example hostip=192.0.2.1", "ok user=u1 proxy= host=mail.example hostip=192.0.2.1 pass=p"},
		{"the address is none", "proxy=y host=mail.example hostip=mail", "no temp_fail hostip=mail"},
		{"no host", "proxy=y", "ok user=u1 proxy= lip=192.0.2.9 lport=143 pass=p"},
	} {
		fields := Fields{{"password", "p"}}
		for word := range strings.FieldsSeq(c.fields) {
			key, value, _ := strings.Cut(word, "=")
			fields = append(fields, Field{key, value})
		}
		s, log := must(t, Options{ProxySelf: []netip.Addr{netip.MustParseAddr("::1")}},
			[]PassEntry{{Driver: "sql", ImportAll: true, DB: accounts(map[string]Fields{"u1": fields})}}, nil)
		r := client
		r.Local = netip.MustParseAddrPort("192.0.2.9:143")
		if got := text(s.Login(context.Background(), r, "u1", "p")); got != c.want {
			t.Errorf("%s: got %s, want %s\n%s", c.name, got, c.want, log)
		}
		r.AuthOnly = true
		if got := s.Login(context.Background(), r, "u1", "p"); got.Fields.Has("pass") {
			t.Errorf("%s: a client that only asks gets the password", c.name)
		}
	}
}
