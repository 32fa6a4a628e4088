package mbox_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/mbox"
)

// TestFlagsSetInDovecotBehindOurChange are lost when the index does not say that it knows our change: then Dovecot reads the
// file before it writes them. (It does so in any case when there is a new message, even one of its own, which is recent.)
func TestFlagsSetInDovecotBehindOurChange(t *testing.T) {
	flagged := formats.FlagChange{Op: formats.AddFlags, Flags: formats.Draft, Keywords: []string{"new"}}
	for name, change := range map[string]func(formats.Tx) error{
		"flags of one message": func(tx formats.Tx) error {
			return tx.SetFlags(formats.RangesOf(4), formats.FlagChange{Op: formats.AddFlags, Flags: formats.Draft})
		},
		"a new keyword":  func(tx formats.Tx) error { return tx.SetFlags(formats.RangesOf(6, 11), flagged) },
		"an expunge":     func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(4)) },
		"what is recent": func(tx formats.Tx) error { tx.(formats.RecentClaimer).ClaimRecent(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(dovecot.TempDir(t), "mail")
			b := create(t, open(t, mbox.Options{Root: root}), "box", formats.Status{})
			texts := make([]string, 4)
			for i := range texts {
				texts[i] = fmt.Sprintf("Subject: %d\n\n%s\n", i, strings.Repeat("x", 70*i))
			}
			update(t, b, appendAll(numbered(texts)))
			j := dovecot.New(t, dovecot.Location("mbox", root))
			s := j.IMAP()
			s.Select("box")
			update(t, b, change)
			s.Cmd(`STORE 1 +FLAGS (\Flagged theirs)`)
			first := list(t, b)[0]
			if first.Flags&formats.Flagged == 0 || !formats.HasKeyword(first.Keywords, "theirs") {
				t.Errorf("%v %q", first.Flags, first.Keywords)
			}
			update(t, b, change) // and once more: an expunge of nothing, flags that are there
			s.Cmd("NOOP")
			s.Cmd("FETCH 1:* BODY[]")
			s.Close()
			all := list(t, b)
			if all[0].Flags&formats.Flagged == 0 || all[0].text != texts[0] {
				t.Errorf("in the end: %+v", all[0])
			}
			shown(t, j.Fetch("box"), all)
			j.MustBeClean()
		})
	}
}
