package parsed

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"iter"
	"maps"
	"slices"

	"dovetail/formats"
)

// KeyReader looks keys of messages up, in ascending order of UID. It is for one goroutine.
type KeyReader struct {
	k     *keys
	need  []Key
	wrote bool
	keys  Keys

	loaded [4]loadedBlock
	uses   int
	now    *loadedBlock
}

// loadedBlock holds the columns of a block that are needed.
type loadedBlock struct {
	number, turn int
	used         int
	clean        bool          // all of its rows count
	uids         []formats.UID // of its rows
	row          int           // the one that columns are at
	columns      [keyCount][]byte
	rest         [keyCount][]byte // of a column, from row on
}

// Keys gives a reader of these keys; others are not filled. A reader of a nil Cache knows nothing.
func (c *Cache) Keys(need ...Key) *KeyReader {
	if c == nil {
		return &KeyReader{}
	}
	r := &KeyReader{k: &c.keys, need: need}
	if !slices.Contains(need, StoredSize) {
		r.need = append(slices.Clip(need), StoredSize) // it tells whether the row counts
	}
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	switch {
	case !r.k.opened:
		r.k.read()
	case r.k.f != nil:
		r.k.scan() // others may have put something there
	case !r.k.broken:
		r.k.reopen()
	}
	return r
}

// Get gives the keys of a message, until the next call; false when not all are known.
func (r *KeyReader) Get(uid formats.UID) (*Keys, bool) {
	if r.k == nil {
		return nil, false
	}
	if b := r.now; b != nil && b.clean && b.row+1 < len(b.uids) && b.uids[b.row+1] == uid {
		return &r.keys, r.fill(b, b.row+1) && r.keys.Know(r.need)
	}
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	return &r.keys, r.find(uid) && r.keys.Know(r.need)
}

// find fills the keys of a message as far as they are known; false when there are none. The file is locked.
func (r *KeyReader) find(uid formats.UID) bool {
	p := r.k.at.get(uid)
	if p.length == 0 {
		return false
	}
	if r.now = r.load(int(p.offset)); r.now == nil || !r.fill(r.now, int(p.length)-1) {
		r.k.drop(uid)
		return false
	}
	return true
}

// Put keeps the keys of a message; see Flush.
func (r *KeyReader) Put(uid formats.UID, keys *Keys) {
	if r.k != nil && uid != 0 {
		r.k.put(uid, keys)
		r.wrote = true
	}
}

// Flush writes what was put to the file.
func (r *KeyReader) Flush() {
	if !r.wrote {
		return
	}
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	r.k.flush()
}

// load reads the columns of a block; nil if it cannot be read. Several are held, so that rows of two may alternate.
func (r *KeyReader) load(number int) *loadedBlock {
	r.uses++
	to := &r.loaded[0]
	for i := range r.loaded {
		b := &r.loaded[i]
		if b.used > 0 && b.number == number && b.turn == r.k.turn {
			b.used = r.uses
			b.clean = b.clean && !r.k.blocks[number].mixed
			return b
		}
		if b.used < to.used {
			to = b
		}
	}
	to.used = 0
	if !to.read(r.k, number, r.need) {
		return nil
	}
	to.number, to.turn, to.used = number, r.k.turn, r.uses
	return to
}

func (b *loadedBlock) read(k *keys, number int, need []Key) bool {
	from := &k.blocks[number]
	b.clean, b.row, b.uids = !from.mixed, -1, b.uids[:0]
	from.eachUID(func(_ int, uid formats.UID) { b.uids = append(b.uids, uid) })
	at := from.offset
	for i := range b.columns {
		n := int(from.lengths[i])
		b.columns[i] = b.columns[i][:0]
		if slices.Contains(need, Key(i)) {
			c := slices.Grow(b.columns[i], n)[:n]
			if got, _ := k.f.ReadAt(c, at); got < n || crc32.Checksum(c, castagnoli) != from.sums[i] {
				return false
			}
			b.columns[i] = c
		}
		b.rest[i] = b.columns[i]
		at += int64(n)
	}
	return true
}

// fill takes a row's keys out of the columns; false when one cannot be read.
func (r *KeyReader) fill(b *loadedBlock, row int) bool {
	if row <= b.row {
		b.row, b.rest = -1, b.columns
	}
	steps := row - b.row
	b.row = row
	for _, key := range r.need {
		ok := true
		switch {
		case int(key) < numberCount:
			r.keys.numbers[key] = int64(binary.LittleEndian.Uint64(b.columns[key][8*row:]))
		case key == ByReferences:
			ok = r.keys.takeIDs(&b.rest[key], steps)
		default:
			ok = r.keys.takeText(key, &b.rest[key], steps)
		}
		if !ok {
			return false
		}
	}
	return true
}

// takeText takes the text so many steps further.
func (k *Keys) takeText(key Key, from *[]byte, steps int) bool {
	rest := *from
	var text []byte
	reply := false
	for range steps {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n>>1 > uint64(len(rest)-used) {
			return false
		}
		text, reply = rest[used:used+int(n>>1)], n&1 != 0
		rest = rest[used+int(n>>1):]
	}
	*from = rest
	k.texts[int(key)-numberCount] = text[:len(text):len(text)]
	if key == BySubject {
		k.Reply = reply
	}
	return true
}

func (k *Keys) takeIDs(from *[]byte, steps int) bool {
	rest := *from
	for i := range steps {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n == 0 || n > uint64(len(rest)-used)/8 {
			return false
		}
		rest = rest[used:]
		if i == steps-1 {
			k.IDs = k.IDs[:0]
			for at := range int(n) {
				k.IDs = append(k.IDs, binary.LittleEndian.Uint64(rest[8*at:]))
			}
		}
		rest = rest[8*n:]
	}
	*from = rest
	return true
}

// copyAll writes blocks of all rows that count, in ascending order of UID.
func (r *KeyReader) copyAll(w io.Writer) error {
	var out rows
	for uid := range r.k.at.all() {
		if !r.find(uid) || r.keys.numbers[StoredSize] == Unknown {
			continue
		}
		if out.n == maxRows || out.size >= fullBlock {
			if _, err := w.Write(out.block()); err != nil {
				return err
			}
			out.reset()
		}
		out.add(uid, &r.keys)
	}
	if out.n == 0 {
		return nil
	}
	_, err := w.Write(out.block())
	return err
}

// all gives the UIDs that have a place, ascending.
func (o offsets) all() iter.Seq[formats.UID] {
	return func(yield func(formats.UID) bool) {
		for _, b := range slices.Sorted(maps.Keys(o)) {
			block := o[b]
			for i := range block {
				if block[i].length != 0 && !yield(b*64+formats.UID(i)) {
					return
				}
			}
		}
	}
}
