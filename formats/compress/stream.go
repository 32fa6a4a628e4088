package compress

import (
	"io"

	"github.com/klauspost/compress/flate"
)

// NewDeflater compresses what is written as raw deflate (RFC 1951), as protocols want it: each Write can be read by the
// other side at once. Nothing is held between two of them, so few long ones compress better than many short ones.
func NewDeflater(w io.Writer) io.Writer { return flate.NewStatelessWriter(w) }
