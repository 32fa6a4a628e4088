package parsed

import (
	"encoding/binary"
	"hash/crc32"
	"io/fs"
	"sync"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// Cache is what is known of the messages of one mailbox. Its methods may be called from several goroutines; those of a nil
// Cache do nothing.
type Cache struct {
	// Known tells whether the mailbox has a message. It is asked only when the file tells of very many, and may be set
	// before the first use; nil: all are taken.
	Known func(formats.UID) bool

	mu      sync.Mutex // guards what follows
	file               // of records
	at      offsets
	pending []byte // records that are not in the file yet; at has them with pendingBit

	keys keys
}

// maxPending is how much waits to be written at once, maxWaiting how much while somebody else holds the lock.
const (
	maxPending = 256 << 10
	maxWaiting = 4 << 20
)

// Open gives the cache in a folder, which it closes in the end. The files are read when they are first needed.
func Open(dir *disk.Dir, mode fs.FileMode, validity formats.UIDValidity) *Cache {
	c := &Cache{file: file{dir: dir, mode: mode, validity: validity, name: FileName, magic: "dovetail.cache\n", version: 1}}
	c.content = c
	c.keys.open(dir, mode, validity)
	return c
}

// place is where a record is: its payload's offset and length.
type place struct{ offset, length uint32 }

// pendingBit marks offsets in Cache.pending.
const pendingBit = 1 << 31

// offsets is the table of records by UID, in blocks because UIDs mostly come one after the other.
type offsets map[formats.UID]*[64]place

// maxBlocks bounds the table, whatever is in the file: 64 MB, which is eight million messages.
const maxBlocks = 1 << 17

// freeBlocks is how many there may be without asking whether the mailbox has such messages: two megabytes.
const freeBlocks = 1 << 12

func (o offsets) get(uid formats.UID) place {
	if block := o[uid/64]; block != nil {
		return block[uid%64]
	}
	return place{}
}

// set gives what was there before.
func (o offsets) set(uid formats.UID, p place) (before place) {
	block := o[uid/64]
	if block == nil {
		if p.length == 0 || len(o) >= maxBlocks {
			return place{}
		}
		block = new([64]place)
		o[uid/64] = block
	}
	before = block[uid%64]
	block[uid%64] = p
	return before
}

func (c *Cache) forget() { c.at = offsets{} }

// take takes over the records from where the file is known to its end.
func (c *Cache) take(size int64) {
	buf := make([]byte, min(maxRecord+recordStart, size-c.end))
	have := 0
	for {
		n, _ := c.f.ReadAt(buf[have:min(int64(len(buf)), size-c.end)], c.end+int64(have))
		have += n
		used := c.takeRecords(buf[:have])
		if used == 0 {
			return
		}
		c.end += int64(used)
		have = copy(buf, buf[used:have])
	}
}

// takeRecords takes over the whole records in b, which is what the file has at c.end, and gives their length.
func (c *Cache) takeRecords(b []byte) (used int) {
	for len(b)-used >= recordStart {
		n := int(binary.LittleEndian.Uint32(b[used:]))
		if n > maxRecord || n > len(b)-used-recordStart {
			return used
		}
		payload := b[used+recordStart:][:n]
		uid, ok := uidOf(payload)
		if !ok || crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(b[used+4:]) {
			return used
		}
		at := place{uint32(c.end) + uint32(used) + recordStart, uint32(n)}
		used += recordStart + n
		if len(c.at) >= freeBlocks && c.at[uid/64] == nil && c.Known != nil && !c.Known(uid) {
			c.stale += at.cost()
			continue
		}
		c.stale += c.at.set(uid, at).cost()
	}
	return used
}

func (p place) cost() int64 {
	if p.length == 0 || p.offset&pendingBit != 0 {
		return 0
	}
	return int64(p.length) + recordStart
}

// cheapFile is how large a file may be to be read for the sake of a few records.
const cheapFile = 4 << 20

// Ready tells whether Put costs little: the file was read already, or is small.
func (c *Cache) Ready() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened {
		return !c.broken
	}
	info, err := c.dir.Stat(FileName)
	return err != nil || info.Size <= cheapFile
}

// Put keeps what is known of a message in place of what was kept before. It reaches the file later, with others.
func (c *Cache) Put(uid formats.UID, d *Data) {
	if c == nil || uid == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read()
	if len(c.pending) >= maxWaiting {
		c.flush()
	}
	if c.broken || len(c.pending) >= maxWaiting {
		return
	}
	start := len(c.pending)
	c.pending = appendRecord(c.pending, uid, d)
	if n := len(c.pending) - start; n > 0 {
		c.stale += c.at.set(uid, place{pendingBit | uint32(start+recordStart), uint32(n - recordStart)}).cost()
	}
	if len(c.pending) >= maxPending {
		c.flush()
	}
}

// Forget has nothing known of a message: what was kept is of another one.
func (c *Cache) Forget(uid formats.UID) {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.drop(uid)
	c.mu.Unlock()
	c.keys.withdraw(uid)
}

// drop forgets a message.
func (c *Cache) drop(uid formats.UID) {
	c.stale += c.at.set(uid, place{}).cost()
}

// Flush writes what waits to be written.
func (c *Cache) Flush() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened {
		c.flush()
	}
}

func (c *Cache) flush() {
	if len(c.pending) == 0 || c.broken {
		return
	}
	if !c.lock() {
		if c.broken {
			c.forgetPending()
		}
		return
	}
	defer c.unlock()
	if !c.add(c.pending) {
		c.forgetPending()
		return
	}
	written := c.pending
	c.pending = nil
	c.end += int64(c.takeRecords(written))
	c.pending = written[:0]
}

// forgetPending gives up what could not be written.
func (c *Cache) forgetPending() {
	for uid, block := range c.at {
		for i, p := range block {
			if p.offset&pendingBit != 0 {
				c.at[uid][i] = place{}
			}
		}
	}
	c.pending = nil
}

// reread puts what is pending on top of what the file has.
func (c *Cache) reread() {
	for at := 0; at < len(c.pending); {
		n := int(binary.LittleEndian.Uint32(c.pending[at:]))
		if uid, ok := uidOf(c.pending[at+recordStart:][:n]); ok {
			c.stale += c.at.set(uid, place{pendingBit | uint32(at+recordStart), uint32(n)}).cost()
		}
		at += recordStart + n
	}
}

// Close writes what waits to be written, and writes a file anew when most of it is stale: replaced, or about messages
// of which keep says that they are gone. A nil keep keeps all.
func (c *Cache) Close(keep func(formats.UID) bool) {
	if c == nil {
		return
	}
	c.keys.leave(keep)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened {
		c.flush()
	}
	if c.f != nil {
		c.compact(keep)
	}
	c.close()
	c.dir.Close()
	c.at = nil
}
