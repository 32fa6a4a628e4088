package parsed

import (
	"encoding/binary"
	"hash/crc32"

	"dovetail/formats"
)

// Reader looks messages up one after the other. It reads ahead, so asking in the order in which they were put is cheap.
// It is for one goroutine; a Reader of a nil Cache knows nothing.
type Reader struct {
	c    *Cache
	data Data

	buf    []byte
	offset int64 // of buf in the file
	ahead  int   // how much is read at once
	turn   int   // which file that was
	copied []byte
}

// Reader gives a reader.
func (c *Cache) Reader() *Reader { return &Reader{c: c} }

// How much is read at once: little for who asks about one message, and twice as much each time for who goes on from there.
const minAhead, maxAhead = 4 << 10, 128 << 10

// Get gives what is known of a message, until the next call. What was kept of a message of another size is forgotten; size
// -1 is one that nobody has looked at.
func (r *Reader) Get(uid formats.UID, size int64) (*Data, bool) {
	if r == nil || r.c == nil {
		return nil, false
	}
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	payload := r.payload(uid)
	if payload == nil {
		return nil, false
	}
	got, err := r.data.decode(payload)
	if err != nil || got != uid || size >= 0 && r.data.Size != size {
		r.c.drop(uid)
		r.c.keys.withdraw(uid)
		return nil, false
	}
	return &r.data, true
}

// payload gives a message's record; nil if there is none. The Cache is locked.
func (r *Reader) payload(uid formats.UID) []byte {
	c := r.c
	if c.read(); c.at == nil {
		return nil
	}
	p := c.at.get(uid)
	if p.length == 0 && c.f != nil {
		c.scan() // others may have put it there
		p = c.at.get(uid)
	}
	switch {
	case p.length == 0:
		return nil
	case p.offset&pendingBit != 0:
		r.copied = append(r.copied[:0], c.pending[p.offset&^pendingBit:][:p.length]...)
		return r.copied
	}
	b := r.bytes(int64(p.offset)-recordStart, int(p.length)+recordStart)
	if b == nil || binary.LittleEndian.Uint32(b) != p.length || crc32.Checksum(b[recordStart:], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		c.drop(uid)
		r.buf = r.buf[:0]
		return nil
	}
	return b[recordStart:]
}

// bytes gives a piece of the file; nil if it cannot be read.
func (r *Reader) bytes(at int64, n int) []byte {
	if r.turn == r.c.turn && at >= r.offset && at+int64(n) <= r.offset+int64(len(r.buf)) {
		return r.buf[at-r.offset:][:n]
	}
	if r.c.f == nil {
		return nil
	}
	if end := r.offset + int64(len(r.buf)); r.turn == r.c.turn && at >= r.offset && at <= end+int64(r.ahead) {
		r.ahead = max(min(2*r.ahead, maxAhead), minAhead)
	} else {
		r.ahead = minAhead
	}
	want := max(n, r.ahead)
	if cap(r.buf) < want {
		r.buf = make([]byte, want)
	}
	read, _ := r.c.f.ReadAt(r.buf[:want], at)
	r.buf, r.offset, r.turn = r.buf[:read], at, r.c.turn
	if read < n {
		return nil
	}
	return r.buf[:n]
}
