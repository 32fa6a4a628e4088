package sync

import (
	"bufio"
	"bytes"
	"io"
	"iter"
	"strings"
	"sync"
)

// headerReaders are for looking into headers: a longer line than the buffer is judged by its start.
var headerReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

// headerLines gives the lines of a message's header with their line ends, of long lines only the start.
func headerLines(r io.Reader) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		in := headerReaders.Get().(*bufio.Reader)
		in.Reset(r)
		defer headerReaders.Put(in)
		for {
			line, err := in.ReadSlice('\n')
			if len(bytes.TrimRight(line, "\r\n")) == 0 || !yield(line) {
				return
			}
			for err == bufio.ErrBufferFull {
				_, err = in.ReadSlice('\n')
			}
			if err != nil {
				return
			}
		}
	}
}

// fieldName gives the name among names that a header line begins with, in any case, or "".
func fieldName(line []byte, names []string) string {
	name, _, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return ""
	}
	name = bytes.TrimRight(name, " \t")
	for _, n := range names {
		if len(n) == len(name) && strings.EqualFold(n, string(name)) {
			return n
		}
	}
	return ""
}
