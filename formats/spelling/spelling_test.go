package spelling

import (
	"strings"
	"testing"
)

func TestTheNearestName(t *testing.T) {
	names := []string{"INBOX", "INDEX", "LAYOUT"}
	for _, c := range []struct {
		word  string
		limit int
		want  string
	}{
		{"INDX", 3, "INDEX"},
		{"index", 0, "INDEX"},
		{"INBEX", 3, "INBOX"}, // both are one letter away: the first
		{"LAOUT", 1, "LAYOUT"},
		{"LAOT", 1, ""},
		{"", 3, ""},
		{"", 5, "INBOX"},
		{strings.Repeat("x", 1<<20), 1 << 21, ""},
	} {
		if got := Nearest(c.word, names, c.limit); got != c.want {
			t.Errorf("%.20q within %d is %q, want %q", c.word, c.limit, got, c.want)
		}
	}
}
