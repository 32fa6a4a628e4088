package parsed

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"io/fs"
	"sync"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// A block of keys: its length, the checksum of what follows up to the UIDs, the number of messages, and length and
// checksum of each column.
const (
	blockHead = 12 + 8*int(keyCount)
	maxRows   = 1024
	fullBlock = 512 << 10
	maxColumn = 1 << 20 // more than a full block can have

	// maxKeyBlocks bounds what is held of blocks, whatever is in the file.
	maxKeyBlocks = 1 << 16
)

// keys is the file of keys. Rows wait in rows and are found once they are in the file.
type keys struct {
	mu sync.Mutex // guards what follows
	file
	blocks []block
	at     offsets // of a message: number of its block and its row, plus one
	live   int     // messages in at
	total  int     // rows in blocks
	rows   rows
}

// block is where one is.
type block struct {
	offset  int64 // of its first column
	n       int
	lengths [keyCount]uint32
	sums    [keyCount]uint32
	uids    []byte // encoded
	mixed   bool   // some of its rows count no more
}

func (k *keys) open(dir *disk.Dir, mode fs.FileMode, validity formats.UIDValidity) {
	k.file = file{dir: dir, mode: mode, validity: validity, name: SortFileName, magic: "dovetail.sort \n", version: 1, content: k}
}

func (k *keys) forget() {
	k.blocks, k.at, k.live, k.total = nil, offsets{}, 0, 0
}

func (k *keys) reread() {}

// take takes over the blocks up to size; their columns are not read.
func (k *keys) take(size int64) {
	buf := make([]byte, 4<<10)
	for size-k.end >= int64(blockHead) && len(k.blocks) < maxKeyBlocks {
		n, _ := k.f.ReadAt(buf, k.end)
		b, uids, length := parseBlock(buf[:n])
		if b == nil || length > size-k.end {
			return
		}
		if need := blockHead + uids; need > n {
			buf = make([]byte, need)
			n, _ = k.f.ReadAt(buf, k.end)
			if b, _, _ = parseBlock(buf[:n]); b == nil || need > n {
				return
			}
		}
		if !b.takeUIDs(buf[:blockHead+uids]) || !k.index(b) {
			return
		}
		b.offset = k.end + int64(blockHead+uids)
		k.blocks = append(k.blocks, *b)
		k.total += b.n
		k.end += length
	}
}

// parseBlock reads the head of a block: uids is the length of what stands between it and the columns.
func parseBlock(head []byte) (b *block, uids int, length int64) {
	if len(head) < blockHead {
		return nil, 0, 0
	}
	b = &block{n: int(binary.LittleEndian.Uint32(head[8:]))}
	length = int64(blockHead)
	for i := range b.lengths {
		b.lengths[i] = binary.LittleEndian.Uint32(head[12+8*i:])
		b.sums[i] = binary.LittleEndian.Uint32(head[16+8*i:])
		if b.lengths[i] > maxColumn || i < numberCount && int(b.lengths[i]) != 8*b.n {
			return nil, 0, 0
		}
		length += int64(b.lengths[i])
	}
	uids = int(int64(binary.LittleEndian.Uint32(head)) - length)
	if b.n == 0 || b.n > maxRows || uids < b.n || uids > b.n*binary.MaxVarintLen32 {
		return nil, 0, 0
	}
	return b, uids, length + int64(uids)
}

func (b *block) takeUIDs(head []byte) bool {
	if crc32.Checksum(head[8:], castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return false
	}
	b.uids = append([]byte(nil), head[blockHead:]...)
	return true
}

// eachUID gives the UIDs of a block's rows; false when they are none.
func (b *block) eachUID(fn func(row int, uid formats.UID)) bool {
	uid, rest := uint64(0), b.uids
	for row := range b.n {
		step, n := binary.Uvarint(rest)
		if uid += step; n <= 0 || step == 0 || step >= 1<<32 || uid >= 1<<32 {
			return false
		}
		rest = rest[n:]
		fn(row, formats.UID(uid))
	}
	return len(rest) == 0
}

// index has a block's rows count from now on.
func (k *keys) index(b *block) bool {
	if !b.eachUID(func(int, formats.UID) {}) {
		return false
	}
	number := uint32(len(k.blocks))
	return b.eachUID(func(row int, uid formats.UID) {
		was := k.at.set(uid, place{number, uint32(row + 1)})
		if was.length == 0 {
			k.live++
		} else {
			k.blocks[was.offset].mixed = true
		}
	})
}

// drop forgets a message.
func (k *keys) drop(uid formats.UID) {
	if was := k.at.set(uid, place{}); was.length != 0 {
		k.live--
		k.blocks[was.offset].mixed = true
	}
}

// withdraw makes nothing known of a message, for other processes, too.
func (k *keys) withdraw(uid formats.UID) {
	k.mu.Lock()
	k.read()
	known := k.at.get(uid).length != 0
	k.drop(uid)
	k.mu.Unlock()
	if known {
		k.put(uid, &Keys{numbers: [numberCount]int64{StoredSize: Unknown}, IDs: []uint64{0}})
	}
}

// put keeps the keys of a message in place of what was kept before.
func (k *keys) put(uid formats.UID, key *Keys) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.read(); k.broken || k.at == nil {
		return
	}
	if k.rows.n > 0 && (uid <= k.rows.last || k.rows.n == maxRows || k.rows.size >= fullBlock) {
		k.flush()
	}
	k.rows.add(uid, key)
}

// flush writes the rows that wait as a block. When somebody else holds the lock they are given up: they are made anew when
// they are needed.
func (k *keys) flush() {
	if k.rows.n == 0 || k.broken || !k.lock() {
		k.rows.reset()
		return
	}
	defer k.unlock()
	out := k.rows.block()
	k.rows.reset()
	if k.add(out) {
		k.take(k.end + int64(len(out)))
		if k.wasteful() {
			k.rewrite()
		}
	}
}

// wasteful: most rows count no more, or blocks are small. Reading each costs as much as some hundred rows.
func (k *keys) wasteful() bool {
	return k.total > 2*k.live+4*maxRows || len(k.blocks) > 64+4*k.total/maxRows
}

// rewrite writes the file, which is locked, anew with nothing but the rows that count.
func (k *keys) rewrite() {
	all := make([]Key, keyCount)
	for i := range all {
		all[i] = Key(i)
	}
	r := KeyReader{k: k, need: all}
	if k.replace(func(w io.Writer) error { return r.copyAll(w) }) == nil {
		k.unlock()
		k.reopen()
	}
}

// leave writes what waits to be written. keep is as for Cache.Close.
func (k *keys) leave(keep func(formats.UID) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.opened && k.at != nil {
		k.flush()
	}
	if k.f != nil && !k.broken && k.writes {
		if keep != nil {
			for uid := range k.at.all() {
				if !keep(uid) {
					k.drop(uid)
				}
			}
		}
		if k.wasteful() && k.lock() {
			k.rewrite() // what others have appended meanwhile is kept, or made anew
			k.unlock()
		}
	}
	k.close()
	k.at = nil
}

// rows are collected to be written as a block.
type rows struct {
	n       int
	last    formats.UID
	size    int
	uids    []byte
	columns [keyCount][]byte
}

func (r *rows) reset() {
	r.n, r.last, r.size, r.uids = 0, 0, 0, r.uids[:0]
	for i := range r.columns {
		r.columns[i] = r.columns[i][:0]
	}
}

func (r *rows) add(uid formats.UID, k *Keys) {
	r.uids = binary.AppendUvarint(r.uids, uint64(uid-r.last))
	r.last = uid
	r.n++
	for i, n := range k.numbers {
		r.columns[i] = binary.LittleEndian.AppendUint64(r.columns[i], uint64(n))
	}
	for i, text := range k.texts {
		n := uint64(len(text)) << 1
		if Key(numberCount+i) == BySubject && k.Reply {
			n |= 1
		}
		c := &r.columns[numberCount+i]
		*c = append(binary.AppendUvarint(*c, n), text...)
		r.size += len(text)
	}
	c := binary.AppendUvarint(r.columns[ByReferences], uint64(len(k.IDs)))
	for _, id := range k.IDs {
		c = binary.LittleEndian.AppendUint64(c, id)
	}
	r.columns[ByReferences] = c
	r.size += 8*len(k.IDs) + 8*int(keyCount)
}

// block gives the rows as they stand in the file.
func (r *rows) block() []byte {
	length := blockHead + len(r.uids)
	for _, c := range r.columns {
		length += len(c)
	}
	out := make([]byte, 8, length)
	out = binary.LittleEndian.AppendUint32(out, uint32(r.n))
	for _, c := range r.columns {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(c)))
		out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(c, castagnoli))
	}
	out = append(out, r.uids...)
	binary.LittleEndian.PutUint32(out, uint32(length))
	binary.LittleEndian.PutUint32(out[4:], crc32.Checksum(out[8:], castagnoli))
	for _, c := range r.columns {
		out = append(out, c...)
	}
	return out
}
