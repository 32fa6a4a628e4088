package compress

import (
	"bufio"
	"io"

	"github.com/klauspost/compress/flate"
)

// NewDeflater compresses what is written as raw deflate (RFC 1951), as protocols want it: each Write can be read by the
// other side at once. Nothing is held between two of them, so few long ones compress better than many short ones.
func NewDeflater(w io.Writer) io.Writer { return flate.NewStatelessWriter(w) }

// Inflater reads raw deflate as it comes over a connection. It is used by one goroutine and holds some 50 KB.
type Inflater struct {
	in   *bufio.Reader
	out  io.Reader
	full bool // the last Read gave all that was asked for: there may be more
}

// NewInflater reads from r. What is expanded is as long as its maker likes: the reader must have limits.
func NewInflater(r io.Reader) *Inflater {
	in := bufio.NewReaderSize(r, 1024)
	return &Inflater{in: in, out: flate.NewReader(in)}
}

// Read gives expanded bytes.
func (f *Inflater) Read(p []byte) (int, error) {
	n, err := f.out.Read(p)
	f.full = n == len(p)
	return n, err
}

// Wait waits until there is something to read. Its error is that of the stream and does no harm: after a deadline it can
// be called again, while one during Read is the end.
func (f *Inflater) Wait() error {
	if f.full || f.in.Buffered() > 0 {
		return nil
	}
	_, err := f.in.Peek(1)
	return err
}
