package maildir

import (
	"hash/maphash"
	"slices"
	"sort"
	"time"

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

	files *foundFiles // nil unless they were asked for

	index     *index.State // nil: none, or of another list
	indexSeen *index.State // nil: none
	stamps    stamps       // guarded by Mailbox.mu: those of the last look, at which nothing else was found
	readAt    time.Time    // guarded by Mailbox.mu: when cur/ was read
	unsure    bool         // guarded by Mailbox.mu: since then it was changed by us, and maybe by others just then
	tail      seenTail
	settled   bool // guarded by Mailbox.mu: index is in step with the files, or as good as it can be
	hasMoving bool // some entry is in tmp/
	hasBad    bool // some entry is no regular file

	names    *byBase  // guarded by Mailbox.mu: for the next look; nil when that must be a scan
	recalled bool     // guarded by Mailbox.mu: names may be made when they are needed
	sizes    []uint32 // of messages, as in the file of names; nil: in the names
	looked   int      // names that were added to text since the last scan

	status formats.Status // guarded by Mailbox.mu
	counts bool           // status is filled in

	lastAsked  *string // see indexOnlyKey
	lastAnswer string
}

// seenTail is how far the list was read.
type seenTail struct {
	size, record int64       // where it ended, and where its last record began
	last         formats.UID // of that record, 0 if there is none
}

// foundFiles are the files of a folder before they are joined with a list.
type foundFiles struct {
	v     *view
	names *byBase
}

// copyFiles keeps what was found so far for another list. Names are shared.
func (v *view) copyFiles(names *byBase) *foundFiles {
	c := &view{
		text: v.text.share(), entries: slices.Clone(v.entries), doubts: v.doubts, strays: slices.Clone(v.strays), nStrays: v.nStrays,
		sets: make([][]string, 1), setOf: map[setKey]uint32{},
	}
	return &foundFiles{c, &byBase{v: c, seed: names.seed, slots: slices.Clone(names.slots), n: names.n}}
}

// setKey identifies a set of keywords: letters of the file name and the names of further ones, each but the last with a
// line end.
type setKey struct {
	keys letters
	more string
}

// noteUnusual is called when all entries are there.
func (v *view) noteUnusual() {
	for i := range v.entries {
		v.hasMoving = v.hasMoving || v.entries[i].where == inTmp
		v.hasBad = v.hasBad || v.entries[i].bad
	}
}

// findPlace gives the place of a UID; when there is none, that of the next higher one and false.
func (v *view) findPlace(uid formats.UID) (int, bool) {
	i := sort.Search(len(v.entries), func(i int) bool { return v.entries[i].uid >= uid })
	return i, i < len(v.entries) && v.entries[i].uid == uid
}

// find gives the message of a UID.
func (v *view) find(uid formats.UID) (*entry, bool) {
	i, ok := v.findPlace(uid)
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

// text holds many short pieces in blocks. What was got from it stays valid.
type text struct {
	blocks [][]byte
	lazy   *lazyText // where the blocks are in its place; nil: nowhere
}

// Most folders are small, so the first block grows.
const (
	textBlock = 1 << 18
	textStart = 1 << 12
)

func (t *text) add(s []byte) uint32 {
	last := len(t.blocks) - 1
	switch {
	case last < 0:
		t.begin(textStart)
	case len(t.blocks[last])+len(s) > textBlock:
		t.begin(textBlock)
	case len(t.blocks[last])+len(s) > cap(t.blocks[last]):
		t.blocks[last] = append(make([]byte, 0, 2*cap(t.blocks[last])), t.blocks[last]...)
	}
	last = len(t.blocks) - 1
	at := len(t.blocks[last])
	t.blocks[last] = append(t.blocks[last], s...)
	return uint32(last)*textBlock + uint32(at)
}

func (t *text) begin(size int) { t.blocks = append(t.blocks, make([]byte, 0, size)) }

// loaded gives a text that begins with the same pieces, all of them in memory.
func (t *text) loaded() text {
	if t.lazy != nil {
		t.lazy.load()
		return text{blocks: slices.Clone(t.lazy.blocks)}
	}
	return text{blocks: slices.Clone(t.blocks)}
}

func (t *text) get(at uint32, n int) []byte {
	if n == 0 {
		return nil
	}
	if t.lazy != nil {
		return t.lazy.get(at, n)
	}
	block, off := t.blocks[at/textBlock], int(at%textBlock)
	return block[off : off+n : off+n]
}

// share gives a text that begins with the same pieces; what is added to one of the two is not in the other.
func (t *text) share() text {
	c := text{blocks: slices.Clone(t.blocks)}
	t.begin(textStart)
	c.begin(textStart)
	return c
}

// byBase finds entries by base name: open addressing over their places, because a Go map of 100,000 strings would cost
// more than the names themselves.
type byBase struct {
	v     *view
	seed  maphash.Seed
	slots []baseSlot
	n     int
}

// baseSlot is free when place is 0.
type baseSlot struct {
	place uint32 // in view.entries, + 1
	hash  uint32 // its lower bits: names are compared only where these are equal
}

func newByBase(v *view) *byBase { return newByBaseOf(v, 0) }

// newByBaseOf makes room for n entries at once.
func newByBaseOf(v *view, n int) *byBase {
	size := 16 // most mailboxes are empty or small
	for size < 2*n+2 {
		size *= 2
	}
	return &byBase{v: v, seed: maphash.MakeSeed(), slots: make([]baseSlot, size)}
}

// slot is where base is or would be.
func (h *byBase) slot(base []byte) (i int, hash uint32) {
	mask := len(h.slots) - 1
	hash = uint32(maphash.Bytes(h.seed, base))
	for i = int(hash) & mask; h.slots[i].place != 0; i = (i + 1) & mask {
		if h.slots[i].hash == hash && string(baseName(h.v.name(&h.v.entries[h.slots[i].place-1]))) == string(base) {
			break
		}
	}
	return i, hash
}

// get gives the entry's place.
func (h *byBase) get(base []byte) (int, bool) {
	i, _ := h.slot(base)
	n := h.slots[i].place
	return int(n) - 1, n != 0
}

// put remembers an entry whose base name is not known yet.
func (h *byBase) put(place int) {
	if 2*h.n >= len(h.slots) {
		h.grow()
	}
	h.prefer(place)
	h.n++
}

func (h *byBase) grow() {
	old := h.slots
	h.slots = make([]baseSlot, 2*len(old))
	mask := len(h.slots) - 1
	for _, s := range old {
		if s.place == 0 {
			continue
		}
		i := int(s.hash) & mask
		for h.slots[i].place != 0 {
			i = (i + 1) & mask
		}
		h.slots[i] = s
	}
}

// moved gives a table for n entries of v in which each entry is where now says, + 1; 0: it is there no more.
func (h *byBase) moved(v *view, now []uint32, n int) *byBase {
	to := newByBaseOf(v, n)
	to.seed = h.seed
	mask := len(to.slots) - 1
	for _, s := range h.slots {
		if s.place == 0 || now[s.place-1] == 0 {
			continue
		}
		i := int(s.hash) & mask
		for to.slots[i].place != 0 {
			i = (i + 1) & mask
		}
		to.slots[i] = baseSlot{now[s.place-1], s.hash}
		to.n++
	}
	return to
}

// prefer gives an entry the place of another one with the same base name.
func (h *byBase) prefer(place int) {
	i, hash := h.slot(baseName(h.v.name(&h.v.entries[place])))
	h.slots[i] = baseSlot{uint32(place) + 1, hash}
}

// sortByUID sorts the entries and tells h where they are now.
func (v *view) sortByUID(h *byBase) {
	order := make([]uint64, len(v.entries)) // UID, then place before
	for i := range v.entries {
		order[i] = uint64(v.entries[i].uid)<<32 | uint64(i)
	}
	if slices.IsSorted(order) {
		return
	}
	slices.Sort(order)
	sorted, now := make([]entry, len(order)), make([]uint32, len(order))
	for i, o := range order {
		sorted[i], now[uint32(o)] = v.entries[uint32(o)], uint32(i)
	}
	v.entries = sorted
	for i := range h.slots {
		if s := &h.slots[i]; s.place != 0 {
			s.place = now[s.place-1] + 1
		}
	}
}
