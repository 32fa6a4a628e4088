package compress

import (
	"bufio"
	"io"

	"dovetail/formats"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// newXZReader refuses a first block that asks for more dictionary than maxWindow: the library would allocate it.
func newXZReader(src io.Reader) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(src, 32<<10)
	head, _ := in.Peek(12 + 1024) // stream header and the longest block header; short is fine
	if size := xzDictionary(head); size > maxWindow {
		return nil, formats.Corrupt("xz: dictionary of %d bytes", size)
	}
	r, err := xz.ReaderConfig{DictCap: lzma.MinDictCap}.NewReader(in)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}

// xzDictionary finds the dictionary size in the block header behind the stream header (xz file format 1.0.4, sections
// 3.1 and 5.3.1): header size, flags, one or two variable-length sizes, then the filter: id 21, length 1, size code.
// 0 when there is none to see.
func xzDictionary(b []byte) int64 {
	if len(b) < 12+2 {
		return 0
	}
	flags := b[13]
	b = b[14:]
	for _, present := range []bool{flags&0x40 != 0, flags&0x80 != 0} {
		for present && len(b) > 0 {
			present = b[0]&0x80 != 0
			b = b[1:]
		}
	}
	if len(b) < 3 || b[0] != 0x21 || b[1] != 1 {
		return 0
	}
	size, err := lzma.DecodeDictCap(b[2])
	if err != nil {
		return 0 // the library says it in its own words
	}
	return size
}
