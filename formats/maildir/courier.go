package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats"
)

// maxControl bounds Courier's control files: 100 bytes for each of two million messages.
const maxControl = 200 << 20

// courierFound is what a reader found in Courier's files besides the messages.
type courierFound struct {
	stale    int // records of the list of UIDs without a file
	problems []formats.Problem

	// aliases find files whose name held two colons when Courier listed them, by what stands before the first: their
	// names in view.text and, after reindex, their places. nil while there are none.
	aliases map[string]uint32
}

// problem notes damage; it costs something that clients see if loses is set.
func (b *scanner) problem(file, what, cost string, loses bool) {
	b.v.found.problems = append(b.v.found.problems, formats.Problem{Mailbox: b.name, Path: b.box.Path() + "/" + file, What: what, Cost: cost, Loses: loses})
}

// tally counts lines of one kind and remembers the first.
type tally struct {
	n     int
	first string
}

func (t *tally) add(line int, text []byte) {
	if t.n++; t.n == 1 {
		t.first = fmt.Sprintf("line %d: %q", line, clip(text))
	}
}

// tell makes a problem of the lines counted.
func (t *tally) tell(b *scanner, file, what, cost string, loses bool) {
	if t.n > 0 {
		b.problem(file, fmt.Sprintf("%s: %d, the first on %s", what, t.n, t.first), cost, loses)
	}
}

// readCourier joins the files with the list of Courier-IMAP. A folder without one is a plain tree.
func (b *scanner) readCourier() error {
	v := b.v
	v.found = &courierFound{}
	f, err := b.box.Open(courierUIDDBName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return b.err("read list", 0, courierUIDDBName, err)
	}
	defer f.Close()
	r := newLineReader(f)
	first, _ := r.next()
	header, err := parseCourierHeader(first.text)
	if err != nil {
		b.problem(courierUIDDBName, err.Error(), "Courier throws such a list away: all messages get new UIDs", true)
		return nil
	}
	v.courier = true
	b.takeCourierHeader(header)
	if b.joinCourier(r); r.err != nil {
		return b.err("read list", 0, courierUIDDBName, r.err)
	}
	v.hasList = b.store.opts.Lists.courier()
	return nil
}

// takeCourierHeader keeps what is legal in the header.
func (b *scanner) takeCourierHeader(h courierHeader) {
	v := b.v
	if h.UIDValidity > 0 && h.UIDValidity <= math.MaxUint32 {
		v.header.UIDValidity = formats.UIDValidity(h.UIDValidity)
	} else {
		b.problem(courierUIDDBName, fmt.Sprintf("UIDVALIDITY %d is not possible", h.UIDValidity),
			"the folder gets a new one: clients download it again", true)
	}
	if h.UIDNext > 0 && h.UIDNext < math.MaxUint32 {
		v.uidNext = formats.UID(h.UIDNext)
	} else {
		b.problem(courierUIDDBName, fmt.Sprintf("next UID %d is not possible", h.UIDNext),
			"new messages get UIDs above the highest in the list", false)
	}
	v.header.UIDNext = max(v.uidNext, 1)
}

// uidJoin gives files their UIDs from Courier's records: a file keeps the first UID that no other file has.
type uidJoin struct {
	*scanner
	last formats.UID
	used map[formats.UID]bool // nil while the records ascend
	bad, twice, disputed, cut,
	beyond tally
}

// joinCourier reads the records of the list. A pair of file and UID counts unless one of the two is taken already; files
// that go away empty-handed are numbered anew, and nobody else is because of them. A last line without its end is dropped
// by Courier before 6.0; it counts here when its name is that of a file, whole.
func (b *scanner) joinCourier(r *lineReader) {
	j := &uidJoin{scanner: b}
	next := b.v.uidNext
	for n, l := range r.all() {
		uid, name, ok := parseCourierUID(l.text)
		if !ok {
			j.bad.add(n, l.text)
			continue
		}
		if l.whole {
			b.v.uidNext = max(b.v.uidNext, uid+1)
		}
		j.record(n, l, uid, name)
	}
	if next != 0 && b.v.uidNext > next {
		b.problem(courierUIDDBName, fmt.Sprintf("next UID %d is not above the UIDs in the list", next), "it is raised", false)
	}
	anew, loses := "the file is numbered anew: clients download that message again", b.anyUnlisted()
	if !loses {
		anew = "none: every file has its UID"
	}
	j.bad.tell(b, courierUIDDBName, "lines that are not understood", anew, loses)
	j.twice.tell(b, courierUIDDBName, "files listed twice", "each keeps the first UID that is its own", false)
	j.disputed.tell(b, courierUIDDBName, "UIDs given to two files", "the first file keeps it, the other is numbered anew: clients download that message again", true)
	j.cut.tell(b, courierUIDDBName, "no line end after the last line, and no file of that name", anew, loses)
	j.beyond.tell(b, courierUIDDBName, "no line end after the last line", "none: its file is there under the whole name", false)
}

// anyUnlisted tells whether a file in cur/ has no UID yet.
func (b *scanner) anyUnlisted() bool {
	return slices.ContainsFunc(b.v.entries, func(e entry) bool { return e.uid == 0 && e.where == inCur })
}

func (j *uidJoin) record(n int, l controlLine, uid formats.UID, name []byte) {
	i, ok := j.findCourier(name)
	v := j.v
	switch {
	case !ok && !l.whole:
		j.cut.add(n, l.text)
		return
	case !ok:
		v.dead++
		v.found.stale++
		return
	case v.entries[i].uid != 0:
		j.twice.add(n, l.text)
		return
	case j.taken(uid):
		j.disputed.add(n, l.text)
		return
	}
	if !l.whole {
		j.beyond.add(n, l.text)
		v.uidNext = max(v.uidNext, uid+1)
	}
	e := &v.entries[i]
	e.uid, e.listed = uid, true
	if j.used != nil {
		j.used[uid] = true
	}
	j.last = max(j.last, uid)
}

// taken tells whether a file has the UID already.
func (j *uidJoin) taken(uid formats.UID) bool {
	if uid > j.last {
		return false
	}
	if j.used == nil {
		j.used = map[formats.UID]bool{}
		for i := range j.v.entries {
			j.used[j.v.entries[i].uid] = true
		}
	}
	return j.used[uid]
}

// findCourier finds the file of a name in Courier's list of UIDs: it is written up to the last colon, but matches files
// up to the first. Names with a colon left are those of damaged trees: of two files that only differ behind it each has
// its own, and a file that was renamed since because of it is still found.
func (b *scanner) findCourier(name []byte) (int, bool) {
	if bytes.IndexByte(name, infoSep) < 0 {
		if i, ok := b.names.get(name); ok {
			return i, true
		}
		return b.findMoving(name)
	}
	if i, ok := b.findColons(name); ok {
		if b.v.found.aliases == nil {
			b.v.found.aliases = map[string]uint32{}
		}
		b.v.found.aliases[string(baseName(name))] = b.v.entries[i].name
		return i, true
	}
	return b.names.get(baseName(name))
}

// findColons finds the file of a base with colons, which may have been renamed because of them.
func (b *scanner) findColons(base []byte) (int, bool) {
	if b.colons == nil {
		b.colons = map[string]int{}
		for i := range b.v.entries {
			if name := b.v.name(&b.v.entries[i]); colons(name) {
				b.colons[string(lastBase(name))] = i
			}
		}
	}
	if i, ok := b.colons[string(base)]; ok {
		return i, true
	}
	return b.names.get([]byte(colonless(base)))
}

// lastBase is a file name up to its last colon.
func lastBase(name []byte) []byte {
	if i := bytes.LastIndexByte(name, infoSep); i >= 0 {
		return name[:i]
	}
	return name
}

// colonless is a base without colons: what a file is renamed to whose base has some. No program makes such names.
func colonless(base []byte) string { return strings.ReplaceAll(string(base), ":", "=3A") }

// findCourierBase finds the file that the POP3 list or the keywords mean, which cut names at the first colon.
func (b *scanner) findCourierBase(base []byte) (int, bool) {
	if i, ok := b.names.get(base); ok {
		return i, true
	}
	i, ok := b.v.found.aliases[string(base)]
	return int(i), ok
}

// reindex finds for names that several files share, or had, the one that is meant, once the entries are sorted.
func (b *scanner) reindex() {
	if !b.v.doubts && b.v.found.aliases == nil {
		return
	}
	aliased := make(map[uint32]string, len(b.v.found.aliases))
	for base, name := range b.v.found.aliases {
		aliased[name] = base
	}
	b.names, b.colons = newByBaseOf(b.v, len(b.v.entries)), nil
	for i := range b.v.entries {
		name := b.v.name(&b.v.entries[i])
		if k, twice := b.names.get(baseName(name)); !twice {
			b.names.put(i)
		} else if colons(b.v.name(&b.v.entries[k])) && !colons(name) {
			b.names.prefer(i)
		}
		if base, ok := aliased[b.v.entries[i].name]; ok {
			b.v.found.aliases[base] = uint32(i)
		}
	}
}

// pop3Join gives files what Courier's POP3 list says of them.
type pop3Join struct {
	*scanner
	header     courierPOP3Header
	of         []courierPOP3 // by place in view.entries, without names; Size is 1 for those that have a line
	bad, twice tally
}

// readCourierPOP3 reads the POP3 list, which only INBOX has, into the fields P and O of the messages.
func (b *scanner) readCourierPOP3() error {
	if !b.folder.inbox {
		return nil
	}
	f, err := b.box.Open(courierPOP3Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return b.err("read list", 0, courierPOP3Name, err)
	}
	defer f.Close()
	j := &pop3Join{scanner: b}
	r, header, err := readPOP3Header(f)
	if err != nil {
		b.problem(courierPOP3Name, err.Error(), "Courier throws such a list away: all UIDLs are new, POP3 clients download everything again", true)
		return nil
	}
	j.header, b.v.pop3Header = header, &j.header
	j.of = make([]courierPOP3, len(b.v.entries))
	if j.join(r); r.err != nil {
		return b.err("read list", 0, courierPOP3Name, r.err)
	}
	j.fill()
	return nil
}

// readPOP3Header reads the first line of a list, if it is one of its own, and leaves the others to be read.
func readPOP3Header(f io.Reader) (*lineReader, courierPOP3Header, error) {
	r := newLineReader(f)
	first, err := r.r.Peek(1)
	if err != nil || first[0] != '/' {
		return r, courierPOP3Header{}, nil
	}
	l, _ := r.next()
	if l.whole {
		l.text = append(l.text[:len(l.text):len(l.text)], '\n')
	}
	header, _, err := parseCourierPOP3Header(l.text)
	return r, header, err
}

func (j *pop3Join) join(lines *lineReader) {
	for n, l := range lines.all() {
		r, ok := parseCourierPOP3(j.header.Version, l.text)
		if !ok || !l.whole && !j.certain(&r) {
			j.bad.add(n, l.text)
			continue
		}
		i, ok := j.findPOP3(r.Name)
		if !ok {
			continue
		}
		if j.of[i].Size != 0 {
			j.twice.add(n, l.text)
		}
		name := r.Name
		if r.Size, r.Name = 1, nil; r.UID == 0 {
			r.Name = bytes.Clone(baseName(name)) // the UIDL, whatever the file is called by now
		}
		j.of[i] = r
	}
	const anew = "their messages get new UIDLs: POP3 clients download them again"
	j.bad.tell(j.scanner, courierPOP3Name, "lines that are not understood", anew, true)
	j.twice.tell(j.scanner, courierPOP3Name, "files listed twice", "the later line counts, as for Courier", false)
}

// findPOP3 finds the file of a name with flags.
func (j *pop3Join) findPOP3(name []byte) (int, bool) {
	if base := lastBase(name); bytes.IndexByte(base, infoSep) >= 0 {
		if i, ok := j.findColons(base); ok {
			return i, true
		}
	}
	return j.findCourierBase(baseName(name))
}

// certain tells whether a last line without its end is whole all the same: when its last number that counts is what must
// stand there.
func (j *pop3Join) certain(r *courierPOP3) bool {
	switch j.header.Version {
	case 0:
		return true // only the size is in doubt
	case 1:
		return false
	case 2:
		return r.UIDValidity == j.header.UIDValidity
	}
	return true
}

// fill makes P and O of the lines. Orders are those of the names.
func (j *pop3Join) fill() {
	v := j.v
	var places []int
	for i := range j.of {
		if j.of[i].Size != 0 {
			places = append(places, i)
		}
	}
	slices.SortFunc(places, func(a, b int) int { return comparePOP3(v.name(&v.entries[a]), v.name(&v.entries[b])) })
	var ext []byte
	for order, i := range places {
		ext = j.of[i].appendUIDL(append(ext[:0], 'P'))
		ext = strconv.AppendInt(append(ext, " O"...), int64(order)+1, 10)
		e := &v.entries[i]
		e.ext, e.extLen = v.text.add(ext), uint16(len(ext))
	}
	j.tellShared(places)
}

// tellShared looks for messages with one UIDL.
func (j *pop3Join) tellShared(places []int) {
	ids := make([]uint64, 0, len(places))
	for _, i := range places {
		if r := &j.of[i]; r.UID != 0 {
			ids = append(ids, uint64(r.UIDValidity)<<32|uint64(r.UID))
		}
	}
	slices.Sort(ids)
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			r := courierPOP3{UID: uint32(ids[i]), UIDValidity: uint32(ids[i] >> 32)}
			j.problem(courierPOP3Name, fmt.Sprintf("several messages have the UIDL %s", r.appendUIDL(nil)),
				"POP3 clients take them for one; they are kept as they are", false)
			return
		}
	}
}
