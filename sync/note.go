package sync

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"

	"dovetail/formats"
)

// noteName is the file of ours in the target that remembers what earlier runs put there.
const noteName = "mirror"

// The note's bytes:
//
//	"dovetail mirror 1\n"
//	entries      uvarint count, then each entry
//	subscribed   uvarint count, then per source: key, uvarint count, names
//	8 bytes      the start of SHA-256 over everything before
//
// Texts are a uvarint length and bytes, numbers are uvarints, GUIDs 16 bytes. An entry is its fields in the order of the
// struct; a list of runs is a count and per run: source UID, target UID (both as difference to the end of the run
// before, zigzag) and length. So a mailbox whose UIDs were all kept costs one run for each gap.
const noteMagic = "dovetail mirror 1\n"

const checksumSize = 8

// errNewerNote means that a later version of this program wrote the note: touching the target now could undo its work.
var errNewerNote = errors.New("the record of earlier runs in the target was written by a newer version")

// run says that n messages from UID src on are those from UID dst on.
type run struct{ src, dst, n uint32 }

// entry remembers one mailbox of the target that a Mirror filled. An entry is never changed once it is in the journal.
type entry struct {
	key    string // the source's
	name   string // in the source
	target string
	moving string // the name that target was about to get when this was written, "" none

	srcGUID, dstGUID               formats.GUID
	srcUIDValidity, dstUIDValidity formats.UIDValidity
	volatile                       bool

	// pairs are messages known to be in the target, planned ones that may be there if the run was cut off while it
	// committed them. marks identify the planned ones in the target, in their order. In a volatile source the UIDs mean
	// nothing later: src then counts idents from 1.
	pairs, planned []run
	marks          []uint64
	idents         []uint64

	// Both sides' fingerprints when they were last seen to be the same; "" not known.
	srcPrint, dstPrint string
}

// note is everything that is remembered in one target.
type note struct {
	entries    []*entry
	subscribed map[string][]string // names subscribed by us, by source key
}

func (n *note) marshal() []byte {
	b := []byte(noteMagic)
	b = binary.AppendUvarint(b, uint64(len(n.entries)))
	for _, e := range n.entries {
		b = e.append(b)
	}
	keys := make([]string, 0, len(n.subscribed))
	for key := range n.subscribed {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	b = binary.AppendUvarint(b, uint64(len(keys)))
	for _, key := range keys {
		b = appendText(b, key)
		b = binary.AppendUvarint(b, uint64(len(n.subscribed[key])))
		for _, name := range n.subscribed[key] {
			b = appendText(b, name)
		}
	}
	return sealNote(b)
}

func sealNote(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(b, sum[:checksumSize]...)
}

func (e *entry) append(b []byte) []byte {
	b = appendText(b, e.key)
	b = appendText(b, e.name)
	b = appendText(b, e.target)
	b = appendText(b, e.moving)
	b = append(b, e.srcGUID[:]...)
	b = append(b, e.dstGUID[:]...)
	b = binary.AppendUvarint(b, uint64(e.srcUIDValidity))
	b = binary.AppendUvarint(b, uint64(e.dstUIDValidity))
	volatile := byte(0)
	if e.volatile {
		volatile = 1
	}
	b = append(b, volatile)
	b = appendRuns(b, e.pairs)
	b = appendRuns(b, e.planned)
	b = appendHashes(b, e.marks)
	b = appendHashes(b, e.idents)
	b = appendText(b, e.srcPrint)
	return appendText(b, e.dstPrint)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendHashes(b []byte, hashes []uint64) []byte {
	b = binary.AppendUvarint(b, uint64(len(hashes)))
	for _, h := range hashes {
		b = binary.LittleEndian.AppendUint64(b, h)
	}
	return b
}

func appendRuns(b []byte, runs []run) []byte {
	b = binary.AppendUvarint(b, uint64(len(runs)))
	var end run
	for _, r := range runs {
		b = binary.AppendVarint(b, int64(r.src)-int64(end.src))
		b = binary.AppendVarint(b, int64(r.dst)-int64(end.dst))
		b = binary.AppendUvarint(b, uint64(r.n))
		end = run{src: r.src + r.n, dst: r.dst + r.n}
	}
	return b
}

func (n *note) unmarshal(b []byte) error {
	if !bytes.HasPrefix(b, []byte(noteMagic)) {
		if bytes.HasPrefix(b, []byte(noteMagic[:len(noteMagic)-2])) {
			return errNewerNote
		}
		return formats.Corrupt("not a record of earlier runs")
	}
	if len(b) < len(noteMagic)+checksumSize {
		return formats.Corrupt("cut off after %d bytes", len(b))
	}
	body, sum := b[:len(b)-checksumSize], b[len(b)-checksumSize:]
	if want := sha256.Sum256(body); !bytes.Equal(want[:checksumSize], sum) {
		return formats.Corrupt("checksum does not match")
	}
	r := noteReader{b: body[len(noteMagic):]}
	*n = note{subscribed: map[string][]string{}}
	for range r.count(40) {
		n.entries = append(n.entries, r.entry())
	}
	for range r.count(2) {
		key := r.text()
		names := []string{}
		for range r.count(1) {
			names = append(names, r.text())
		}
		n.subscribed[key] = names
	}
	if r.err == nil && len(r.b) > 0 {
		r.err = formats.Corrupt("%d bytes too many", len(r.b))
	}
	return r.err
}

// noteReader takes values off b; after an error everything is zero.
type noteReader struct {
	b   []byte
	err error
}

func (r *noteReader) fail() {
	r.b = nil
	if r.err == nil {
		r.err = formats.Corrupt("cut off")
	}
}

func (r *noteReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *noteReader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *noteReader) uint32() uint32 {
	v := r.number()
	if v > 1<<32-1 {
		r.fail()
		return 0
	}
	return uint32(v)
}

func (r *noteReader) delta(base uint32) uint32 {
	v, n := binary.Varint(r.b)
	sum := int64(base) + v
	if n <= 0 || v > 1<<33 || v < -1<<33 || sum < 0 || sum > 1<<32-1 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return uint32(sum)
}

// count reads the length of a list whose items take at least size bytes each, so that a wrong one costs no memory.
func (r *noteReader) count(size int) uint64 {
	n := r.number()
	if n > uint64(len(r.b)/size) {
		r.fail()
		return 0
	}
	return n
}

func (r *noteReader) text() string { return string(r.take(r.number())) }

func (r *noteReader) guid() formats.GUID {
	var g formats.GUID
	copy(g[:], r.take(uint64(len(g))))
	return g
}

func (r *noteReader) runs() []run {
	var runs []run
	var end run
	n := uint64(0)
	for range r.count(3) {
		next := run{src: r.delta(end.src), dst: r.delta(end.dst), n: r.uint32()}
		if r.err != nil {
			return nil
		}
		if n += uint64(next.n); next.n == 0 || n > 1<<32-1 || uint64(next.src)+uint64(next.n) > 1<<32-1 || uint64(next.dst)+uint64(next.n) > 1<<32-1 {
			r.fail()
			return nil
		}
		runs = append(runs, next)
		end = run{src: next.src + next.n, dst: next.dst + next.n}
	}
	return runs
}

func (r *noteReader) hashes() []uint64 {
	var hashes []uint64
	for range r.count(8) {
		if h := r.take(8); h != nil {
			hashes = append(hashes, binary.LittleEndian.Uint64(h))
		}
	}
	return hashes
}

func (r *noteReader) entry() *entry {
	e := &entry{key: r.text(), name: r.text(), target: r.text(), moving: r.text(), srcGUID: r.guid(), dstGUID: r.guid()}
	e.srcUIDValidity = formats.UIDValidity(r.uint32())
	e.dstUIDValidity = formats.UIDValidity(r.uint32())
	if flag := r.take(1); flag != nil {
		e.volatile = flag[0] == 1
	}
	e.pairs, e.planned = r.runs(), r.runs()
	e.marks, e.idents = r.hashes(), r.hashes()
	if r.err == nil && countRuns(e.planned) != len(e.marks) {
		r.fail()
	}
	e.srcPrint, e.dstPrint = r.text(), r.text()
	return e
}
