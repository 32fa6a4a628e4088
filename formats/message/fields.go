package message

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
)

// filtered writes the chosen fields of a header with CRLF line ends. It reads to the empty line, even where a boundary
// ended the header before, as Dovecot does; the header of the message itself always ends with an empty line.
func (s *Source) filtered(p *Part, sec *Section) func(io.Writer) error {
	root := len(sec.Part) == 0
	return func(w io.Writer) error {
		b := bufferPool.Get().(*buffers)
		defer func() {
			b.w.r = nil
			bufferPool.Put(b)
		}()
		stop := int64(math.MaxInt64)
		if total := s.tree.Size().Stored; total > 0 {
			stop = total
		}
		b.w.reset(s.r, p.Offset, stop)
		f := filter{w: w, fields: sec.Fields, not: sec.Which == HeaderFieldsNot}
		f.eachLine(&b.w)
		if f.err == nil && b.w.err != nil {
			return fmt.Errorf("read message: %w", b.w.err)
		}
		if root && !f.not && !f.ended && f.err == nil {
			if f.open {
				f.write([]byte("\r\n"))
			}
			f.write([]byte("\r\n"))
		}
		return f.err
	}
}

type filter struct {
	w      io.Writer
	fields []string
	not    bool
	before string // a line to stand before the empty one
	nuls   bool   // NULs stay
	err    error

	set  map[string]bool // of many fields, in lower case
	name []byte          // scratch

	ended bool // the empty line was read
	open  bool // the last line that was written had no end
}

func (f *filter) write(b []byte) {
	if f.err == nil {
		_, f.err = f.w.Write(b)
	}
}

// eachLine passes on the lines of fields that were chosen.
func (f *filter) eachLine(w *window) {
	chosen, start := false, true
	for first := true; f.err == nil; first = false {
		line := w.line()
		if len(line) == 0 {
			return
		}
		text, whole := cutLineEnd(line)
		if start {
			if len(text) == 0 && whole {
				f.ended = true
				f.write([]byte(f.before))
				f.write([]byte("\r\n"))
				return
			}
			if first || !isBlank(line[0]) {
				chosen = f.matches(line)
			}
		}
		if start = whole; !chosen {
			continue
		}
		if !f.nuls && bytes.IndexByte(text, 0) >= 0 {
			text = bytes.ReplaceAll(text, []byte{0}, []byte{0x80})
		}
		f.write(text)
		if f.open = !whole; whole {
			f.write([]byte("\r\n"))
		}
	}
}

// fewFields is up to how many names are compared one by one.
const fewFields = 8

func (f *filter) matches(line []byte) bool {
	key, _ := cutField(line)
	if i := bytes.IndexByte(key, 0); i >= 0 {
		key = key[:i] // a text ends there for Dovecot
	}
	if len(f.fields) <= fewFields {
		return slices.ContainsFunc(f.fields, func(want string) bool { return sameFold(want, key) }) != f.not
	}
	if f.set == nil {
		f.set = make(map[string]bool, len(f.fields))
		for _, name := range f.fields {
			f.set[string(f.lower([]byte(name)))] = true
		}
	}
	return f.set[string(f.lower(key))] != f.not
}

func (f *filter) lower(name []byte) []byte {
	f.name = f.name[:0]
	for _, c := range name {
		f.name = append(f.name, lowered(c))
	}
	return f.name
}
