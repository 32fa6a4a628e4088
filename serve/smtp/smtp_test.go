package smtp

import (
	"slices"
	"strings"
	"testing"
)

func TestPathsAreReadAsRFC5321HasThem(t *testing.T) {
	plain := Options{}
	loose := Options{Empty: true, NoDomain: true, SpaceFirst: true, Bare: true}
	for _, tc := range []struct {
		in     string
		o      Options
		want   Path
		params []Param
		bad    string
	}{
		{in: "TO:<a@b.example>", want: Path{"a", "b.example"}},
		{in: "to:<a.b+c@b> KEY=VALUE flag", want: Path{"a.b+c", "b"}, params: []Param{{"KEY", "VALUE"}, {"FLAG", ""}}},
		{in: `TO:<"a b\"\\"@b>`, want: Path{`a b"\`, "b"}},
		{in: "TO:<@r1,@r2:a@b>", want: Path{"a", "b"}},
		{in: "TO:<a@[192.0.2.1]>", want: Path{"a", "[192.0.2.1]"}},
		{in: "TO:<jürgen@bücher.example>", want: Path{"jürgen", "bücher.example"}},
		{in: "TO:<>", o: loose, want: Path{}},
		{in: "TO: a", o: loose, want: Path{"a", ""}},
		{in: "TO:<a>", o: loose, want: Path{"a", ""}},
		{in: "TO:<>", o: plain, bad: "Null path"},
		{in: "TO:<a>", o: plain, bad: "Missing domain"},
		{in: "TO: <a@b>", bad: "whitespace"},
		{in: "TO:a@b", bad: "Missing '<'"},
		{in: "TO:<a@b", bad: "Missing '>'"},
		{in: "TO:<a@b@c>", bad: "Missing '>'"},
		{in: "TO:<a@b>x", bad: "character in path"},
		{in: "TO:<a..b@c>", bad: "localpart"},
		{in: "TO:<.a@c>", bad: "localpart"},
		{in: "TO:<@b>", bad: "localpart"},
		{in: `TO:<""@b>`, bad: "localpart"},
		{in: "TO:<\"a\x00\"@b>", bad: "character"},
		{in: "TO:<a\x00@b>", bad: "Missing"},
		{in: "TO:<a@b..c>", bad: "domain"},
		{in: "TO:<a@b> =x", bad: "parameter"},
		{in: "TO:<\xff@b>", bad: "UTF-8"},
		{in: "TO:<" + strings.Repeat("a", 5000) + "@b>", bad: "too long"},
		{in: "FROM:<a@b>", bad: "Invalid parameters"},
		{in: "", bad: "Invalid parameters"},
	} {
		got, params, err := ParsePath(tc.in, "TO", tc.o)
		if tc.bad != "" {
			if err == nil || !strings.Contains(err.Error(), tc.bad) {
				t.Errorf("%.30q: %+v, %v; want an error about %q", tc.in, got, err, tc.bad)
			}
			continue
		}
		if err != nil || got != tc.want || !slices.Equal(params, tc.params) {
			t.Errorf("%q: %+v %v, %v; want %+v %v", tc.in, got, params, err, tc.want, tc.params)
		}
	}
}

// What was read is written so that it is read as the same.
func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"<a@b>", `<"a b"@c> X=1`, "<@x:a@b>", "<>", "<a>", `<"\"">`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o := Options{Empty: true, NoDomain: true}
		p, _, err := ParsePath("TO:"+s, "TO", o)
		if err != nil {
			return
		}
		again, _, err := ParsePath("TO:<"+p.String()+">", "TO", o)
		if err != nil || again != p {
			t.Errorf("%q is %+v, written %q, read %+v, %v", s, p, p, again, err)
		}
	})
}
