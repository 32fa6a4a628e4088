package watch

import (
	"io"
	"strings"
)

// body is a message in memory.
func body(s string) *memoryBody { return &memoryBody{strings.NewReader(s)} }

type memoryBody struct{ *strings.Reader }

func (b *memoryBody) Close() error { return nil }
func (b *memoryBody) Size() int64  { return b.Reader.Size() }

var _ io.ReaderAt = (*memoryBody)(nil)
