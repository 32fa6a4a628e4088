package translog

import (
	"encoding/binary"
	"errors"
	"io"
	"iter"

	"dovetail/formats"
)

// Reader reads the records of one log. It keeps a window of 64 KiB of the file, and the largest record met.
type Reader struct {
	r    io.ReaderAt
	size int64

	window []byte // the bytes of the file at offset at
	at     int64
	large  []byte // for records that do not fit in the window

	end int64
}

const windowSize = 64 << 10

// NewReader reads records of a log of which size bytes are there by now.
func NewReader(r io.ReaderAt, size int64) *Reader { return &Reader{r: r, size: size} }

// ReadHeader reads the start of a log.
func ReadHeader(r io.ReaderAt) (Header, error) {
	var h Header
	b := make([]byte, HeaderSize)
	n, err := r.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return h, err
	}
	return h, h.UnmarshalBinary(b[:n])
}

// Records gives the records of complete transactions from offset on, which must be where a transaction begins. Damage
// ends the iteration with a *formats.Error (Path empty, Offset set); a transaction that is not written completely ends it
// without one.
func (r *Reader) Records(offset int64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		r.end = offset
		for {
			end, err := r.transaction(r.end)
			if err != nil {
				yield(Record{Offset: r.end}, err)
				return
			}
			if end == r.end {
				return
			}
			for pos := r.end; pos < end; {
				rec, err := r.record(pos)
				if !yield(rec, err) || err != nil {
					return
				}
				pos = rec.Next()
			}
			r.end = end
		}
	}
}

// End is where the last iteration of Records stopped: behind the last complete transaction that it gave.
func (r *Reader) End() int64 { return r.end }

// transaction gives the end of the transaction at offset, or offset itself when none is there completely. All record
// heads up to the end are looked at: after a crash of the machine a file may have its size but zeros for content.
func (r *Reader) transaction(offset int64) (int64, error) {
	typ, end, err := r.head(offset)
	if err != nil || end == offset {
		return offset, err
	}
	if typ&typeMask != Boundary || end-offset < 12 {
		return end, nil
	}
	b, err := r.bytes(offset+recordHeader, 4)
	if err != nil {
		return offset, err
	}
	want := offset + int64(binary.LittleEndian.Uint32(b))
	if want > r.size {
		return offset, nil
	}
	for end < want {
		_, next, err := r.head(end)
		if err != nil {
			return offset, err
		}
		if next == end {
			return offset, nil
		}
		end = next
	}
	return end, nil
}

// head reads a record's head and gives its end; the end is offset when the record is not completely there.
func (r *Reader) head(offset int64) (Type, int64, error) {
	if r.size-offset < recordHeader {
		return 0, offset, nil
	}
	b, err := r.bytes(offset, recordHeader)
	if err != nil {
		return 0, offset, err
	}
	size := int64(DecodeSize(b))
	switch {
	case size == 0 || size > r.size-offset:
		return 0, offset, nil
	case size < recordHeader:
		return 0, offset, bad(offset, formats.Corrupt("record of %d bytes", size))
	case size > MaxRecord:
		return 0, offset, bad(offset, formats.Corrupt("record of %d bytes is larger than any program writes", size))
	}
	return Type(binary.LittleEndian.Uint32(b[4:])), offset + size, nil
}

func (r *Reader) record(offset int64) (Record, error) {
	typ, end, err := r.head(offset)
	if err != nil {
		return Record{Offset: offset}, err
	}
	payload, err := r.bytes(offset+recordHeader, int(end-offset-recordHeader))
	if err != nil {
		return Record{Offset: offset}, err
	}
	rec := Record{Offset: offset, Type: typ & typeMask, External: typ&External != 0, Sync: typ&Sync != 0, Payload: payload}
	if err := rec.Check(); err != nil {
		return rec, bad(offset, err)
	}
	return rec, nil
}

// bytes gives n bytes at offset, which are there according to size.
func (r *Reader) bytes(offset int64, n int) ([]byte, error) {
	if n > windowSize {
		if cap(r.large) < n {
			r.large = make([]byte, n)
		}
		return r.large[:n], r.read(r.large[:n], offset)
	}
	if offset < r.at || offset+int64(n) > r.at+int64(len(r.window)) {
		if r.window == nil {
			r.window = make([]byte, min(windowSize, max(r.size, 0)))
		}
		r.at = offset
		r.window = r.window[:min(int64(cap(r.window)), r.size-offset)]
		if err := r.read(r.window, offset); err != nil {
			r.window = r.window[:0]
			return nil, err
		}
	}
	at := int(offset - r.at)
	return r.window[at : at+n : at+n], nil
}

func (r *Reader) read(b []byte, offset int64) error {
	n, err := r.r.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = formats.Corrupt("file shrank while it was read")
	}
	return bad(offset, err)
}

func bad(offset int64, err error) error {
	return &formats.Error{Op: "read log", Offset: offset, Err: err}
}
