package namespace

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"dovetail/serve/config/options"
)

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b", true}, {"%", "a/b", false}, {"%", "a", true}, {"%/%", "a/b", true}, {"a*", "a", true}, {"a%b", "axxb", true},
		{"a%b", "a/b", false}, {"", "", true}, {"", "a", false}, {"INBOX", "INBOX", true}, {"*%", "a/b/c", true}, {"%*", "a/b", true},
		{"a/%", "a/", true}, {"a/*b", "a/x/y/b", true}, {"a*c", "ab", false},
	} {
		if got := Match(tc.pattern, tc.name, '/'); got != tc.want {
			t.Errorf("%q of %q: %v", tc.name, tc.pattern, got)
		}
	}
}

func TestMatchWithoutCaseAtTheBeginning(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		want    bool
	}{
		{"inbox/x", true}, {"InB%/x", true}, {"*b*", true}, {"%B%/%", true}, {"*X", false}, {"*x", true}, {"inbox/X", false}, {"inbox", false}, {"i%/*", true}, {"*o*o*", false}, {"[NBOX/x", false},
	} {
		if got := newMatcher(tc.pattern).matchFold("INBOX/x", '/', len(Inbox)); got != tc.want {
			t.Errorf("%q: %v", tc.pattern, got)
		}
	}
}

func TestPatternsThatAreMeantToTakeLong(t *testing.T) {
	name := strings.Repeat("a", 200)
	for _, pattern := range []string{
		strings.Repeat("*a", 30000) + "b", strings.Repeat("%*", 30000) + "b", strings.Repeat("*a", 199) + "b", strings.Repeat("%a*", 150) + "b",
	} {
		m := newMatcher(pattern)
		for range 1000 {
			if m.match(name, '/') {
				t.Fatalf("%.20q matched", pattern)
			}
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a%*b", "axb/b")
	f.Add("*a%b*%", "aab/ab")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		got := Match(pattern, name, '/')
		if !utf8.ValidString(pattern) || !utf8.ValidString(name) || len(pattern)+len(name) > 100 {
			return
		}
		expression := strings.NewReplacer(`\*`, ".*", "%", "[^/]*").Replace(regexp.QuoteMeta(pattern))
		if want := regexp.MustCompile("(?s)^(?:" + expression + ")$").MatchString(name); got != want {
			t.Fatalf("%q of %q: %v, want %v", name, pattern, got, want)
		}
	})
}

// FuzzFind looks for any name in namespaces of each kind: what is found is a place below a store's root, and is shown under
// a name that finds it again.
func FuzzFind(f *testing.F) {
	for _, name := range []string{"INBOX", "inbox", "a/b", "../x", "INBOX.a.b", "inbox.x/y", "Public/a", "/", "a//b", "a/./b", "~root", "a\x00b", "..^..^x"} {
		f.Add(name)
	}
	space := func(prefix string, separator byte, inbox bool) *Space {
		return &Space{Namespace: options.Namespace{Inbox: inbox}, Prefix: prefix, Separator: separator}
	}
	users := []*User{
		{byPrefix: []*Space{space("Public/", '/', false), space("", '/', true)}},
		{byPrefix: []*Space{space("INBOX.", '.', true), space("", '/', false)}},
		{byPrefix: []*Space{space("", '^', true)}},
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, u := range users {
			m, err := u.Find(name)
			if err != nil {
				continue
			}
			for _, part := range strings.Split(m.Name, "/") {
				if part == "" || part == "." || part == ".." {
					t.Fatalf("%q is %q of %q", name, m.Name, m.Space.Prefix)
				}
			}
			again, err := u.Find(m.Full)
			if err != nil || again.Space != m.Space || again.Name != m.Name {
				t.Fatalf("%q is %q, that is %q, %v", name, m.Full, again.Name, err)
			}
		}
	})
}
