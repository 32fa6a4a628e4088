package mbox_test

import (
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/mbox"
)

// TestDovecotFindsTheSumOfEveryHeader has Dovecot copy several messages within one mbox. When one that is not the first of
// them lacks its sum in the index, Dovecot puts what it has just written into the index twice.
func TestDovecotFindsTheSumOfEveryHeader(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	b := create(t, open(t, mbox.Options{Root: root}), "box", formats.Status{})
	add := func(texts ...string) {
		for _, text := range texts {
			update(t, b, func(tx formats.Tx) error {
				return tx.Append(t.Context(), formats.Message{}, body("Subject: "+text+"\n\nx\n"))
			})
		}
	}
	add("one", "two", "three")
	j := dovecot.New(t, dovecot.Location("mbox", root))
	copier, other := j.IMAP(), j.IMAP()
	copier.Select("box")
	copier.Cmd("UID COPY 1 box") // from here on it keeps the sums
	other.Append("box", "", "", "Subject: five\r\n\r\nx\r\n")
	add("six", strings.Repeat("seven ", 500))
	other.Select("box") // it reads the file, and keeps no sums
	other.Close()
	copier.Cmd("NOOP")
	copier.Cmd("UID COPY 1:2,5:7 box")
	copier.Cmd("NOOP")
	copier.Close()
	j.MustBeClean()
	if all := list(t, b); len(all) != 12 || all[11].text != all[6].text {
		t.Errorf("%d messages", len(all))
	}
}
