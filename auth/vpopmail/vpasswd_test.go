package vpopmail

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/auth/cdb"
)

func TestLinesOfVpasswd(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		want       Account
		refused    bool
	}{
		{"all fields", "ann:xYEzwLG5knggo:1:8:Ann:/h/ann:10MB:clear", Account{Name: "ann", Hash: "xYEzwLG5knggo", PwUID: 1, Flags: NoIMAP, Gecos: "Ann", Dir: "/h/ann", Quota: "10MB", Clear: "clear"}, false},
		{"a clear password with colons", "ann::2:0:::NOQUOTA:a:b:", Account{Name: "ann", PwUID: 2, Quota: "NOQUOTA", Clear: "a:b:"}, false},
		{"no clear password", "ann::1:0:::", Account{Name: "ann", PwUID: 1}, false},
		{"no numbers", "ann:::x:::", Account{Name: "ann"}, false},
		{"numbers as C reads them", "ann:: 1x:8 :::", Account{Name: "ann", PwUID: 1, Flags: NoIMAP}, false},
		{"too few colons", "ann:secret:1:0:Ann:/h", Account{}, true},
		{"no name", ":secret:1:0:Ann:/h:NOQUOTA", Account{}, true},
	} {
		got, err := ParseAccount(tc.line)
		if (err != nil) != tc.refused || got != tc.want {
			t.Errorf("%s: %q gave %+v, %v", tc.name, tc.line, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes: %v", tc.name, err)
		}
	}
}

func TestWhatALineCannotHoldIsRefusedWithoutItsValue(t *testing.T) {
	for _, a := range []Account{{}, {Name: "a:secret"}, {Name: "a", Hash: "secret:"}, {Name: "a", Gecos: "secret\n"}, {Name: "a", Dir: "secret\x00"}, {Name: "a", Quota: "secret:"}, {Name: "a", Clear: "secret\n"}} {
		out, err := a.AppendLine(nil)
		_, err2 := a.Record()
		if err == nil || err2 == nil || len(out) > 0 || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %q, %v, %v", a, out, err, err2)
		}
	}
}

// write makes a domain's folder with the files given; those whose text is "-" are left out. Later ones are newer.
func write(t *testing.T, vpasswd string, compiled []Account) Domain {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, b []byte, age time.Duration) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Unix(1e9, 0).Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if vpasswd != "" {
		put("vpasswd", []byte(vpasswd), time.Hour)
	}
	if compiled != nil {
		_, b, err := Encode(compiled)
		if err != nil {
			t.Fatal(err)
		}
		put("vpasswd.cdb", b, 0)
	}
	return Domain{Name: "x.org", Real: "x.org", Dir: dir}
}

func account(name, hash string) Account {
	return Account{Name: name, Domain: "x.org", Hash: hash, PwUID: 1, Dir: "/h/" + name, Quota: "NOQUOTA"}
}

func TestWhereTheTwoListsDiffer(t *testing.T) {
	line := func(a Account) string {
		b, err := a.AppendLine(nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	ann, bob, eve := account("ann", "1"), account("bob", "2"), account("eve", "3")
	changed := account("bob", "other")
	for _, tc := range []struct {
		name     string
		text     string
		compiled []Account
		want     []Account
		problems []string
	}{
		{"the same in both", line(ann) + line(bob), []Account{ann, bob}, []Account{ann, bob}, nil},
		{"vpasswd alone", line(ann), nil, []Account{ann}, nil},
		{"compiled alone", "", []Account{ann, bob}, []Account{ann, bob}, nil},
		{"another password", line(ann) + line(changed), []Account{ann, bob}, []Account{ann, bob}, []string{"differs from vpasswd in password; vpasswd.cdb counts; vpasswd.cdb is newer"}},
		{"not compiled yet", line(ann) + line(bob), []Account{ann}, []Account{ann, bob}, []string{"in vpasswd only, so the account could not log in"}},
		{"gone from vpasswd", line(ann), []Account{ann, eve}, []Account{ann, eve}, []string{"in vpasswd.cdb only"}},
		{"a name twice", line(ann) + line(changed) + line(bob), []Account{ann, changed}, []Account{ann, changed}, []string{"line 3: bob: the same name as in line 2"}},
		{"a line without fields", line(ann) + "\nsecret:x\n" + line(bob), []Account{ann, bob}, []Account{ann, bob}, []string{"line 3: 1 colons instead of 6"}},
	} {
		got, problems := all(t, write(t, tc.text, tc.compiled))
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %+v", tc.name, got)
		}
		if len(problems) != len(tc.problems) {
			t.Errorf("%s: problems %q", tc.name, problems)
			continue
		}
		for i, p := range tc.problems {
			if !strings.Contains(problems[i], p) || strings.Contains(problems[i], "secret") {
				t.Errorf("%s: problem %q, want %q", tc.name, problems[i], p)
			}
		}
	}
}

func TestADamagedCompiledListIsAProblem(t *testing.T) {
	ann := account("ann", "1")
	d := write(t, "ann:1:1:0::/h/ann:NOQUOTA\n", []Account{ann})
	path := filepath.Join(d.Dir, "vpasswd.cdb")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{{}, good[:100], bytes.Repeat([]byte{0xff}, 4096), append(bytes.Clone(good[:2048]), make([]byte, 5)...)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, problems := all(t, d)
		if !reflect.DeepEqual(got, []Account{ann}) || len(problems) == 0 || !strings.Contains(strings.Join(problems, "\n"), "corrupt") {
			t.Errorf("%d bytes: got %+v, %q", len(b), got, problems)
		}
	}
}

func TestALinkInPlaceOfAListIsNotFollowed(t *testing.T) {
	d := write(t, "", nil)
	if err := os.Symlink("/etc/passwd", filepath.Join(d.Dir, "vpasswd")); err != nil {
		t.Fatal(err)
	}
	if got, problems := all(t, d); len(got) > 0 || len(problems) != 1 || !strings.Contains(problems[0], "not a regular file") {
		t.Errorf("got %+v, %q", got, problems)
	}
}

func TestLinesOfAssign(t *testing.T) {
	path := filepath.Join(t.TempDir(), "assign")
	text := "=root:alias:7790:2108:/var/qmail/alias:::\n+:alias:7790:2108:/var/qmail/alias:-::\n+ann-:ann:1:1:/home/ann:-::\n" +
		"+Example.COM-:example.com:89:90:/d/0/example.com:-::\n+short.org-:short.org:89\n+bad.org-:bad.org:x:89:/d:-::\n" +
		"+rel.org-:rel.org:89:89:d/rel:-::\n+example.com-:other.com:1:1:/x:-::\n+root.org-:root.org:0:0:/d/root:-::\n.\n+late.org-:late.org:1:1:/d:-::\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, problems, err := ReadAssign(path)
	want := []Domain{{"example.com", "example.com", 89, 90, "/d/0/example.com"}, {"root.org", "root.org", 0, 0, "/d/root"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	if !slices.Equal(lines, []int{5, 6, 7, 8}) {
		t.Errorf("problems %v", problems)
	}
	os.WriteFile(path, []byte("+a.org-:a.org:1:1:/d:-::\n"), 0o600)
	if got, problems, err = ReadAssign(path); err != nil || len(got) != 1 || len(problems) != 1 {
		t.Errorf("without an end: %+v, %v, %v", got, problems, err)
	}
}

func TestLimits(t *testing.T) {
	text := "maxpopaccounts: 50\ndefault_quota: 10\ndefault_maxmsgcount: 7\nperm_account: 0\ndisable_pop\ndisable_webmail: 0\n Disable_SMTP \n\nodd_word\n"
	l, problems, err := ParseLimits(strings.NewReader(text), "limits")
	want := Limits{Flags: NoPOP | NoSMTP, Default: Quota{Bytes: 10 << 20, Messages: 7}}
	if err != nil || l != want || len(problems) != 1 || problems[0].Line != 9 {
		t.Errorf("got %+v, %v, %v", l, problems, err)
	}
	if got := NoIMAP.Effective(l); got != NoIMAP|NoPOP|NoSMTP {
		t.Errorf("effective %#x", got)
	}
	if got := (NoIMAP | Override).Effective(l); got != NoIMAP|Override {
		t.Errorf("with its own rules %#x", got)
	}
	l, problems, err = ReadLimits(Domain{Dir: site + "/home/vpopmail/domains/example.com"})
	if err != nil || l != (Limits{}) || len(problems) > 0 {
		t.Errorf("the site: %+v, %v, %v", l, problems, err)
	}
}

func TestQuotas(t *testing.T) {
	for s, want := range map[string]Quota{
		"": {}, "NOQUOTA": {}, "noquota": {}, "1000000": {Bytes: 1000000}, "10MB": {Bytes: 10 << 20}, "10M": {Bytes: 10 << 20}, "1000KB": {Bytes: 1000 << 10},
		"10000000S": {Bytes: 10000000}, "10000000S,1000C": {10000000, 1000}, "50C": {Messages: 50}, "5B": {Bytes: 5}, "20mb,3c": {20 << 20, 3}, "0": {}, "0S,0C": {},
	} {
		if got, ok := ParseQuota(s); got != want || !ok {
			t.Errorf("%q gave %+v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"x", "10X", "-5", "99999999999999999999", "9999999999999G", ","} {
		if got, ok := ParseQuota(s); got != (Quota{}) || ok {
			t.Errorf("%q gave %+v, %v", s, got, ok)
		}
	}
}

func FuzzVpasswd(f *testing.F) {
	f.Add([]byte("ann:xYEzwLG5knggo:1:8:Ann:/h/ann:10MB:cl:ear\n\nbob:::::::\nbob:x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var list []Account
		for a, err := range Vpasswd(bytes.NewReader(b), "vpasswd", "x.org") {
			if err == nil {
				list = append(list, a)
			}
		}
		text, compiled, err := Encode(list)
		if err != nil {
			t.Fatalf("%q gave %+v, which cannot be written: %v", b, list, err)
		}
		slices.SortFunc(list, func(a, b Account) int { return strings.Compare(a.Name, b.Name) })
		var again []Account
		for a, err := range Vpasswd(bytes.NewReader(text), "vpasswd", "x.org") {
			if err != nil {
				t.Fatal(err)
			}
			again = append(again, a)
		}
		if !reflect.DeepEqual(again, list) {
			t.Fatalf("%+v written as %q are %+v", list, text, again)
		}
		db, err := cdb.Open(bytes.NewReader(compiled), int64(len(compiled)))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			data, err := db.Get([]byte(a.Name))
			if got, err2 := parseRecord(cdb.Record{Key: []byte(a.Name), Data: data}, "x.org"); err != nil || err2 != nil || got != a {
				t.Fatalf("%+v compiled is %+v, %v", a, got, err2)
			}
		}
	})
}

func FuzzAssign(f *testing.F) {
	text, err := os.ReadFile(site + "/var/qmail/users/assign")
	if err != nil {
		f.Fatal(err)
	}
	compiled, err := os.ReadFile(site + "/var/qmail/users/cdb")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(compiled)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, read := range []func() ([]Domain, []Problem, error){
			func() ([]Domain, []Problem, error) { return assignText(bytes.NewReader(b), "assign") },
			func() ([]Domain, []Problem, error) { return assignCDB(bytes.NewReader(b), int64(len(b)), "cdb") },
		} {
			domains, _, _ := read()
			for _, d := range domains {
				if d.Name == "" || d.Real == "" || !strings.HasPrefix(d.Dir, "/") || d.UID < 0 || d.GID < 0 {
					t.Fatalf("%q gave %+v", b, d)
				}
			}
		}
	})
}

func FuzzLimitsAndQuotas(f *testing.F) {
	f.Add("disable_pop\ndefault_quota: 10\n")
	f.Add("10MB,1000C")
	f.Fuzz(func(t *testing.T, s string) {
		if _, _, err := ParseLimits(strings.NewReader(s), "limits"); err != nil {
			t.Fatal(err)
		}
		q, _ := ParseQuota(s)
		if again, ok := ParseQuota(q.String()); !ok || again != q {
			t.Fatalf("%q gave %+v, written as %q and read as %+v", s, q, q.String(), again)
		}
		ParseServers(strings.NewReader(s), "vpopmail.mysql") // it must only not panic
	})
}
