package parsed

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// Cache is the file of one mailbox. Its methods may be called from several goroutines; those of a nil Cache do nothing.
type Cache struct {
	dir      *disk.Dir
	mode     fs.FileMode
	validity formats.UIDValidity

	mu      sync.Mutex // guards what follows
	file    *disk.File // nil when there is none
	writes  bool       // the file is open for writing
	end     int64      // the file is known up to here
	scanned int64      // the size that it had when it was read last
	turn    int        // counts the files that were opened
	stale   int64      // bytes of records that others replace
	at      offsets
	pending []byte // records that are not in the file yet; at has them with pendingBit
	broken  bool   // nothing more can be written
	opened  bool
}

// maxPending is how much waits to be written at once, maxWaiting how much while somebody else holds the lock.
const (
	maxPending = 256 << 10
	maxWaiting = 4 << 20
)

// Open gives the cache in a folder, which it closes in the end. The file is read when it is first needed.
func Open(dir *disk.Dir, mode fs.FileMode, validity formats.UIDValidity) *Cache {
	return &Cache{dir: dir, mode: mode, validity: validity}
}

// place is where a record is: its payload's offset and length.
type place struct{ offset, length uint32 }

// pendingBit marks offsets in Cache.pending.
const pendingBit = 1 << 31

// offsets is the table of records by UID, in blocks because UIDs mostly come one after the other.
type offsets map[formats.UID]*[64]place

// maxBlocks bounds the table, whatever is in the file: 64 MB, which is eight million messages.
const maxBlocks = 1 << 17

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

// read opens the file if that was not tried yet, and takes over what is in it.
func (c *Cache) read() {
	if c.opened {
		return
	}
	c.opened = true
	c.reopen()
}

// reopen takes the file that has the name now.
func (c *Cache) reopen() {
	if c.file != nil {
		c.file.Close()
		c.file = nil
	}
	c.at, c.end, c.scanned, c.stale = offsets{}, 0, 0, 0
	c.turn++
	f, err := c.dir.OpenWrite(FileName, 0)
	c.writes = err == nil
	if err != nil {
		f, err = c.dir.Open(FileName)
	}
	if err != nil {
		return
	}
	var head [headerSize]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || !validFileHeader(head[:], c.validity) {
		f.Close()
		return
	}
	c.file, c.end = f, headerSize
	c.scan()
}

// scan takes over the records from where the file is known to its end. It stops at the first that is not whole.
func (c *Cache) scan() {
	info, err := c.file.Stat()
	if err != nil || info.Size == c.scanned {
		return
	}
	c.scanned = info.Size
	if info.Size <= c.end {
		return
	}
	buf := make([]byte, min(maxRecord+recordStart, info.Size-c.end))
	have, size := 0, min(info.Size, maxFile)
	for {
		n, _ := c.file.ReadAt(buf[have:min(int64(len(buf)), size-c.end)], c.end+int64(have))
		have += n
		used := c.take(buf[:have])
		if used == 0 {
			return
		}
		c.end += int64(used)
		have = copy(buf, buf[used:have])
	}
}

// take takes over the whole records in b, which is what the file has at c.end, and gives their length.
func (c *Cache) take(b []byte) (used int) {
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
		c.stale += c.at.set(uid, place{uint32(c.end) + uint32(used) + recordStart, uint32(n)}).cost()
		used += recordStart + n
	}
	return used
}

func (p place) cost() int64 {
	if p.length == 0 || p.offset&pendingBit != 0 {
		return 0
	}
	return int64(p.length) + recordStart
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
	defer func() {
		if c.file != nil {
			c.file.Unlock()
		}
	}()
	c.scan()
	if info, err := c.file.Stat(); err == nil && info.Size > c.end { // the torn end of a process that died
		err = c.file.Truncate(c.end)
		c.broken = err != nil
	}
	if c.end+int64(len(c.pending)) > maxFile {
		c.broken = true
	}
	if c.broken {
		c.forgetPending()
		return
	}
	if _, err := c.file.WriteAt(c.pending, c.end); err != nil {
		c.file.Truncate(c.end) // best effort: without it, the next scan stops there
		c.broken = true
		c.forgetPending()
		return
	}
	written := c.pending
	c.pending = nil
	c.end += int64(c.take(written))
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

// lock locks the file that has the name now, which is made if there is none that fits. It does not wait.
func (c *Cache) lock() bool {
	for range 10 {
		if c.file == nil {
			if !c.create() {
				return false
			}
			continue
		}
		if !c.writes {
			c.broken = true
			return false
		}
		if ok, err := c.file.TryLock(true); !ok || err != nil {
			c.broken = err != nil && !errors.Is(err, disk.ErrLocked)
			return false
		}
		if c.named() {
			return true
		}
		c.file.Unlock()
		c.reread()
	}
	return false
}

// named tells whether the open file is the one that has the name.
func (c *Cache) named() bool {
	is, err := c.dir.Stat(FileName)
	if err != nil {
		return false
	}
	open, err := c.file.Stat()
	return err == nil && is.Ino == open.Ino && is.Dev == open.Dev
}

// reread takes the file that has the name now, and what is pending on top of it.
func (c *Cache) reread() {
	c.reopen()
	for at := 0; at < len(c.pending); {
		n := int(binary.LittleEndian.Uint32(c.pending[at:]))
		if uid, ok := uidOf(c.pending[at+recordStart:][:n]); ok {
			c.stale += c.at.set(uid, place{pendingBit | uint32(at+recordStart), uint32(n)}).cost()
		}
		at += recordStart + n
	}
}

// create makes a file, in place of one that does not fit, unless somebody else is faster.
func (c *Cache) create() bool {
	name := FileName + ".tmp" + strconv.Itoa(os.Getpid()) + "." + strconv.FormatUint(rand.Uint64(), 36)
	err := c.write(name, func(w io.Writer) error { return nil })
	if err == nil {
		c.dir.Remove(FileName) // one that does not fit
		err = c.dir.RenameNew(name, c.dir, FileName)
	}
	if err != nil {
		c.dir.Remove(name)
		if !errors.Is(err, fs.ErrExist) {
			c.broken = true
			c.forgetPending()
			return false
		}
	}
	c.reread()
	return c.file != nil
}

// write makes a file of that name with what fn writes.
func (c *Cache) write(name string, fn func(w io.Writer) error) error {
	f, err := c.dir.Create(name, c.mode)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(appendFileHeader(nil, c.validity, rand.Uint64())); err != nil {
		return err
	}
	return fn(f)
}

// Close writes what waits to be written, and writes the file anew when most of it is stale: replaced, or about messages
// of which keep says that they are gone. A nil keep keeps all.
func (c *Cache) Close(keep func(formats.UID) bool) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened {
		c.flush()
	}
	if c.file != nil {
		c.compact(keep)
		c.file.Close()
		c.file = nil
	}
	c.dir.Close()
	c.broken, c.opened = true, true
	c.at = nil
}
