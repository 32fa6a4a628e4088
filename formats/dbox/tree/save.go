package tree

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/index"
)

// MetadataOf describes a message that is appended; the sizes follow when it is copied.
func MetadataOf(m *formats.Message, now time.Time) dbox.Metadata {
	meta := dbox.NoMetadata()
	meta.Received = now.Unix()
	if !m.InternalDate.IsZero() {
		meta.Received = m.InternalDate.Unix()
	}
	meta.POP3UIDL, meta.POP3Order, meta.GUID = m.POP3UIDL, m.POP3Order, m.GUID
	if meta.GUID == "" {
		meta.GUID = NewGUID().String()
	}
	return meta
}

// NewGUID makes one that nobody has.
func NewGUID() (g formats.GUID) {
	rand.Read(g[:]) // never fails: crypto/rand
	return g
}

// GUID128 is the form of a message GUID in the index (Dovecot 2.3, mail_generate_guid_128_hash): its 16 bytes if it is
// 32 hexadecimal digits, else zero, which stands for "not known".
func GUID128(guid string) (g formats.GUID) {
	if b, err := hex.DecodeString(guid); err == nil && len(b) == len(g) {
		copy(g[:], b)
	}
	return g
}

// AnnouncePOP3 tells the index that messages carry a UIDL or order of their own; without it nobody would look.
func AnnouncePOP3(ix *index.Tx, ext string, have byte, last formats.UID) {
	if have == 0 {
		return
	}
	st := ix.State()
	if h := Header(st, ext); h != nil && h[FlagsOffset]|have != h[FlagsOffset] {
		ix.SetHeader(ext, FlagsOffset, []byte{h[FlagsOffset] | have})
	}
	if e := st.Ext(POP3Ext); e != nil && POP3Of(st, ext).Last < last {
		ix.SetHeader(POP3Ext, 0, binary.LittleEndian.AppendUint32(nil, uint32(last)))
	}
}
