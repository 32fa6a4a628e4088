package mdbox

import (
	"testing"
	"time"
)

// The rule is that of Dovecot 2.3, mdbox-map.c day_begin_stamp.
func TestFilesAreBegunAnewByTheClock(t *testing.T) {
	now := time.Date(2024, 5, 17, 13, 45, 30, 0, time.UTC)
	for _, tc := range []struct {
		interval time.Duration
		want     string
	}{
		{0, "1970-01-01 00:00:00"},
		{time.Second, "2024-05-17 13:45:30"},
		{30 * time.Second, "2024-05-17 13:45:01"},
		{time.Minute, "2024-05-17 13:45:00"},
		{5 * time.Minute, "2024-05-17 13:41:00"},
		{time.Hour, "2024-05-17 13:00:00"},
		{12 * time.Hour, "2024-05-17 02:00:00"},
		{24 * time.Hour, "2024-05-17 00:00:00"},
		{7 * 24 * time.Hour, "2024-05-11 00:00:00"},
	} {
		if got := rotatedAt(now, tc.interval).UTC().Format(time.DateTime); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.interval, got, tc.want)
		}
	}
}
