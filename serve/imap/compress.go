package imap

import (
	"bytes"
	"context"
	"io"

	"dovetail/formats/compress"
	"dovetail/formats/imapwire"
)

// compress has everything compressed from here on, both ways (RFC 4978).
func (s *session) compress(_ context.Context, c *imapwire.Command) answer {
	switch {
	case s.packed:
		return no("[COMPRESSIONACTIVE]", "COMPRESSION already enabled")
	case c.Args.(*imapwire.Compress).Algorithm != "DEFLATE":
		return no("", "Unknown compression mechanism")
	}
	s.tagged(c.Tag, ok("Begin compression"), 0)
	if s.flush() != nil {
		s.end("Connection closed")
		return answer{}
	}
	s.packed = true
	s.in.Reset(compress.NewInflater(io.MultiReader(bytes.NewReader(s.in.Buffered()), s.c)))
	s.out.Reset(compress.NewDeflater(patient{s}))
	return answer{}
}
