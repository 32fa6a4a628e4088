package formats

import (
	"slices"
	"testing"
)

func TestFlagChangeApply(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change FlagChange
		flags  Flags
		had    []string
		want   Flags
		words  []string
	}{
		{"adding keeps what is there", FlagChange{AddFlags, Seen, []string{"b"}, 0, 0}, Flagged, []string{"a"}, Seen | Flagged, []string{"a", "b"}},
		{"adding a keyword in other case adds nothing", FlagChange{AddFlags, 0, []string{"WORK"}, 0, 0}, 0, []string{"Work"}, 0, []string{"Work"}},
		{"removing takes only what is named", FlagChange{RemoveFlags, Seen, []string{"A"}, 0, 0}, Seen | Draft, []string{"a", "b"}, Draft, []string{"b"}},
		{"replacing drops the rest", FlagChange{ReplaceFlags, Draft, []string{"x"}, 0, 0}, Seen, []string{"a"}, Draft, []string{"x"}},
		{"replacing leaves Recent alone", FlagChange{ReplaceFlags, Seen, nil, 0, 0}, Recent | Draft, nil, Recent | Seen, nil},
		{"Recent cannot be set", FlagChange{AddFlags, Recent, nil, 0, 0}, 0, nil, 0, nil},
	} {
		had := slices.Clone(tc.had)
		flags, words := tc.change.Apply(tc.flags, tc.had)
		if flags != tc.want || !slices.Equal(words, tc.words) {
			t.Errorf("%s: got %v %q, want %v %q", tc.name, flags, words, tc.want, tc.words)
		}
		if !slices.Equal(had, tc.had) {
			t.Errorf("%s: the caller's keywords changed to %q", tc.name, tc.had)
		}
	}
}

func TestErrorText(t *testing.T) {
	e := &Error{Op: "read metadata", Mailbox: "Work/2019", UID: 17, Path: "dbox-Mails/u.17", Offset: 420, Err: Corrupt("magic missing")}
	if got, want := e.Error(), "read metadata Work/2019 uid 17: dbox-Mails/u.17 at byte 420: corrupt: magic missing"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, ok := Damaged(e); !ok {
		t.Error("an error with a UID is about one message")
	}
	if _, ok := Damaged(&Error{Op: "list", Err: ErrCorrupt}); ok {
		t.Error("an error without a UID is about the mailbox")
	}
}
