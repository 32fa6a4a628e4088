package maildir

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"sync"
	"sync/atomic"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// openNames opens the file, gives what stands in front of the names, and has them read later.
func (v *view) openNames(d *disk.Dir) (front []byte, err error) {
	f, err := d.Open(namesFile)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	var head [namesHead]byte
	st, err := f.Stat()
	if err == nil {
		_, err = f.ReadAt(head[:], 0)
	}
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	sum, names := head[len(namesMagic):], int64(le.Uint64(head[len(namesMagic)+8:]))
	if string(head[:len(namesMagic)]) != namesMagic || names < int64(namesHead) || names > st.Size || st.Size > maxNamesFile {
		return nil, errNames
	}
	front = make([]byte, names-int64(namesHead))
	if _, err := f.ReadAt(front, int64(namesHead)); err != nil && (err != io.EOF || len(front) > 0) {
		return nil, err
	}
	if crc32.Checksum(front, castagnoli) != le.Uint32(sum[4:]) {
		return nil, errNames
	}
	v.text.lazy = &lazyText{f: f, at: names, size: st.Size - names, sum: le.Uint32(sum)}
	return front, nil
}

var errNames = formats.Corrupt("this is no file of names")

// lazyText is the text of a view that is in the file until it is needed. It may be used by several goroutines.
type lazyText struct {
	at, size int64
	sum      uint32

	once   sync.Once
	f      *disk.File
	blocks [][]byte
	failed atomic.Bool // it could not be read: all names are wrong
}

// whole reads the pieces of a text, and tells whether it has them.
func (t *text) whole() bool {
	if t.lazy != nil {
		t.lazy.load()
		return !t.lazy.failed.Load()
	}
	return true
}

func (l *lazyText) load() { l.once.Do(l.read) }

func (l *lazyText) get(at uint32, n int) []byte {
	l.load()
	if l.failed.Load() {
		return make([]byte, n) // no file has such a name
	}
	block, off := l.blocks[at/textBlock], int(at%textBlock)
	return block[off : off+n : off+n]
}

func (l *lazyText) read() {
	defer l.f.Close()
	b := make([]byte, l.size)
	if _, err := l.f.ReadAt(b, l.at); err != nil && err != io.EOF || crc32.Checksum(b, castagnoli) != l.sum {
		l.failed.Store(true)
		return
	}
	for ; len(b) > 0; b = b[min(textBlock, len(b)):] {
		n := min(textBlock, len(b))
		l.blocks = append(l.blocks, b[:n:n])
	}
}

// close gives up what was not read. It may be called for nil.
func (l *lazyText) close() {
	if l != nil {
		l.once.Do(func() {
			l.f.Close()
			l.failed.Store(true)
		})
	}
}

// fieldReader takes fields from the front of b; behind the end all are zero, and short is set.
type fieldReader struct {
	b     []byte
	short bool
}

func (r *fieldReader) next(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b, r.short = nil, true
		return nil
	}
	f := r.b[:n]
	r.b = r.b[n:]
	return f
}

func (r *fieldReader) u64() uint64 {
	if f := r.next(8); f != nil {
		return binary.LittleEndian.Uint64(f)
	}
	return 0
}

func (r *fieldReader) u32() uint32 {
	if f := r.next(4); f != nil {
		return binary.LittleEndian.Uint32(f)
	}
	return 0
}

func (r *fieldReader) u8() byte {
	if f := r.next(1); f != nil {
		return f[0]
	}
	return 0
}

func (r *fieldReader) text() string { return string(r.next(int(r.u32()))) }
