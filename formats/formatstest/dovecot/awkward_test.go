package dovecot_test

import (
	"slices"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// The judge's own material: Dovecot reads it without a word, and it is as awkward in every kind of store.
func TestAwkward(t *testing.T) {
	for _, kind := range dovecot.Kinds {
		t.Run(kind, func(t *testing.T) {
			j, _ := dovecot.Awkward(t, kind)
			if st := j.Status("INBOX"); st.UIDValidity != dovecot.AwkwardUIDValidity || st.UIDNext != dovecot.AwkwardUIDNext || st.Messages != 9 {
				t.Errorf("INBOX is %+v", st)
			}
			if msgs := j.Fetch("INBOX"); len(msgs) != 9 || msgs[8].UID != 70000 || len(msgs[7].Keywords) != 40 {
				t.Errorf("INBOX holds %+v", msgs)
			}
			if got := j.Lsub(); !slices.Equal(got, []string{"Archive/Größe/2024", "Gone", "INBOX", "R&D"}) {
				t.Errorf("subscribed are %q", got)
			}
			if got := len(j.List()); got != 8 {
				t.Errorf("%d mailboxes in %+v", got, j.List())
			}
			j.MustBeClean()
		})
	}
}
