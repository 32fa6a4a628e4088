package formats_test

import (
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
)

// Names are ordered part by part, without being taken apart.
func FuzzCompareNames(f *testing.F) {
	for _, pair := range [][2]string{{"a", "a/b"}, {"a/b", "a b"}, {"INBOX", "A"}, {"a//b", "a/\x00"}, {"", "/"}, {"ab", "a/b"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		want := slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
		if a != b && (a == "INBOX" || b == "INBOX") {
			want = 1
			if a == "INBOX" {
				want = -1
			}
		}
		if got := formats.CompareNames(a, b); got != want {
			t.Fatalf("%q and %q: %d, want %d", a, b, got, want)
		}
	})
}
