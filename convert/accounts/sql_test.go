package accounts

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"dovetail/auth/authtest"
	"dovetail/auth/vpopmail"
	"dovetail/formats/formatstest/couriersite"
	"dovetail/formats/formatstest/dovecot"
)

// database puts a vpopmail.mysql for a database of the server into a site and gives the place.
func database(t *testing.T, m *authtest.MariaDB, site, name, keys string) Place {
	t.Helper()
	file := "/etc-" + name
	line := fmt.Sprintf("%s|0|root||%s\n", m.Socket, name)
	if err := os.WriteFile(filepath.Join(site, file), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	return place(t, "vpopmail-mysql:"+file+keys, site)
}

func users(t *testing.T, p Place) []User {
	t.Helper()
	l, err := Read(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range l.Remarks {
		if r.Kind != Note {
			t.Errorf("%s: %s", p, r)
		}
	}
	slices.SortFunc(l.Users, func(a, b User) int { return cmpName(a.Name, b.Name) })
	return l.Users
}

func cmpName(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestMySQLBothWays(t *testing.T) {
	m := authtest.StartMariaDB(t)
	site := unpacked(t)
	m.Load("one", read(t, filepath.Join(site, "sql/vpopmail-one-table.sql")))
	m.Load("each", read(t, filepath.Join(site, "sql/vpopmail-table-per-domain.sql")))
	files := place(t, "vpopmail:/home/vpopmail", site)
	want := users(t, files)
	for _, name := range []string{"one", "each"} {
		if got := users(t, database(t, m, site, name, "")); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
	}
	for name, keys := range map[string]string{"newone": ":tables=one", "neweach": ":tables=domain"} {
		m.Load(name)
		dst := database(t, m, site, name, keys)
		list, err := Read(context.Background(), files)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Prepare(context.Background(), list, files, dst, Options{}); err != nil || m.Query(name, "SHOW TABLES") != "" {
			t.Errorf("%s: a plan alone makes tables, %v", name, err)
		}
		report := carry(t, files, dst, Options{})
		if report.LeftOver() || report.Totals.Carried != 17 {
			t.Errorf("%s: %+v", name, report)
		}
		if got := users(t, database(t, m, site, name, "")); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
		again := carry(t, files, dst, Options{})
		for _, f := range again.Files {
			if f.State != stateSame {
				t.Errorf("%s: done again: %+v", name, f)
			}
		}
	}
	if got := m.Query("newone", "SELECT CONCAT(alias, ' ', domain) FROM aliasdomains"); got != "example.org example.com\n" {
		t.Errorf("aliases %q", got)
	}
}

// hostile are parts of names that do harm where a value gets into a statement as text.
var hostile = []string{"o'brien", "') or 1=1 -- x", `back\slash'`, "ünï", `"; drop table vpopmail; -- x`, "100%d", "a`b"}

func hostileList() *List {
	l := &List{}
	for _, name := range hostile {
		l.Users = append(l.Users, User{
			Name: name + "@example.com", Hash: "xYEzwLG5knggo", UID: "89", GID: "89", Gecos: name, Home: "/h/" + name,
			Quota: vpopmail.Quota{Bytes: 1 << 20, Messages: 5},
		})
	}
	return l
}

func apply(t *testing.T, l *List, dst Place, o Options) *Report {
	t.Helper()
	plan, err := Prepare(context.Background(), l, Place{spec: "test"}, dst, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(context.Background()); err != nil {
		t.Fatal(err)
	}
	return plan.Report
}

func TestHostileNamesInMySQL(t *testing.T) {
	m := authtest.StartMariaDB(t)
	site := unpacked(t)
	m.Load("direct")
	dst := database(t, m, site, "direct", "")
	report := apply(t, hostileList(), dst, Options{})
	if report.LeftOver() {
		t.Errorf("%+v", report)
	}
	path := filepath.Join(site, "script.sql")
	apply(t, hostileList(), place(t, "sql:"+path+":schema=vpopmail", ""), Options{})
	m.Load("script", read(t, path))
	for _, name := range []string{"direct", "script"} {
		var names []string
		for _, u := range users(t, database(t, m, site, name, "")) {
			names = append(names, u.Local())
			if u.Gecos != u.Local() || u.Home != "/h/"+u.Local() || u.Hash != "xYEzwLG5knggo" || u.Quota.Messages != 5 {
				t.Errorf("%s: %+v", name, u)
			}
		}
		if want := slices.Sorted(slices.Values(hostile)); !slices.Equal(names, want) {
			t.Errorf("%s: got %q, want %q", name, names, want)
		}
	}
	if _, err := Prepare(context.Background(), &List{}, dst, dst, Options{}); err == nil {
		t.Error("accounts that the source has not would be removed without a word")
	}
	apply(t, &List{}, dst, Options{Overwrite: true})
	if got := m.Query("direct", "SELECT COUNT(*) FROM vpopmail"); got != "0\n" {
		t.Errorf("%q accounts are left", got)
	}
}

func TestWhatTheColumnsCannotHold(t *testing.T) {
	m := authtest.StartMariaDB(t)
	site := unpacked(t)
	m.Load("narrow", read(t, filepath.Join(site, "sql/vpopmail-one-table.sql")), "DELETE FROM vpopmail")
	dst := database(t, m, site, "narrow", "")
	long := func(u User) User { u.UID, u.GID = "89", "89"; return u }
	l := &List{Users: []User{
		long(User{Name: "a@example.com", Hash: "xYEzwLG5knggo", Clear: "longer than sixteen bytes", Home: "/h"}),
		long(User{Name: "b@example.com", Hash: "xYEzwLG5knggo", Clear: "blank ", Home: "/h"}),
		long(User{Name: "c@example.com", Hash: "xYEzwLG5knggo", Home: "/h/\xff"}),
		long(User{Name: "d@example.com", Hash: "xYEzwLG5knggo", Home: "/h"}),
		long(User{Name: "e@example.com", Hash: "{SSHA}76RX9zNx7lJuOkhIDTApu3Kc0LLwZXs+", Home: "/h"}),
		long(User{Name: "nodomain", Hash: "xYEzwLG5knggo", Home: "/h"}),
	}}
	report := apply(t, l, dst, Options{})
	var got []string
	for _, r := range report.Remarks {
		got = append(got, fmt.Sprintf("%s %s", r.Kind, r.User))
	}
	want := []string{"loss a@example.com", "loss b@example.com", "loss e@example.com", "set aside c@example.com", "set aside nodomain"}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if names := m.Query("narrow", "SELECT GROUP_CONCAT(pw_name ORDER BY pw_name) FROM vpopmail"); names != "a,b,d,e\n" {
		t.Errorf("there are %q", names)
	}
}

func TestEveryAccountLogsIntoRealDovecotThroughSQL(t *testing.T) {
	dovecot.Need(t)
	if modules, _ := filepath.Glob("/usr/lib/dovecot/modules/auth/libdriver_mysql.so"); len(modules) == 0 {
		t.Skip("Dovecot's MySQL driver is not installed: apt-get install dovecot-mysql")
	}
	m := authtest.StartMariaDB(t)
	if err := os.Chmod(filepath.Dir(m.Socket), 0o755); err != nil { // Dovecot's auth process is another user
		t.Fatal(err)
	}
	site := couriersite.Unpack(t)
	for _, schema := range []string{"dovecot", "vpopmail"} {
		t.Run(schema, func(t *testing.T) {
			script := filepath.Join(outside(t), "accounts.sql")
			report := carry(t, place(t, "vpopmail:/home/vpopmail", site.Root), place(t, "sql:"+script+":schema="+schema, ""), Options{FS: dovecotReads(t)})
			if report.LeftOver() || report.Totals.Carried != 17 {
				t.Errorf("report %+v", report)
			}
			m.Load("d"+schema, read(t, script), read(t, script)) // twice is as good as once
			queries := script + ".conf.ext"
			text := regexp.MustCompile(`(?m)^connect = .*$`).ReplaceAllString(read(t, queries), "connect = host="+m.Socket+" user=root dbname=d"+schema)
			if err := os.WriteFile(queries, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			carry(t, place(t, "vpopmail:/home/vpopmail", site.Root), place(t, "sql:"+script+":schema="+schema, ""), Options{FS: dovecotReads(t)})
			if read(t, queries) != text {
				t.Error("a second run does not keep what connect says")
			}
			s := serve(t, script+".conf")
			checkLogins(t, s, site, true)
			for user, want := range map[string]string{
				"heidi@example.com": "*:bytes=10485760:messages=1000", "frank@example.org": "*:bytes=52428800", "j.doe-sales@example.com": "*:bytes=20971520",
			} {
				if got, err := s.doveadm("user", "-f", "quota_rule", user); err != nil || got != want+"\n" {
					t.Errorf("%s: quota %q, want %q, %v", user, got, want, err)
				}
			}
		})
	}
}
