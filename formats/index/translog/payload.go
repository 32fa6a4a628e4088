package translog

import (
	"encoding/binary"
	"iter"
)

// The methods of Record that take a payload apart are for records that passed Check and have a fitting type.

// Ranges gives the UID ranges of Expunge, KeywordUpdate and KeywordReset.
func (r Record) Ranges() iter.Seq2[uint32, uint32] {
	b := r.Payload
	if r.Type == KeywordUpdate {
		b = b[pad4(4+int(binary.LittleEndian.Uint16(b[2:]))):]
	}
	return func(yield func(first, last uint32) bool) {
		for ; len(b) >= 8; b = b[8:] {
			if !yield(binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])) {
				return
			}
		}
	}
}

// Keyword is what a KeywordUpdate adds or removes.
func (r Record) Keyword() (name string, remove bool) {
	size := int(binary.LittleEndian.Uint16(r.Payload[2:]))
	return string(r.Payload[4 : 4+size]), r.Payload[0] == 1
}

// Appends gives UIDs and flags of an Append.
func (r Record) Appends() iter.Seq2[uint32, uint8] {
	return func(yield func(uid uint32, flags uint8) bool) {
		for b := r.Payload; len(b) >= 8; b = b[8:] {
			if !yield(binary.LittleEndian.Uint32(b), b[4]) {
				return
			}
		}
	}
}

// FlagChange is one entry of a FlagUpdate: flags first loses Remove, then gets Add.
type FlagChange struct {
	First, Last uint32 // UIDs
	Add, Remove uint8
	Increment   bool // count as a change of modseq in any case
}

// Visible tells whether the change is one that IMAP clients can see: flags of the format's own do not raise modseqs.
func (f FlagChange) Visible() bool { return (f.Add|f.Remove)&0x1f != 0 || f.Increment }

// FlagUpdates gives the entries of a FlagUpdate.
func (r Record) FlagUpdates() iter.Seq[FlagChange] {
	return func(yield func(FlagChange) bool) {
		for b := r.Payload; len(b) >= 12; b = b[12:] {
			f := FlagChange{First: binary.LittleEndian.Uint32(b), Last: binary.LittleEndian.Uint32(b[4:]),
				Add: b[8], Remove: b[9], Increment: b[10] != 0}
			if !yield(f) {
				return
			}
		}
	}
}

// Patches gives offsets and data of a HeaderUpdate, ExtHdrUpdate or ExtHdrUpdate32.
func (r Record) Patches() iter.Seq2[uint32, []byte] {
	head := 4
	if r.Type == ExtHdrUpdate32 {
		head = 8
	}
	return func(yield func(offset uint32, data []byte) bool) {
		for b := r.Payload; len(b) >= head; {
			offset, size := patchHead(b, head)
			if !yield(offset, b[head:head+int(size)]) {
				return
			}
			b = b[min(pad4(head+int(size)), len(b)):]
		}
	}
}

func patchHead(b []byte, head int) (offset, size uint32) {
	if head == 8 {
		return binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	}
	return uint32(binary.LittleEndian.Uint16(b)), uint32(binary.LittleEndian.Uint16(b[2:]))
}

// NoExtID in Intro.ID says that the extension is given by name. Ids depend on the order in which a log introduced the
// extensions, with keywords among them unseen, so a writer always gives names.
const NoExtID = 0xffffffff

const introHead = 20

// Intro is one entry of an ExtIntro: the extension that the following ext records are about, and its sizes.
type Intro struct {
	ID         uint32
	ResetID    uint32
	HeaderSize uint32
	Size       uint16 // of the data in each record
	Align      uint16
	NoShrink   bool
	Name       string
}

// Intros gives the entries of an ExtIntro.
func (r Record) Intros() iter.Seq[Intro] {
	return func(yield func(Intro) bool) {
		le := binary.LittleEndian
		for b := r.Payload; len(b) >= introHead; {
			size := introHead + int(le.Uint16(b[18:]))
			in := Intro{ID: le.Uint32(b), ResetID: le.Uint32(b[4:]), HeaderSize: le.Uint32(b[8:]),
				Size: le.Uint16(b[12:]), Align: le.Uint16(b[14:]), NoShrink: le.Uint16(b[16:])&1 != 0,
				Name: string(b[introHead:size])}
			if !yield(in) {
				return
			}
			b = b[min(pad4(size), len(b)):]
		}
	}
}

// AppendIntro adds an entry to the payload of an ExtIntro.
func AppendIntro(b []byte, in Intro) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, in.ID)
	b = le.AppendUint32(b, in.ResetID)
	b = le.AppendUint32(b, in.HeaderSize)
	b = le.AppendUint16(b, in.Size)
	b = le.AppendUint16(b, in.Align)
	var flags uint16
	if in.NoShrink {
		flags = 1
	}
	b = le.AppendUint16(b, flags)
	b = le.AppendUint16(b, uint16(len(in.Name)))
	return pad(append(b, in.Name...))
}

// AppendPatch adds an entry to the payload of a HeaderUpdate or ExtHdrUpdate; data and offset are below 64 KiB.
func AppendPatch(b []byte, offset uint16, data []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, offset)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(data)))
	return pad(append(b, data...))
}

// AppendKeyword starts the payload of a KeywordUpdate; ranges are to follow.
func AppendKeyword(b []byte, name string, remove bool) []byte {
	var op byte
	if remove {
		op = 1
	}
	b = append(b, op, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(name)))
	return pad(append(b, name...))
}

// AppendData adds an entry to the payload of an ExtRecUpdate.
func AppendData(b []byte, uid uint32, data []byte) []byte {
	return pad(append(binary.LittleEndian.AppendUint32(b, uid), data...))
}

// AppendModSeq adds an entry to the payload of a ModSeqUpdate.
func AppendModSeq(b []byte, uid uint32, modseq uint64) []byte {
	b = binary.LittleEndian.AppendUint32(b, uid)
	return binary.LittleEndian.AppendUint64(b, modseq)
}

// pad fills up to a multiple of 4; payloads begin at such a multiple.
func pad(b []byte) []byte { return append(b, 0, 0, 0)[:pad4(len(b))] }

// Reset is what an ExtReset says: the new reset id, and whether the data stays.
func (r Record) Reset() (id uint32, keep bool) {
	return binary.LittleEndian.Uint32(r.Payload), len(r.Payload) > 4 && r.Payload[4] != 0
}

// Data gives UIDs and data of an ExtRecUpdate whose extension has size bytes in each record. ok is false when the
// record does not divide into such entries.
func (r Record) Data(size int) (entries iter.Seq2[uint32, []byte], ok bool) {
	step := pad4(4 + size)
	if len(r.Payload)%step != 0 {
		return nil, false
	}
	return func(yield func(uid uint32, data []byte) bool) {
		for b := r.Payload; len(b) >= step; b = b[step:] {
			if !yield(binary.LittleEndian.Uint32(b), b[4:4+size]) {
				return
			}
		}
	}, true
}

// Increments gives UIDs and differences of an ExtAtomicInc.
func (r Record) Increments() iter.Seq2[uint32, int32] {
	return func(yield func(uid uint32, diff int32) bool) {
		for b := r.Payload; len(b) >= 8; b = b[8:] {
			if !yield(binary.LittleEndian.Uint32(b), int32(binary.LittleEndian.Uint32(b[4:]))) {
				return
			}
		}
	}
}

// GUIDs gives UIDs and GUIDs of an ExpungeGUID.
func (r Record) GUIDs() iter.Seq2[uint32, [16]byte] {
	return func(yield func(uid uint32, guid [16]byte) bool) {
		for b := r.Payload; len(b) >= 20; b = b[20:] {
			if !yield(binary.LittleEndian.Uint32(b), [16]byte(b[4:20])) {
				return
			}
		}
	}
}

// ModSeqs gives UIDs (0: the mailbox) and modseqs of a ModSeqUpdate.
func (r Record) ModSeqs() iter.Seq2[uint32, uint64] {
	return func(yield func(uid uint32, modseq uint64) bool) {
		for b := r.Payload; len(b) >= 12; b = b[12:] {
			if !yield(binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint64(b[4:])) {
				return
			}
		}
	}
}
