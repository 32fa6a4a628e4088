package namespace

import (
	"path"
	"strings"
	"testing"
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

func TestManyStarsEnd(t *testing.T) {
	if Match(strings.Repeat("*a", 500)+"b", strings.Repeat("a", 5000), '/') {
		t.Error("matched")
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a%*b", "axb/b")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.ContainsAny(pattern, `\[?*%`) && !strings.ContainsAny(pattern, `\[?*`) {
			want, err := path.Match(strings.ReplaceAll(pattern, "%", "*"), name)
			if err == nil && Match(pattern, name, '/') != want {
				t.Fatalf("%q of %q: want %v", name, pattern, want)
			}
		}
		Match(pattern, name, '/')
	})
}
