package search

import (
	"bufio"
	"io"
)

// transferDecoder takes a transfer encoding away; nil when it is not known: such a body is not searched.
func transferDecoder(from io.Reader, encoding string) io.Reader {
	switch encoding {
	case "7bit", "8bit", "binary":
		return from
	case "base64":
		return &base64Reader{r: bufio.NewReaderSize(from, block)}
	case "quoted-printable":
		return &qpReader{r: bufio.NewReaderSize(from, block)}
	}
	return nil
}

// base64Reader decodes up to what is no base64.
type base64Reader struct {
	r    *bufio.Reader
	bits uint32
	have uint
	end  bool
}

const (
	notBase64 = 0xff
	white     = 0xfe
)

var base64Values = func() (v [256]byte) {
	for i := range v {
		v[i] = notBase64
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		v[c] = byte(i)
	}
	for _, c := range []byte(" \t\r\n") {
		v[c] = white
	}
	return v
}()

func (b *base64Reader) Read(p []byte) (n int, err error) {
	for n < len(p) && !b.end {
		in, err := b.r.Peek(1)
		if err != nil {
			return n, err
		}
		in, _ = b.r.Peek(b.r.Buffered())
		used := 0
		for used < len(in) && n < len(p) {
			v := base64Values[in[used]]
			used++
			if v == white {
				continue
			}
			if v == notBase64 {
				b.end = true
				break
			}
			if b.bits, b.have = b.bits<<6|uint32(v), b.have+6; b.have >= 8 {
				b.have -= 8
				p[n] = byte(b.bits >> b.have)
				n++
			}
		}
		b.r.Discard(used)
	}
	if b.end && n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// qpReader decodes quoted-printable text line by line; a line that is too long in pieces. Line ends become CRLF.
type qpReader struct {
	r    *bufio.Reader
	out  []byte
	done []byte // the rest of out that was not given yet
}

func (q *qpReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(q.done) == 0 {
			line, err := q.r.ReadSlice('\n')
			if len(line) == 0 && err != nil {
				return n, err
			}
			q.out = appendQP(q.out[:0], line)
			q.done = q.out
		}
		k := copy(p[n:], q.done)
		n += k
		q.done = q.done[k:]
	}
	return n, nil
}

func appendQP(dst, line []byte) []byte {
	ended := false
	if k := len(line); k > 0 && line[k-1] == '\n' {
		ended = true
		for line = line[:k-1]; len(line) > 0 && isWhite(line[len(line)-1]); {
			line = line[:len(line)-1]
		}
	}
	for i := 0; i < len(line); i++ {
		if line[i] != '=' {
			dst = append(dst, line[i])
			continue
		}
		if i+1 == len(line) && ended {
			return dst // a soft line end
		}
		if i+2 < len(line) && hexValue(line[i+1]) >= 0 && hexValue(line[i+2]) >= 0 {
			dst = append(dst, byte(hexValue(line[i+1])<<4|hexValue(line[i+2])))
			i += 2
			continue
		}
		dst = append(dst, '=')
	}
	if ended {
		dst = append(dst, "\r\n"...)
	}
	return dst
}

func isWhite(b byte) bool { return b == ' ' || b == '\t' || b == '\r' }

func hexValue(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}
