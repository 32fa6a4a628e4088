package vpopmail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/formats/conf/variable"
)

// town is a small site in a temporary folder, with its log.
type town struct {
	*Site
	root string
	log  bytes.Buffer
}

const townList = "ann:{PLAIN}x:1:0:Ann:ROOT/x.org/ann:10MB,7C\n" +
	"clear:$1$a$b:1:0:C:ROOT/x.org/clear:NOQUOTA:secret:with colons\n" +
	"noimap:{PLAIN}x:1:8:C:ROOT/x.org/noimap:NOQUOTA\n" +
	"nopop:{PLAIN}x:1:2:C:ROOT/x.org/nopop:NOQUOTA\n" +
	"noweb:{PLAIN}x:1:4:C:ROOT/x.org/noweb:NOQUOTA\n" +
	"nosmtp:{PLAIN}x:1:2048:C:ROOT/x.org/nosmtp:broken\n" +
	"override:{PLAIN}x:1:8192:C:ROOT/x.org/override:\n" +
	"new:{PLAIN}x:1:0:C::NOQUOTA\n" +
	"no line at all\n"

func newTown(t *testing.T, limits string) *town {
	t.Helper()
	w := &town{root: t.TempDir()}
	dir := filepath.Join(w.root, "x.org")
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 89, 90
	}
	assign := fmt.Sprintf("+x.org-:x.org:%[1]d:%[2]d:%[3]s:-::\n+alias.org-:x.org:%[1]d:%[2]d:%[3]s:-::\n+empty.org-:empty.org:1:1:%[3]s/none:-::\n.\n", uid, gid, dir)
	for path, text := range map[string]string{
		"assign": assign, "x.org/vpasswd": strings.ReplaceAll(townList, "ROOT", w.root), "x.org/.qmailadmin-limits": limits, "x.org/ann/.keep": "",
	} {
		full := filepath.Join(w.root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	w.Site = &Site{Assign: filepath.Join(w.root, "assign"), DefaultDomain: "x.org", Log: slog.New(slog.NewTextHandler(&w.log, nil))}
	t.Cleanup(func() { w.Close() })
	return w
}

func TestWhoIsLetIn(t *testing.T) {
	webmail := "192.0.2.80"
	for _, tc := range []struct{ name, user, service, rip, limits, want string }{
		{"a plain account", "ann@x.org", "imap", "192.0.2.1", "", "{PLAIN}x"},
		{"in upper case", "ANN@X.ORG", "imap", "192.0.2.1", "", "{PLAIN}x"},
		{"of an alias domain", "ann@alias.org", "imap", "192.0.2.1", "", "{PLAIN}x"},
		{"without a domain", "ann", "imap", "192.0.2.1", "", "{PLAIN}x"},
		{"a clear password wins", "clear@x.org", "imap", "192.0.2.1", "", "{CLEARTEXT}secret:with colons"},
		{"NO_IMAP", "noimap@x.org", "imap", "192.0.2.1", "", "imap disabled in vpopmail for this user"},
		{"NO_IMAP by webmail", "noimap@x.org", "imap", webmail, "", "{PLAIN}x"},
		{"NO_IMAP by POP3", "noimap@x.org", "pop3", "192.0.2.1", "", "{PLAIN}x"},
		{"NO_POP", "nopop@x.org", "pop3", "192.0.2.1", "", "pop3 disabled in vpopmail for this user"},
		{"NO_WEBMAIL", "noweb@x.org", "imap", "192.0.2.1", "", "{PLAIN}x"},
		{"NO_WEBMAIL by webmail", "noweb@x.org", "imap", "::ffff:" + webmail, "", "imap disabled in vpopmail for this user"},
		{"NO_SMTP", "nosmtp@x.org", "smtp", "192.0.2.1", "", "smtp disabled in vpopmail for this user"},
		{"the domain has no POP3", "ann@x.org", "pop3", "192.0.2.1", "disable_pop", "pop3 disabled in vpopmail for this user"},
		{"but this account has", "override@x.org", "pop3", "192.0.2.1", "disable_pop", "{PLAIN}x"},
		{"an unknown name", "nosuch@x.org", "imap", "192.0.2.1", "", "unknown user"},
		{"an unknown domain", "ann@y.org", "imap", "192.0.2.1", "", "unknown user"},
		{"a line that is none", "no line at all@x.org", "imap", "192.0.2.1", "", "unknown user"},
		{"a colon", "ann:{PLAIN}x@x.org", "imap", "192.0.2.1", "", "unknown user"},
		{"a zero byte", "ann\x00@x.org", "imap", "192.0.2.1", "", "unknown user"},
		{"a path", "../../etc/passwd@x.org", "imap", "192.0.2.1", "", "unknown user"},
		{"a domain that is a path", "ann@../x.org", "imap", "192.0.2.1", "", "unknown user"},
		{"nothing", "", "imap", "192.0.2.1", "", "unknown user"},
		{"a domain without a list", "ann@empty.org", "imap", "192.0.2.1", "", "DIR/x.org/none: neither vpasswd nor vpasswd.cdb, and no tables are configured"},
	} {
		w := newTown(t, tc.limits)
		db := &PassDB{Site: w.Site, Webmail: netip.MustParseAddr(webmail)}
		r := &auth.Request{User: tc.user, Service: tc.service, Remote: netip.AddrPortFrom(netip.MustParseAddr(tc.rip), 1)}
		fields, err := db.Find(context.Background(), r)
		got := fields.Value("password")
		if err != nil {
			got = strings.ReplaceAll(err.Error(), w.root, "DIR")
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		if strings.HasSuffix(tc.want, "for this user") != errors.Is(err, auth.ErrDisabled) || (tc.want == "unknown user") != errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%s: the error is %v", tc.name, err)
		}
	}
}

func TestWhatIsToldOfAUser(t *testing.T) {
	w := newTown(t, "")
	quota, err := variable.Parse23("*:backend=%q")
	if err != nil {
		t.Fatal(err)
	}
	db := &UserDB{Site: w.Site, QuotaField: "quota_rule", Quota: quota}
	ask := func(user, mechanism string) auth.Fields {
		t.Helper()
		fields, err := db.Find(context.Background(), &auth.Request{User: user, Service: "imap", Mechanism: mechanism})
		if err != nil {
			t.Fatalf("%s: %v", user, err)
		}
		return fields
	}
	lastauth := filepath.Join(w.root, "x.org/ann/lastauth")
	fields := ask("ann@x.org", "")
	if fields.Value("home") != w.root+"/x.org/ann" || fields.Value("quota_rule") != "*:backend=10485760S,7C" {
		t.Errorf("ann: %v", fields)
	}
	if _, err := os.Stat(lastauth); err == nil {
		t.Error("a lookup is written down as a login")
	}
	ask("ann@alias.org", "PLAIN")
	if text, err := os.ReadFile(lastauth); string(text) != "imap" || err != nil {
		t.Errorf("lastauth is %q, %v", text, err)
	}
	if fields := ask("nosmtp@x.org", ""); fields.Has("quota_rule") || !strings.Contains(w.log.String(), "a quota that cannot be read") {
		t.Errorf("a broken quota: %v\n%s", fields, w.log.String())
	}
	if ask("override@x.org", "").Has("quota_rule") {
		t.Error("no quota gave a field")
	}
	var names []string
	for name, err := range db.Users(context.Background(), &auth.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	want := []string{"ann@x.org", "clear@x.org", "noimap@x.org", "nopop@x.org", "noweb@x.org", "nosmtp@x.org", "override@x.org", "new@x.org"}
	if !slices.Equal(names, want) {
		t.Errorf("listed %q, want %q", names, want)
	}
}

func TestAFolderIsMadeAtTheFirstLogin(t *testing.T) {
	w := newTown(t, "")
	db := &UserDB{Site: w.Site}
	home := w.root + "/x.org/new"
	for n := range 2 {
		fields, err := db.Find(context.Background(), &auth.Request{User: "new@x.org", Service: "imap", Mechanism: "PLAIN"})
		if err != nil || fields.Value("home") != home {
			t.Fatalf("time %d: %v, %v", n, fields, err)
		}
	}
	if n := strings.Count(w.log.String(), "pw_dir isn't set, creating"); n != 1 {
		t.Errorf("told of %d times", n)
	}
	for _, dir := range []string{"cur", "new", "tmp"} {
		if info, err := os.Stat(filepath.Join(home, "Maildir", dir)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
	}
	text, err := os.ReadFile(w.root + "/x.org/vpasswd")
	want := strings.Replace(strings.ReplaceAll(townList, "ROOT", w.root), ":C::NOQUOTA", ":C:"+home+":NOQUOTA", 1)
	if string(text) != want || err != nil {
		t.Errorf("vpasswd is now\n%s", text)
	}
	d, err := w.Domain(context.Background(), "x.org")
	if err != nil {
		t.Fatal(err)
	}
	for a, err := range Accounts(d) {
		if p, ok := errors.AsType[Problem](err); ok && p.Line > 0 {
			continue
		} else if err != nil {
			t.Errorf("%v", err)
		}
		if a.Name == "new" && a.Dir != home {
			t.Errorf("compiled: %+v", a)
		}
	}
}

// A mail user has put a link where his folder or note would be.
func TestLinksInAMailUsersFolderAreNotFollowedOut(t *testing.T) {
	w := newTown(t, "")
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := &UserDB{Site: w.Site}
	if err := errors.Join(os.Symlink(outside, w.root+"/x.org/new"), os.Symlink(victim, w.root+"/x.org/ann/lastauth")); err != nil {
		t.Fatal(err)
	}
	if fields, err := db.Find(context.Background(), &auth.Request{User: "new@x.org"}); err == nil {
		t.Errorf("a link as home: %v", fields)
	}
	if _, err := db.Find(context.Background(), &auth.Request{User: "ann@x.org", Service: "imap", Mechanism: "PLAIN"}); err != nil {
		t.Error(err)
	}
	left, _ := os.ReadDir(outside)
	if text, _ := os.ReadFile(victim); string(text) != "precious" || len(left) != 1 {
		t.Errorf("outside there is %v, %q", left, text)
	}
}

func TestADomainListThatChangesOrGoesAway(t *testing.T) {
	w := newTown(t, "")
	now := time.Unix(1_700_000_000, 0)
	w.Now = func() time.Time { return now }
	ask := func() error {
		_, _, err := w.Find(context.Background(), "ann@x.org")
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.Assign, []byte("+other.org-:other.org:1:1:/x:-::\n.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	if err := ask(); !errors.Is(err, ErrNoAccount) {
		t.Errorf("the domain is gone: %v", err)
	}
	if err := os.Remove(w.Assign); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	if err := ask(); err == nil || errors.Is(err, ErrNoAccount) {
		t.Errorf("the list is gone: %v", err)
	}
}

// Both layouts of the tables, with alias domains, limits and the note of the last login.
func TestAccountsInTables(t *testing.T) {
	m := authtest.StartMariaDB(t)
	for _, layout := range []struct{ name, domain, insert string }{
		{"one table", "", "INSERT INTO vpopmail (pw_name, pw_domain, pw_passwd, pw_uid, pw_gid, pw_gecos, pw_dir, pw_shell) VALUES ('ann', 'x.org', '{PLAIN}x', 1, 0, '', 'DIR', '10MB'), ('new', 'x.org', '{PLAIN}x', 1, 0, '', '', '')"},
		{"a table for each domain", "x.org", "INSERT INTO x_org (pw_name, pw_passwd, pw_uid, pw_gid, pw_gecos, pw_dir, pw_shell) VALUES ('ann', '{PLAIN}x', 1, 0, '', 'DIR', '10MB'), ('new', '{PLAIN}x', 1, 0, '', '', '')"},
	} {
		t.Run(layout.name, func(t *testing.T) {
			w := newTown(t, "")
			database := "v" + strings.ReplaceAll(layout.domain, ".", "_")
			create, err := CreateTable(layout.domain)
			if err != nil {
				t.Fatal(err)
			}
			m.Load(database, strings.Join([]string{
				create, AliasTable, strings.ReplaceAll(layout.insert, "DIR", w.root+"/x.org/ann"),
				"INSERT INTO aliasdomains VALUES ('table.org', 'x.org')",
				"CREATE TABLE limits (domain varchar(96) PRIMARY KEY, disable_pop int)", "INSERT INTO limits VALUES ('x.org', 1)",
				"CREATE TABLE lastauth (user varchar(32), domain varchar(96), remote_ip varchar(18), timestamp bigint, PRIMARY KEY (user, domain))",
			}, ";\n"))
			w.Servers = filepath.Join(w.root, "vpopmail.mysql")
			line := fmt.Sprintf("# a comment\n%s|0|root||%s\n", m.Socket, database)
			if err := errors.Join(os.WriteFile(w.Servers, []byte(line), 0o600), os.Remove(w.root+"/x.org/vpasswd")); err != nil {
				t.Fatal(err)
			}
			inTables(t, w, func(what string) string { return strings.TrimSpace(m.Query(database, what)) })
		})
	}
}

func inTables(t *testing.T, w *town, value func(string) string) {
	ctx := context.Background()
	pass, user := &PassDB{Site: w.Site}, &UserDB{Site: w.Site}
	for name, want := range map[string]string{
		"ann@x.org": "{PLAIN}x", "ann@alias.org": "{PLAIN}x", "ann@table.org": "{PLAIN}x", "nosuch@x.org": "", "ann@y.org": "",
		"' OR 1=1 -- @x.org": "", "ann@' OR 1=1 -- ": "", `ann\@x.org`: "",
	} {
		fields, err := pass.Find(ctx, &auth.Request{User: name, Service: "imap"})
		if fields.Value("password") != want || (want == "") != errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%s: %v, %v", name, fields, err)
		}
	}
	if _, err := pass.Find(ctx, &auth.Request{User: "ann@x.org", Service: "pop3"}); !errors.Is(err, auth.ErrDisabled) {
		t.Errorf("the domain's limits: %v", err)
	}
	fields, err := user.Find(ctx, &auth.Request{User: "ann@x.org", Service: "imap", Mechanism: "PLAIN"})
	if err != nil || fields.Value("home") != w.root+"/x.org/ann" {
		t.Errorf("ann: %v, %v", fields, err)
	}
	if got := value("SELECT remote_ip FROM lastauth WHERE user = 'ann' AND domain = 'x.org'"); got != "imap" {
		t.Errorf("lastauth has %q\n%s", got, w.log.String())
	}
	if fields, err := user.Find(ctx, &auth.Request{User: "new@x.org"}); err != nil || fields.Value("home") != w.root+"/x.org/new" {
		t.Errorf("new: %v, %v", fields, err)
	}
	if a, _, err := w.Find(ctx, "new@x.org"); err != nil || a.Dir != w.root+"/x.org/new" {
		t.Errorf("new, asked again: %+v, %v", a, err)
	}
	var names []string
	for name, err := range user.Users(ctx, &auth.Request{}) {
		names = append(names, fmt.Sprint(name, err))
	}
	if !slices.Equal(names, []string{"ann@x.org<nil>", "new@x.org<nil>"}) {
		t.Errorf("listed %q", names)
	}
}

func TestAServerThatIsDownIsAskedAgain(t *testing.T) {
	w := newTown(t, "")
	now := time.Unix(1_700_000_000, 0)
	w.Now = func() time.Time { return now }
	w.Servers = filepath.Join(w.root, "vpopmail.mysql")
	socket := filepath.Join(w.root, "nobody")
	if err := errors.Join(os.WriteFile(w.Servers, []byte(socket+"|0|root|secret|v\n"), 0o600), os.Remove(w.root+"/x.org/vpasswd")); err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		_, err := (&PassDB{Site: w.Site}).Find(context.Background(), &auth.Request{User: "ann@x.org"})
		return err
	}
	first := ask()
	if first == nil || errors.Is(first, auth.ErrUnknown) || strings.Contains(first.Error(), "secret") {
		t.Errorf("a server that is down: %v", first)
	}
	if again := ask(); again != first {
		t.Errorf("asked again at once: %v", again)
	}
	now = now.Add(retryAfter)
	if later := ask(); later == nil || later == first {
		t.Errorf("asked again later: %v", later)
	}
}
