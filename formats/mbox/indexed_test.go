package mbox_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/index/translog"
	"dovetail/formats/mbox"
)

// TestFlagsThatDovecotIsAboutToWrite are in the log of its index only, and not marked dirty there, while it waits for the lock
// of the file. Their modseq is counted already.
func TestFlagsThatDovecotIsAboutToWrite(t *testing.T) {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	b := create(t, open(t, mbox.Options{Root: root}), "box", formats.Status{})
	update(t, b, appendAll(numbered([]string{"Subject: one\n\nx\n", "Subject: two\n\nx\n"})))
	j := dovecot.New(t, dovecot.Location("mbox", root))
	j.Fetch("box")
	before := list(t, b)
	uid := before[0].UID

	span := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(uid)), uint32(uid))
	wish := translog.AppendRecord(nil, translog.FlagUpdate, append(span, byte(formats.Flagged), 0, 0, 0))
	log, err := os.OpenFile(filepath.Join(root, ".imap/box/dovecot.index.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = log.Write(wish)
	}
	if err != nil {
		t.Fatal(err)
	}
	log.Close()
	after := list(t, b)
	if after[0].Flags&formats.Flagged == 0 || after[0].ModSeq <= before[0].ModSeq || after[1].Flags != before[1].Flags {
		t.Errorf("%+v, before %+v", after, before)
	}
	j.MustBeClean()
}
