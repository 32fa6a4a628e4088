package main

import (
	"strings"
	"testing"
)

func TestMasks(t *testing.T) {
	for _, tc := range []struct {
		name, mask, mailbox string
		want                bool
	}{
		{"a name is itself", "Work", "Work", true},
		{"not its child", "Work", "Work/2019", false},
		{"a star takes slashes", "W*", "Work/2019/May", true},
		{"a star takes nothing", "Work*", "Work", true},
		{"a percent stops at a slash", "Work/%", "Work/2019/May", false},
		{"a percent takes one level", "Work/%", "Work/2019", true},
		{"two percents", "%/2019/%", "Work/2019/May", true},
		{"a percent before a star", "%/*y", "Work/2019/May", true},
		{"case matters", "work", "Work", false},
		{"but not for the inbox", "inbox", "INBOX", true},
		{"thirty stars end", strings.Repeat("*a", 30), strings.Repeat("a", 29) + "b", false},
	} {
		if got := (masks{tc.mask}).match(tc.mailbox); got != tc.want {
			t.Errorf("%s: %q on %q: got %v", tc.name, tc.mask, tc.mailbox, got)
		}
	}
	if !(masks{}).match("anything") {
		t.Error("no masks select all")
	}
}

func TestAMaskWithoutWildcardsMustExist(t *testing.T) {
	names := []string{"INBOX", "Work"}
	for mask, want := range map[string]string{"Work": "", "inbox": "", "Wirk": "Wirk", "X*": ""} {
		if got := (masks{mask}).unused(names); got != want {
			t.Errorf("%q: got %q, want %q", mask, got, want)
		}
	}
}
