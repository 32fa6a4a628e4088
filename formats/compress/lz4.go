package compress

import (
	"encoding/binary"
	"errors"
	"io"

	"dovetail/formats"

	"github.com/pierrec/lz4/v4"
)

const (
	lz4Magic = "Dovecot-LZ4\x0d\x2a\x9b\xc5"

	// maxChunk is the longest plain chunk that Dovecot writes (64 KiB) and accepts (its source, iostream-lz4.h: 1 MiB).
	maxChunk = 1 << 20
)

// lz4Reader decodes Dovecot's framing. Each chunk is an LZ4 block of its own.
type lz4Reader struct {
	src           io.Reader
	packed, plain []byte
	rest          []byte // of plain, not yet read
}

func newLZ4Reader(src io.Reader) (io.ReadCloser, error) {
	var head [len(lz4Magic) + 4]byte
	if _, err := io.ReadFull(src, head[:]); err != nil {
		return nil, err
	}
	longest := binary.BigEndian.Uint32(head[len(lz4Magic):])
	if string(head[:len(lz4Magic)]) != lz4Magic {
		return nil, formats.Corrupt("lz4: magic missing")
	}
	if longest == 0 || longest > maxChunk {
		return nil, formats.Corrupt("lz4: chunks of %d bytes", longest)
	}
	return io.NopCloser(&lz4Reader{src: src, plain: make([]byte, longest)}), nil
}

func (r *lz4Reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if err := r.chunk(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// chunk reads the next block; io.EOF only where a chunk would begin.
func (r *lz4Reader) chunk() error {
	var head [4]byte
	if _, err := io.ReadFull(r.src, head[:]); err != nil {
		return err
	}
	size := int(binary.BigEndian.Uint32(head[:]))
	if size <= 0 || size > lz4.CompressBlockBound(maxChunk) {
		return formats.Corrupt("lz4: block of %d bytes", size)
	}
	if cap(r.packed) < size {
		r.packed = make([]byte, size)
	}
	r.packed = r.packed[:size]
	if _, err := io.ReadFull(r.src, r.packed); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	n, err := lz4.UncompressBlock(r.packed, r.plain)
	if err != nil {
		return err
	}
	r.rest = r.plain[:n]
	return nil
}
