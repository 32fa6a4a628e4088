package parsed

import (
	"testing"
	"time"
)

func TestDates(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string // "" none
		zone int
	}{
		{"Mon, 02 Jan 2006 15:04:05 -0700", "2006-01-02T22:04:05Z", -420},
		{"2 Jan 06 5.04 EST (comment (nested))", "2006-01-02T10:04:00Z", -300},
		{"Thu, 31 Dec 1998 23:59:60 +0000", "1998-12-31T23:59:59Z", 0},
		{"Mon, 30 Feb 2006 15:04:05 +0000", "", 0},
		{"Mon 2 Jan 2006 15:04:05 +0000", "", 0},
		{"Mon, 2 January 2006 15:04 GMT", "2006-01-02T15:04:00Z", 0},
		{"Mon, 2 Jan 2006 25:04 GMT", "", 0},
		{"Mon, 2 Jan 106 15:04 GMT", "", 0},
		{"Mon, 2 Jan 2006 15:04 +0100 (never closed", "", 0},
		{"", "", 0},
		{"Wed, 31 Dec 1969 23:59:59 +0000", "2106-02-07T06:28:15Z", 0},
		{"2 Jan 2006 15:04:05 B", "2006-01-02T13:04:05Z", 120},
	} {
		var d Data
		d.takeDate([]byte(c.in))
		got, zone := "", d.SentZone
		if d.Sent != 0 {
			got = time.Unix(d.Sent, 0).UTC().Format(time.RFC3339)
		}
		if got != c.want || zone != c.zone {
			t.Errorf("%q: got %q %d, want %q %d", c.in, got, zone, c.want, c.zone)
		}
	}
}

func TestTheFieldsOfAHeader(t *testing.T) {
	var got []string
	for f := range Fields([]byte("Subject : a\r\n b\r\nno colon\nX:\n\ty\nTo:\nFrom: z\n\nBody: no\n")) {
		got = append(got, string(f.Name)+"|"+string(f.Gap)+"|"+string(AppendUnfolded(nil, f.Value)))
	}
	want := []string{"Subject| : |a b", "no colon||", "X|:| y", "To|:|", "From|: |z"}
	if len(got) != len(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("field %d: got %q, want %q", i, got[i], want[i])
		}
	}
}

func FuzzFields(f *testing.F) {
	f.Add([]byte("A: b\r\n c\nD\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for f := range Fields(b) {
			n += len(f.Lines)
		}
		if n > len(b) {
			t.Fatal("more lines than there are")
		}
	})
}
