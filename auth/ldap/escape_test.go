package ldap

import (
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"dovetail/formats/conf/variable"
)

func TestValuesAreEscapedAsDovecotDoes(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"alice", "alice"},
		{"*", `\2A`},
		{"a*b", `a\2Ab`},
		{")(uid=*", `\29\28uid\3D\2A`},
		{"o'brien", "o'brien"},
		{`a\b`, `a\5Cb`},
		{"a,b+c#d;e<f>g\"h", `a\2Cb\2Bc\23d\3Be\3Cf\3Eg\22h`},
		{" a b ", `\20a\20b\20`},
		{"jürgen", `j\C3\BCrgen`},
		{"a\x00b", `a\00b`},
		{"a\nb", `a\0Ab`},
		{"\xff", `\FF`},
	} {
		if got := escape(c.value); got != c.want {
			t.Errorf("%q: got %s, want %s", c.value, got, c.want)
		}
	}
}

func TestFiltersAreReadAsOpenLDAPsLibraryDoes(t *testing.T) {
	for _, c := range []struct{ filter, want string }{
		{"(uid=x)", "(uid=x)"},
		{"uid=x", "(uid=x)"},
		{" (& (a=b) (| (c=d)\t(e=f g) ) ) ", "(&(a=b)(|(c=d)(e=f g)))"},
		{"( ! ( a=b ) )", "(!(a=b ))"},
		{"&(a=b)(c=d)", "(&(a=b)(c=d))"},
		{"(cn=a & b)", "(cn=a & b)"},
		{"", ""},
	} {
		if got := tidy(c.filter); got != c.want {
			t.Errorf("%q: got %q, want %q", c.filter, got, c.want)
		}
	}
}

func TestAFilterThatCannotBeRightIsRefusedAtOnce(t *testing.T) {
	for filter, wrong := range map[string]bool{
		"(&(objectClass=posixAccount)(uid=%{user}))": false,
		"uid=%{user}":             false,
		"%{user}":                 true,
		"(uid=%{user}":            true,
		"(&(a=b)(uid=%{user})":    true,
		"(uid=%{user}))":          true,
		"(uid=%{user})(a=b)":      true,
		`(uid=\zz)`:               true,
		"(|(a=b) (uid=%{user}) )": false,
	} {
		parsed, err := variable.Parse24(filter)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkFilter(parsed); (err != nil) != wrong {
			t.Errorf("%s: %v", filter, err)
		}
	}
	if checkFilter(nil) == nil {
		t.Error("no filter is accepted")
	}
}

// hostile are names that try to be more than names.
var hostile = []string{"*", "a*b", ")(uid=*", "o'brien", "x)(|(uid=*", "a\x00b", "jürgen", `\2a`, "(", ")", "&(a=b)", " ", "a\nb", "cn=x,dc=y", "#", "\xff\xfe", "%u", "%{user}"}

func FuzzANameStaysOneValue(f *testing.F) {
	for _, name := range hostile {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		packet, err := ldap.CompileFilter(tidy("(&(objectClass=a)(uid=" + escape(name) + "))"))
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if len(packet.Children) != 2 || name == "" {
			if name != "" {
				t.Fatalf("%q: %d parts", name, len(packet.Children))
			}
			return
		}
		item := packet.Children[1]
		if item.Tag != ldap.FilterEqualityMatch || len(item.Children) != 2 || item.Children[1].Value != name {
			t.Fatalf("%q became %+v", name, item)
		}
		dn, err := ldap.ParseDN("uid=" + escape(name) + ",dc=example")
		if err != nil {
			t.Fatalf("%q as a distinguished name: %v", name, err)
		}
		if len(dn.RDNs) != 2 || len(dn.RDNs[0].Attributes) != 1 || dn.RDNs[0].Attributes[0].Value != name {
			t.Fatalf("%q became %+v", name, dn.RDNs[0])
		}
	})
}

func FuzzFiltersAreTidiedOnce(f *testing.F) {
	for _, filter := range []string{"(& (a=b) (c=d) )", "a=b", "((", ")", "(!a=b)", "(a=b) c"} {
		f.Add(filter)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		once := tidy(filter)
		if again := tidy(once); again != once {
			t.Fatalf("%q gave %q, then %q", filter, once, again)
		}
		if strings.HasPrefix(filter, "(") && !strings.ContainsAny(filter, " \t\r\n") && once != filter {
			t.Fatalf("%q needs nothing and became %q", filter, once)
		}
	})
}
