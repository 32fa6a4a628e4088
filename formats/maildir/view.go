package maildir

import (
	"hash/maphash"
	"slices"

	"dovetail/formats"
	"dovetail/formats/index"
)

// where says in which folder a message file lies.
type where uint8

const (
	inCur where = iota
	inNew
	inTmp // listed already, but the process died before it was moved
)

// entry is one message file; 24 bytes.
type entry struct {
	uid     formats.UID
	name    uint32 // in view.text
	ext     uint32 // fields of its record, in view.text; extLen 0: none
	set     uint32 // its keywords, in view.sets
	extLen  uint16
	nameLen uint8 // NAME_MAX is 255
	flags   formats.Flags
	where   where
	bad     bool // not a regular file
	listed  bool // its UID is in the list on disk
}

// view is a mailbox as it was found at one moment: the names of its files joined with its list. It does not change
// once it is built. 100,000 messages take about 14 MB.
type view struct {
	text    text
	entries []entry // by UID

	uidNext formats.UID
	header  listHeader
	hasList bool // the list that the store goes by was there and usable
	courier bool // Courier's list was used
	damage  error

	strays   []string // the first entries of cur and new that are no messages and have no UID
	nStrays  int
	doubts   bool        // two files have one base name, or one has a colon in it
	dead     int         // records without a file
	unlisted int         // files without a record
	first    formats.UID // that was given to one of these

	found        *courierFound      // nil: Courier's files were not looked at
	pop3Header   *courierPOP3Header // nil: no POP3 list of Courier
	courierNames []string           // of keywords, in :list
	pending      int                // updates of keywords beside :list
	intent       bool               // changes of flags and keywords were not finished

	keywords   keywordTable
	noKeywords error      // why a source's table could not be read
	sets       [][]string // of keywords; sets[0] is empty
	setOf      map[setKey]uint32

	index     *index.State // nil: none, or of another list
	indexSeen *index.State // nil: none
	stamps    stamps

	lastAsked  *string // see anyIndexOnly
	lastAnswer bool
}

// setKey identifies a set of keywords: letters of the file name and, by its first element, a shared slice of further
// ones.
type setKey struct {
	keys letters
	more *string
}

// find gives the place of a UID.
func (v *view) find(uid formats.UID) (*entry, bool) {
	i, ok := slices.BinarySearchFunc(v.entries, uid, func(e entry, uid formats.UID) int {
		return int(int64(e.uid) - int64(uid))
	})
	if !ok {
		return nil, false
	}
	return &v.entries[i], true
}

func (v *view) name(e *entry) []byte { return v.text.get(e.name, int(e.nameLen)) }
func (v *view) ext(e *entry) []byte  { return v.text.get(e.ext, int(e.extLen)) }

// guid is the message's GUID: the one in the list, else the base name.
func (v *view) guid(e *entry) (guid string, derived bool) {
	if g, ok := extField(v.ext(e), 'G'); ok && len(g) > 0 {
		return string(g), false
	}
	return string(baseName(v.name(e))), true
}

// pop3Of gives the message's own UIDL and order: an empty P means the base name.
func (v *view) pop3Of(e *entry) (uidl string, order uint32) {
	if p, ok := extField(v.ext(e), 'P'); ok {
		if uidl = string(p); uidl == "" {
			uidl = string(baseName(v.name(e)))
		}
	}
	if o, ok := extField(v.ext(e), 'O'); ok {
		order, _ = number32(o)
	}
	return uidl, order
}

// intern gives the number of a set of keywords.
func (v *view) intern(key setKey, names func() []string) uint32 {
	if key == (setKey{}) {
		return 0
	}
	n, ok := v.setOf[key]
	if !ok {
		n = uint32(len(v.sets))
		v.sets = append(v.sets, names())
		v.setOf[key] = n
	}
	return n
}

// text holds many short pieces in blocks that never move.
type text struct{ blocks [][]byte }

const textBlock = 1 << 18

func (t *text) add(s []byte) uint32 {
	last := len(t.blocks) - 1
	if last < 0 || len(t.blocks[last])+len(s) > textBlock {
		t.blocks = append(t.blocks, make([]byte, 0, textBlock))
		last++
	}
	at := len(t.blocks[last])
	t.blocks[last] = append(t.blocks[last], s...)
	return uint32(last)*textBlock + uint32(at)
}

func (t *text) get(at uint32, n int) []byte {
	if n == 0 {
		return nil
	}
	block, off := t.blocks[at/textBlock], int(at%textBlock)
	return block[off : off+n : off+n]
}

// byBase finds entries by base name: open addressing over their places, because a Go map of 100,000 strings would cost
// more than the names themselves.
type byBase struct {
	v     *view
	seed  maphash.Seed
	slots []uint32 // place in v.entries + 1; 0 free
	n     int
}

func newByBase(v *view) *byBase { return newByBaseOf(v, 0) }

// newByBaseOf makes room for n entries at once.
func newByBaseOf(v *view, n int) *byBase {
	size := 1024
	for size < 2*n+2 {
		size *= 2
	}
	return &byBase{v: v, seed: maphash.MakeSeed(), slots: make([]uint32, size)}
}

// slot is where base is or would be.
func (h *byBase) slot(base []byte) int {
	mask := len(h.slots) - 1
	i := int(maphash.Bytes(h.seed, base)) & mask
	for ; h.slots[i] != 0; i = (i + 1) & mask {
		if string(baseName(h.v.name(&h.v.entries[h.slots[i]-1]))) == string(base) {
			return i
		}
	}
	return i
}

// get gives the entry's place.
func (h *byBase) get(base []byte) (int, bool) {
	n := h.slots[h.slot(base)]
	return int(n) - 1, n != 0
}

// put remembers an entry whose base name is not known yet.
func (h *byBase) put(place int) {
	if 2*h.n >= len(h.slots) {
		old := h.slots
		h.slots = make([]uint32, 2*len(old))
		for _, n := range old {
			if n != 0 {
				h.slots[h.slot(baseName(h.v.name(&h.v.entries[n-1])))] = n
			}
		}
	}
	h.slots[h.slot(baseName(h.v.name(&h.v.entries[place])))] = uint32(place) + 1
	h.n++
}

// prefer gives an entry the place of another one with the same base name.
func (h *byBase) prefer(place int) {
	h.slots[h.slot(baseName(h.v.name(&h.v.entries[place])))] = uint32(place) + 1
}
