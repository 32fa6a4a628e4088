package search_test

import (
	"slices"
	"testing"
	"time"

	"dovetail/formats"
)

func TestALongSearchTellsHowFarItHasCome(t *testing.T) {
	for _, c := range []struct {
		name string
		step time.Duration // what each message takes
		line string
		want []string
	}{
		{"one that is fast tells nothing", time.Second / 2, "SEARCH BODY nothing", nil},
		{"every ten seconds", 3 * time.Second, "SEARCH BODY nothing", []string{"Searched 20% of the mailbox, ETA 0:48", "Searched 40% of the mailbox, ETA 0:36", "Searched 60% of the mailbox, ETA 0:24", "Searched 80% of the mailbox, ETA 0:12"}},
		{"minutes", 30 * time.Second, "SEARCH BODY nothing 15:20", []string{
			"Searched 75% of the mailbox, ETA 0:10", "Searched 80% of the mailbox, ETA 0:15", "Searched 85% of the mailbox, ETA 0:15", "Searched 90% of the mailbox, ETA 0:13", "Searched 95% of the mailbox, ETA 0:07"}},
		{"sorting, too", 6 * time.Second, "SORT (SUBJECT) UTF-8 1:3", []string{"Searched 10% of the mailbox, ETA 1:48"}},
		{"and threads", 6 * time.Second, "THREAD REFS UTF-8 1:3", []string{"Searched 10% of the mailbox, ETA 1:48"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := mailboxOf(filled(t, formats.NewMemory(), awkward()[:20]))
			var told []string
			now := time.Unix(1_000_000, 0)
			b.Tell = func(text string) { told = append(told, text) }
			b.Clock = func() time.Time { now = now.Add(c.step); return now.Add(-c.step) }
			ours(t, b, c.line)
			if !slices.Equal(told, c.want) {
				t.Errorf("told\n%q, want\n%q", told, c.want)
			}
		})
	}
}
