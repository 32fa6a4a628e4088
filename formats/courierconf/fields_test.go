package courierconf

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestFields(t *testing.T) {
	const src = `##VERSION: x
# MYSQL_SERVER no
MYSQL_SERVER	 	localhost ` + `
  MYSQL_PORT 0
MYSQL_SELECT_CLAUSE	SELECT a, \
			b   \
		FROM t
EMPTY
TWICE 1
TWICE 2
CR yes` + "\r" + `
LAST x \`
	fields, marker := ReadFields([]byte(src))
	var got []string
	for _, f := range fields {
		got = append(got, fmt.Sprintf("%d %s=%s", f.Line, f.Name, f.Value))
	}
	want := []string{"3 MYSQL_SERVER=localhost", "4 MYSQL_PORT=0", "5 MYSQL_SELECT_CLAUSE=SELECT a,  b    FROM t", "8 EMPTY=",
		"9 TWICE=1", "10 TWICE=2", "11 CR=yes", "12 LAST=x  "}
	if marker || !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if _, marker = ReadFields([]byte("A 1\n##NAME: MARKER:0\n#\n")); !marker {
		t.Error("the marker was not seen")
	}
}

// FuzzFields: what was read, written plainly and read again, is the same.
func FuzzFields(f *testing.F) {
	f.Add([]byte("A b\nC d \\\n e\n##NAME: MARKER:0\n"))
	f.Add([]byte("A \\\n\\"))
	f.Fuzz(func(t *testing.T, src []byte) {
		first, _ := ReadFields(src)
		var b strings.Builder
		for _, x := range first {
			if strings.HasPrefix(x.Name, "#") || x.Name == "" {
				t.Fatalf("%q: a field called %q", src, x.Name)
			}
			fmt.Fprintf(&b, "%s %s\\\n\n", x.Name, x.Value)
		}
		second, _ := ReadFields([]byte(b.String()))
		if len(first) != len(second) {
			t.Fatalf("%q: %d fields, written and read again %d", src, len(first), len(second))
		}
		for i := range first {
			if first[i].Name != second[i].Name || strings.TrimSpace(first[i].Value) != strings.TrimSpace(second[i].Value) {
				t.Fatalf("%q: %v became %v", src, first[i], second[i])
			}
		}
	})
}
