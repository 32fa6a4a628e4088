package mbox

import (
	"testing"
	"time"
)

func TestFromLines(t *testing.T) {
	east := time.FixedZone("", 2*3600)
	for _, tc := range []struct {
		name, line, sender, date string // date "": no From_ line
	}{
		{"asctime without zone is local", "From a@b Thu Nov  9 22:33:52 2001", "a@b", "2001-11-09T20:33:52Z"},
		{"two spaces and a zone", "From a@b  Thu Nov  9 22:33:52 2001 +0000", "a@b", "2001-11-09T22:33:52Z"},
		{"a day of two digits", "From a@b Thu Nov 09 22:33:52 2001", "a@b", "2001-11-09T20:33:52Z"},
		{"a day of one digit without a further space", "From a@b Thu Nov 9 22:33:52 2001", "a@b", "2001-11-09T20:33:52Z"},
		{"no seconds", "From a@b Thu Nov  9 22:33 2001", "a@b", "2001-11-09T20:33:00Z"},
		{"the minutes of a zone count as seconds", "From a@b Thu Nov  9 22:33:52 2001 +0530", "a@b", "2001-11-09T17:33:22Z"},
		{"a zone to the west", "From a@b Thu Nov  9 22:33:52 2001 -0800", "a@b", "2001-11-10T06:33:52Z"},
		{"a zone before the year is skipped", "From a@b Thu Nov  9 22:33:52 +0800 2001", "a@b", "2001-11-09T20:33:52Z"},
		{"the name of a zone is skipped", "From a@b Thu Nov  9 22:33:52 MET DST 2001", "a@b", ""},
		{"one name of a zone is skipped", "From a@b Thu Nov  9 22:33:52 CEST 2001", "a@b", "2001-11-09T20:33:52Z"},
		{"internet style", "From a@b Thu, 9 Nov 2001 22:33:52 +0000", "a@b", "2001-11-09T22:33:52Z"},
		{"a quoted sender", `From "a b \" c"@d Thu Nov  9 22:33:52 2001`, `"a b \" c"@d`, "2001-11-09T20:33:52Z"},
		{"no sender", "From  Thu Nov  9 22:33:52 2001", "", "2001-11-09T20:33:52Z"},
		{"months in any case", "From a@b thu nov  9 22:33:52 2001 +0000", "a@b", "2001-11-09T22:33:52Z"},
		{"something behind the date", "From a@b Thu Nov  9 22:33:52 2001 remote from x", "a@b", "2001-11-09T20:33:52Z"},
		{"a leap second", "From a@b Sat Dec 31 23:59:60 2016 +0000", "a@b", "2016-12-31T23:59:59Z"},
		{"a day that is none, with zone", "From a@b Thu Feb 31 22:33:52 2001 +0000", "a@b", ""},
		{"a day that is none, without", "From a@b Thu Feb 31 22:33:52 2001", "a@b", "2001-03-03T20:33:52Z"},
		{"a sentence", "From here on everything is different, he said", "", ""},
		{"no date", "From a@b", "", ""},
		{"a header", "From: a@b Thu Nov  9 22:33:52 2001", "", ""},
	} {
		f, err := parseFromLine([]byte(tc.line), east)
		if tc.date == "" {
			if err == nil {
				t.Errorf("%s: %q gave %v, want none", tc.name, tc.line, f.date)
			}
			continue
		}
		if err != nil || string(f.sender) != tc.sender || f.date.Format(time.RFC3339) != tc.date {
			t.Errorf("%s: %q gave %q %s, %v; want %q %s", tc.name, tc.line, f.sender, f.date.Format(time.RFC3339), err, tc.sender, tc.date)
		}
	}
}

func FuzzFromLine(f *testing.F) {
	for _, s := range []string{"From a@b  Thu Nov  9 22:33:52 2001 +0000", "From \"x y\"@z Thu, 9 Nov 2001 22:33:52", "From a Thu Nov 9 22:33 CET 2001", "From  "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseFromLine(b, time.UTC)
		if err != nil {
			return
		}
		line := appendFromLine(nil, string(got.sender), got.date)
		again, err := parseFromLine(trimEOL(line), time.Local)
		if err != nil || got.date.Year() >= 1 && got.date.Year() <= 9999 && !again.date.Equal(got.date) {
			t.Fatalf("%q is %v, written %q is %v, %v", b, got.date, line, again.date, err)
		}
	})
}
