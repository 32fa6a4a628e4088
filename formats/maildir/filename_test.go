package maildir

import (
	"slices"
	"testing"

	"dovetail/formats"
)

func TestFlagsOfFileNames(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags formats.Flags
		keys  letters
	}{
		{"1.M2P3.host,S=1,W=2:2,DFRSTaz", formats.SystemFlags, 1 | 1<<25},
		{"1.host:2,", 0, 0},
		{"1.host", 0, 0},
		{"1.host:1,S", 0, 0},                           // another kind of info
		{"1.host:2,PS", formats.Seen, 0},               // P is Courier's "passed"
		{"1.host:2,S,F", formats.Seen, 0},              // what follows a further comma is not ours
		{"1.host:2,F:2,S", formats.Seen, 0},            // the last colon counts
		{"1.host:2,SS\xffb", formats.Seen, letters(2)}, // any byte may stand there
	} {
		if flags, keys := parseInfo([]byte(c.name)); flags != c.flags || keys != c.keys {
			t.Errorf("%q: %v %b, want %v %b", c.name, flags, keys, c.flags, c.keys)
		}
	}
}

func TestNewFlagsKeepWhatIsNotUnderstood(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"1.host", "1.host:2,FSb"},
		{"1.host:2,DT", "1.host:2,FSb"},
		{"1.host:2,PX", "1.host:2,FPSXb"},
		{"1.host:2,S,keep=1", "1.host:2,FSb,keep=1"},
		{"1.host:1,odd", "1.host:2,FSb"},
	} {
		if got := string(withInfo(nil, []byte(c.name), formats.Seen|formats.Flagged, 2)); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSizesOfFileNames(t *testing.T) {
	for _, c := range []struct {
		name string
		size int64
		ok   bool
	}{
		{"1.host,S=120,W=130:2,S", 120, true},
		{"1.host,W=130,S=0", 0, true},
		{"1.host,S=:2,", 0, false},
		{"1.host,S=12x", 0, false},
		{"1.host,S=-1", 0, false},
		{"1.host,S=18446744073709551615", 0, false},
		{"1.host,XS=5", 0, false},
	} {
		if size, ok := sizeField([]byte(c.name), 'S'); size != c.size || ok != c.ok {
			t.Errorf("%q: %d %v, want %d %v", c.name, size, ok, c.size, c.ok)
		}
	}
	if got := string(withoutSizes(nil, []byte("1.a,b,S=1,x,W=2:2,S"))); got != "1.a,b,x:2,S" {
		t.Errorf("without sizes: %q", got)
	}
}

func TestOrderOfUnlistedFiles(t *testing.T) {
	want := []string{"x", "2.a", "10.M9P1.h", "10.M10P1.h", "10.M10P2.h:2,S", "11.Q.h", "11.R.h"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b string) int { return compareDovecot([]byte(a), []byte(b)) })
	if !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
	courier := []string{"10.M10P1.h", "10.M9P1.h"}
	if compareCourier([]byte(courier[0]), []byte(courier[1])) >= 0 {
		t.Errorf("Courier compares bytes: %q", courier)
	}
}

func FuzzFileName(f *testing.F) {
	for _, name := range []string{"1.M2P3.host,S=1,W=2:2,DFRSTaz", "1.host:2,PS,x=1", "x:1,S:2,", ":", ",S=", "1.host:2,"} {
		f.Add([]byte(name), uint8(0x1f), uint32(3))
	}
	f.Fuzz(func(t *testing.T, name []byte, bits uint8, set uint32) {
		flags, keys := formats.Flags(bits)&formats.SystemFlags, letters(set)&(1<<26-1)
		out := withInfo(nil, name, flags, keys)
		if gotFlags, gotKeys := parseInfo(out); gotFlags != flags || gotKeys != keys {
			t.Fatalf("%q with %v %b is %q, read as %v %b", name, flags, keys, out, gotFlags, gotKeys)
		}
		if again := withInfo(nil, out, flags, keys); string(again) != string(out) {
			t.Fatalf("%q written again is %q", out, again)
		}
		sizeField(name, 'S')
		compareDovecot(name, out)
		compareCourier(name, out)
	})
}
