// Package compress reads messages that are stored compressed.
//
// Dovecot's compression plugin (2.3 zlib, 2.4 mail_compress) compresses the whole message and leaves no mark in its
// name: the kind is told by the first bytes.
//
//	gz    1f 8b                           RFC 1952
//	bz2   'B' 'Z' 'h' '1'…'9'
//	zstd  28 b5 2f fd                     RFC 8878
//	lz4   "Dovecot-LZ4" 0d 2a 9b c5       Dovecot's own: u32 BE longest chunk, then {u32 BE length, LZ4 block}…
//	xz    fd 37 7a 58 5a 00
//
// Raw deflate has no magic and is not used for files. Tested with files saved by Dovecot 2.3.19.1 (gz, bz2, zstd, lz4)
// and by xz 5.4. Nothing is ever written compressed.
package compress

import (
	"bufio"
	"compress/bzip2"
	"errors"
	"io"

	"dovetail/formats"
	"dovetail/formats/disk"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Kind is a compression, by Dovecot's name for it; "" is none.
type Kind string

// The kinds that are told apart.
const (
	None Kind = ""
	Gz   Kind = "gz"
	Bz2  Kind = "bz2"
	Zstd Kind = "zstd"
	LZ4  Kind = "lz4"
	XZ   Kind = "xz"
)

// MagicSize is how many bytes Detect wants to see.
const MagicSize = len(lz4Magic)

// Detect tells the compression from a message's first bytes. No mail message begins like this: a header field name
// holds no such bytes, and "BZh9" lacks its colon in the first 15 bytes only in a file that is not mail either.
func Detect(head []byte) Kind {
	has := func(magic string) bool { return len(head) >= len(magic) && string(head[:len(magic)]) == magic }
	switch {
	case has("\x1f\x8b"):
		return Gz
	case has("BZh") && len(head) > 3 && head[3] >= '1' && head[3] <= '9' && isBzip2Block(head[4:]):
		return Bz2
	case has("\x28\xb5\x2f\xfd"):
		return Zstd
	case has(lz4Magic):
		return LZ4
	case has("\xfd7zXZ\x00"):
		return XZ
	}
	return None
}

// isBzip2Block looks for the magic of a first block or of the end of an empty stream, as far as it can see.
func isBzip2Block(b []byte) bool {
	for _, magic := range []string{"\x31\x41\x59\x26\x53\x59", "\x17\x72\x45\x38\x50\x90"} {
		if n := min(len(b), len(magic)); string(b[:n]) == magic[:n] {
			return true
		}
	}
	return false
}

// ErrTooLarge means that a message decodes to more than the limit; it wraps formats.ErrCorrupt.
var ErrTooLarge = formats.Corrupt("compressed message grows beyond its size")

// MaxSize is the limit of Decode when the caller knows none: more than any mail server takes, less than a disk.
const MaxSize = 4 << 30

// Decode decompresses all of src into memory or, when large, a file without a name. A message that decodes to more than
// limit bytes gives ErrTooLarge. The caller closes the result.
func Decode(kind Kind, src io.Reader, limit int64) (*disk.Spool, error) {
	r, err := newReader(kind, src)
	if err != nil {
		return nil, corrupt(kind, err)
	}
	defer r.Close()
	out := new(disk.Spool)
	n, err := io.Copy(out, io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		err = corrupt(kind, err)
	case n > limit:
		err = ErrTooLarge
	default:
		return out, nil
	}
	out.Close()
	return nil, err
}

func corrupt(kind Kind, err error) error {
	if errors.Is(err, formats.ErrCorrupt) {
		return err
	}
	return formats.Corrupt("%s: %w", kind, err)
}

func newReader(kind Kind, src io.Reader) (io.ReadCloser, error) {
	switch kind {
	case Gz:
		return gzip.NewReader(src)
	case Bz2:
		return io.NopCloser(bzip2.NewReader(bufio.NewReaderSize(src, 32<<10))), nil
	case Zstd:
		// One goroutine and a bounded window: the messages are small and many are read at once.
		d, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case LZ4:
		return newLZ4Reader(src)
	case XZ:
		return newXZReader(src)
	}
	return nil, errors.New("unknown compression")
}

// maxWindow bounds the memory that a frame header may ask for; zstd -19 and xz -9 stay within it.
const maxWindow = 64 << 20
