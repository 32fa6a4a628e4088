package maildir

import (
	"bytes"
	"io"

	"dovetail/formats"
)

// measure reads a message once, copies it to w (unless that is nil) and counts: its size as stored, and with every line
// end as CRLF.
func measure(body formats.Body, w io.Writer) (size, virtual int64, err error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	lone := int64(0) // LF without CR before it
	last := byte(0)
	for {
		n, err := body.ReadAt(*buf, size)
		chunk := (*buf)[:n]
		lone += loneLF(chunk, last)
		if n > 0 {
			last = chunk[n-1]
			size += int64(n)
			if w != nil {
				if _, err := w.Write(chunk); err != nil {
					return 0, 0, err
				}
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, 0, err
		}
		if n == 0 {
			return 0, 0, io.ErrNoProgress
		}
	}
	if size < body.Size() {
		return 0, 0, io.ErrUnexpectedEOF
	}
	return size, size + lone, nil
}

// loneLF counts the LFs that have no CR before them; last is the byte before the chunk.
func loneLF(chunk []byte, last byte) int64 {
	n := int64(bytes.Count(chunk, []byte{'\n'}))
	if n == 0 {
		return 0
	}
	n -= int64(bytes.Count(chunk, []byte("\r\n")))
	if chunk[0] == '\n' && last == '\r' {
		n--
	}
	return n
}
