package imapwire

import (
	"io"
	"strconv"
	"sync"
	"time"
)

// Encoder collects answers and writes them when there are many, or on Flush. It is used by one goroutine at a time.
// Answers are made by the Append functions on Buf, each line as a whole:
//
//	e.Buf = append(e.Buf, "* 5 EXISTS\r\n"...)
//	err := e.Line()
//
// An error of the stream stays: everything after it is dropped and gives it again.
type Encoder struct {
	Buf []byte // what is not written yet

	dst    io.Writer
	err    error
	pooled *[room]byte // that Buf began with; nil: none
}

// NewEncoder writes to dst.
func NewEncoder(dst io.Writer) *Encoder { return &Encoder{dst: dst} }

// Reset makes the encoder write to another stream, behind what is collected.
func (e *Encoder) Reset(dst io.Writer) { e.dst = dst }

// enough is when collected answers are written: one system call for many messages. The buffers have room for one message
// more.
const enough, room = 64 << 10, 136 << 10

var answers = sync.Pool{New: func() any { return new([room]byte) }}

// Begin says that answers will be collected, so that there is a buffer for them until Flush.
func (e *Encoder) Begin() {
	if e.Buf == nil {
		e.pooled = answers.Get().(*[room]byte)
		e.Buf = e.pooled[:0]
	}
}

// Line says that a line, or several, are complete.
func (e *Encoder) Line() error {
	if len(e.Buf) < enough {
		return e.err
	}
	return e.write()
}

// Flush writes everything that was collected, and gives the buffer back.
func (e *Encoder) Flush() error {
	if len(e.Buf) > 0 {
		e.write()
	}
	if e.pooled != nil {
		answers.Put(e.pooled)
	}
	e.Buf, e.pooled = nil, nil
	return e.err
}

func (e *Encoder) write() error {
	if e.err == nil {
		_, e.err = e.dst.Write(e.Buf)
	}
	e.Buf = e.Buf[:0]
	return e.err
}

// Write sends bytes of a literal; long ones do not go through the buffer.
func (e *Encoder) Write(p []byte) (int, error) {
	if len(e.Buf)+len(p) < enough {
		e.Buf = append(e.Buf, p...)
		return len(p), e.err
	}
	if len(p) < enough/4 {
		e.Buf = append(e.Buf, p...)
		return len(p), e.write()
	}
	if err := e.write(); err != nil {
		return 0, err
	}
	n, err := e.dst.Write(p)
	e.err = err
	return n, err
}

// AppendQuoted writes a quoted string. The text must not hold CR, LF or NUL.
func AppendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// AppendLiteralSize writes "{5}" and the line end behind it.
func AppendLiteralSize(dst []byte, size int64) []byte {
	dst = strconv.AppendInt(append(dst, '{'), size, 10)
	return append(dst, "}\r\n"...)
}

// AppendString writes a string: quoted, or as a literal if it has bytes that cannot stand in quotes. NUL, which has no
// place in either, becomes 0x80, as Dovecot has it.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	plain := len(s) < 1024
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] < 0x80 && classes[s[i]]&isQuoted != 0 || s[i] == '"' || s[i] == '\\'
	}
	if plain {
		dst = append(dst, '"')
		for i := range len(s) {
			if s[i] == '"' || s[i] == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, s[i])
		}
		return append(dst, '"')
	}
	dst = AppendLiteralSize(dst, int64(len(s)))
	start := len(dst)
	dst = append(dst, s...)
	for i := start; i < len(dst); i++ {
		if dst[i] == 0 {
			dst[i] = 0x80
		}
	}
	return dst
}

// AppendAString writes an atom if the text can be one, else a string.
func AppendAString(dst []byte, s string) []byte {
	for i := range len(s) {
		if classes[s[i]]&isAString == 0 || s[i] >= 0x80 {
			return AppendString(dst, s)
		}
	}
	if s == "" || s == "NIL" || s == "nil" {
		return AppendQuoted(dst, s)
	}
	return append(dst, s...)
}

// AppendMailbox writes a mailbox name, already in the encoding that was agreed on. Names of 8-bit characters are quoted
// if utf8 is set (RFC 6855), else they are literals.
func AppendMailbox(dst []byte, name string, utf8 bool) []byte {
	if !utf8 {
		return AppendAString(dst, name)
	}
	for i := range len(name) {
		if classes[name[i]]&isQuoted == 0 && name[i] != '"' && name[i] != '\\' {
			return AppendString(dst, name)
		}
	}
	return AppendQuoted(dst, name)
}

// AppendDate writes an INTERNALDATE with its quotes.
func AppendDate(dst []byte, t time.Time) []byte {
	return t.AppendFormat(dst, `"02-Jan-2006 15:04:05 -0700"`)
}

// AppendUint writes a number.
func AppendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }

// AppendRanges writes ascending numbers as a set, "1:3,7", from an iterator of ranges in order. It writes nothing for
// none.
func AppendRanges(dst []byte, ranges []Range) []byte { return Set{Ranges: ranges}.Append(dst) }

// AddNumber adds a number that is above all others to ranges in order.
func AddNumber(ranges []Range, n uint32) []Range {
	if last := len(ranges) - 1; last >= 0 && ranges[last].Last == n-1 {
		ranges[last].Last = n
		return ranges
	}
	return append(ranges, Range{n, n})
}
