package sync

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"unsafe"

	"dovetail/formats"
)

// record is what a diff needs to know of a message: 16 bytes, so that 100,000 messages on both sides take 3.2 MB.
type record struct {
	uid    uint32
	look   uint32 // flags in the low byte, above it the keyword set
	modseq uint64
}

func makeRecord(uid formats.UID, flags formats.Flags, set uint32, modseq formats.ModSeq) record {
	return record{uid: uint32(uid), look: set<<8 | uint32(flags&formats.SystemFlags), modseq: uint64(modseq)}
}

func (r record) flags() formats.Flags { return formats.Flags(r.look) }
func (r record) set() uint32          { return r.look >> 8 }

// state is how one side of a mailbox looks.
type state struct {
	status formats.Status
	recs   []record // ascending UIDs

	// guids, looks and dates identify messages, one for each record: hashes of the GUID (0: none), of date and size, and
	// of the date alone. They are there only when load was asked for them.
	guids, looks, dates []uint64

	bad map[formats.UID]error // messages that the mailbox lists but cannot describe
}

// want says which parts of a message load has to hash.
const (
	wantGUIDs = formats.WantGUID
	wantLooks = formats.WantDate | formats.WantSize
)

// load reads the state of a mailbox. Keyword sets are shared between both sides of a comparison.
func load(ctx context.Context, box formats.Mailbox, want formats.Want, sets *keywordSets) (*state, error) {
	status, err := box.Status(ctx)
	if err != nil {
		return nil, err
	}
	s := &state{status: status, bad: map[formats.UID]error{}}
	expected := min(status.Messages, 1<<20)
	s.recs = make([]record, 0, expected)
	if want&wantGUIDs != 0 {
		s.guids = make([]uint64, 0, expected)
	}
	if want&wantLooks != 0 {
		s.looks, s.dates = make([]uint64, 0, expected), make([]uint64, 0, expected)
	}
	last := formats.UID(0)
	for m, err := range box.Messages(ctx, formats.Query{Want: want}) {
		if err != nil {
			damaged, ok := formats.Damaged(err)
			if !ok {
				return nil, err
			}
			m.UID = damaged.UID
			s.bad[m.UID] = err
		}
		if m.UID <= last {
			return nil, formats.Corrupt("UID %d is listed after UID %d", m.UID, last)
		}
		last = m.UID
		s.recs = append(s.recs, makeRecord(m.UID, m.Flags, sets.index(m.Keywords), m.ModSeq))
		if want&wantGUIDs != 0 {
			s.guids = append(s.guids, hashText(m.GUID))
		}
		if want&wantLooks != 0 {
			s.looks = append(s.looks, hashLook(m.InternalDate.Unix(), m.Size))
			s.dates = append(s.dates, hashLook(m.InternalDate.Unix(), -1))
		}
	}
	return s, ctx.Err()
}

// find gives the place of uid in recs.
func (s *state) find(uid uint32) (int, bool) {
	return slices.BinarySearchFunc(s.recs, uid, func(r record, uid uint32) int { return int(int64(r.uid) - int64(uid)) })
}

// marked tells whether the message in place i of recs is the one that got a mark (see copying.mark).
func (s *state) marked(i int, mark uint64) bool {
	return s.guids != nil && s.guids[i] == mark || s.looks != nil && (s.looks[i] == mark || s.dates[i] == mark)
}

// message is the record as Messages gave it, without its Detail.
func (s *state) message(r record, sets *keywordSets) formats.Message {
	return formats.Message{UID: formats.UID(r.uid), Flags: r.flags(), Keywords: sets.names[r.set()], ModSeq: formats.ModSeq(r.modseq)}
}

// hashText is half of SHA-256's first 16 bytes: mail users choose GUIDs by naming files, so they must not be able to
// make two messages look like one. 0 stands for no text.
func hashText(s string) uint64 {
	if s == "" {
		return 0
	}
	sum := sha256.Sum256(unsafe.Slice(unsafe.StringData(s), len(s)))
	return max(1, binary.LittleEndian.Uint64(sum[:8]))
}

func hashLook(date, size int64) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], uint64(date))
	binary.LittleEndian.PutUint64(b[8:], uint64(size))
	sum := sha256.Sum256(b[:])
	return max(1, binary.LittleEndian.Uint64(sum[:8]))
}

// keywordSets numbers the different sets of keywords in a mailbox: there are few, and messages share them. Set 0 is
// the empty one. Sets that differ only in order or case have the same number.
type keywordSets struct {
	names [][]string // by number, spelled as seen first
	byKey map[string]uint32

	// The set seen last: neighbours often share the very same slice.
	last    *string
	lastLen int
	lastSet uint32
	key     []byte
	folded  []string
}

func newKeywordSets() *keywordSets {
	return &keywordSets{names: [][]string{nil}, byKey: map[string]uint32{"": 0}}
}

func (k *keywordSets) index(keywords []string) uint32 {
	if len(keywords) == 0 {
		return 0
	}
	if first := unsafe.SliceData(keywords); first == k.last && len(keywords) == k.lastLen {
		return k.lastSet
	}
	k.folded = k.folded[:0]
	for _, name := range keywords {
		k.folded = append(k.folded, strings.ToLower(name))
	}
	slices.Sort(k.folded)
	k.key = k.key[:0]
	for _, name := range slices.Compact(k.folded) {
		k.key = append(append(k.key, name...), ' ')
	}
	set, ok := k.byKey[string(k.key)]
	if !ok {
		set = uint32(len(k.names))
		k.names = append(k.names, slices.Clone(keywords))
		k.byKey[string(bytes.Clone(k.key))] = set
	}
	k.last, k.lastLen, k.lastSet = unsafe.SliceData(keywords), len(keywords), set
	return set
}
