package passwdfile

import (
	"reflect"
	"strings"
	"testing"

	"dovetail/auth/listfile"
)

func TestLines(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		want       Entry
	}{
		{"all fields", "ann@x:{CRYPT}$1$a$b:89:90:Ann B:/h/a b:sh:nologin userdb_quota_rule=*:bytes=10M", Entry{
			"ann@x", "{CRYPT}$1$a$b", "89", "90", "Ann B", "/h/a b", "sh",
			[]Field{{"nologin", "", true}, {"userdb_quota_rule", "*:bytes=10M", false}},
		}},
		{"a name alone", "ann", Entry{Name: "ann"}},
		{"name and password", "ann:{PLAIN}x", Entry{Name: "ann", Password: "{PLAIN}x"}},
		{"an empty value is not a bare key", "a:::::::x=", Entry{Name: "a", Extra: []Field{{"x", "", false}}}},
		{"the old form with a mail location", "a:p:1:2::/h:::mbox:~/mail", Entry{
			Name: "a", Password: "p", UID: "1", GID: "2", Home: "/h", Extra: []Field{{"userdb_mail", "mbox:~/mail", false}},
		}},
	} {
		got, ok := Parse(tc.line)
		if !ok || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %q gave %+v, want %+v", tc.name, tc.line, got, tc.want)
		}
	}
	for _, line := range []string{"", "# comment", ":no name"} {
		if _, ok := Parse(line); ok {
			t.Errorf("%q is an entry", line)
		}
	}
}

func TestWhatTheFormatCannotHoldIsRefusedWithoutItsValue(t *testing.T) {
	for name, e := range map[string]Entry{
		"a colon in the name":           {Name: "a:secret"},
		"a comment sign":                {Name: "#secret"},
		"no name":                       {},
		"a newline in the home":         {Name: "a", Home: "/secret\n"},
		"a colon in the home":           {Name: "a", Home: "/secret:"},
		"a colon in the password":       {Name: "a", Password: "{PLAIN}secret:"},
		"a zero byte in the gecos":      {Name: "a", Gecos: "secret\x00"},
		"a space in an extra field":     {Name: "a", Extra: []Field{{"k", "secret x", false}}},
		"a wide space in extra fields":  {Name: "a", Extra: []Field{{"k", "secret\u00a0x", false}}},
		"a line longer than is read":    {Name: "a", Home: strings.Repeat("secret", listfile.Longest)},
		"a bare field that has a value": {Name: "a", Extra: []Field{{"k", "secret", true}}},
	} {
		out, err := e.Append(nil)
		if err == nil || len(out) > 0 || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: wrote %q, error %v", name, out, err)
		}
	}
}

func TestLiteral(t *testing.T) {
	for _, value := range []string{"", "a", "%u", "100%", "%%"} {
		f := Field{Value: Literal(value)}
		if got, ok := f.Literal(); !ok || got != value {
			t.Errorf("%q became %q, read as %q", value, f.Value, got)
		}
	}
	if _, ok := (Field{Value: "/h/%u"}).Literal(); ok {
		t.Error("a variable is no literal")
	}
}

func TestEntriesGoOnBehindADamagedLine(t *testing.T) {
	text := "a:{PLAIN}1\n\n# x\nb\x00:{PLAIN}2\nb:3\na:{PLAIN}4\nc:" + strings.Repeat("x", listfile.Longest) + "\nd"
	var names []string
	for e, err := range Entries(strings.NewReader(text), "list") {
		if err != nil {
			names = append(names, err.Error())
			continue
		}
		names = append(names, e.Name)
	}
	want := []string{
		"a", "list line 4: holds a zero byte", "b", "list line 6: a: the same name as in line 1, which is the one that counts",
		"list line 7: longer than 65536 bytes", "d",
	}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"ann@x:{CRYPT}$1$a$b:89:90:Ann B:/h/a b:sh:nologin userdb_quota_rule=*:bytes=10M", "a:p:1:2::/h:::mbox:~/mail", "a:::::::x= =y", "#", "a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		e, ok := Parse(line)
		if !ok {
			return
		}
		out, err := e.Append(nil)
		if err != nil {
			return
		}
		again, ok := Parse(strings.TrimSuffix(string(out), "\n"))
		if !ok || !reflect.DeepEqual(again, e) {
			t.Fatalf("%q gave %+v, written as %q and read as %+v", line, e, out, again)
		}
	})
}
