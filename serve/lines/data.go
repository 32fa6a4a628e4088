package lines

import (
	"bytes"
	"io"
)

// Data gives a message that ends with a line that is a dot alone, with the dots taken off that were put in front of
// others (RFC 5321 section 4.5.2). Only CRLF ends a line: a dot between other line ends is text, so that nobody can hide
// a second message from those who read otherwise.
func (r *Reader) Data() io.Reader { return &data{r: r, lineStart: true} }

type data struct {
	r         *Reader
	lineStart bool
	cr        bool // the last byte was CR
	ended     bool
}

func (d *data) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for !d.ended {
		if d.lineStart {
			if err := d.start(); err != nil {
				return 0, unexpected(err)
			}
			continue
		}
		if d.r.empty() {
			if err := d.r.more(); err != nil {
				return 0, unexpected(err)
			}
		}
		if n := d.text(p); n > 0 {
			return n, nil
		}
	}
	d.r.giveBack()
	return 0, io.EOF
}

// text gives bytes up to the end of the line, or of several that do not begin with a dot.
func (d *data) text(p []byte) (n int) {
	r := d.r
	p = p[:min(len(p), r.end-r.at)]
	src := r.buf[r.at:][:len(p)]
	for n < len(src) {
		i := bytes.IndexByte(src[n:], '\n')
		if i < 0 {
			d.cr = src[len(src)-1] == '\r'
			n = len(src)
			break
		}
		crlf := i > 0 && src[n+i-1] == '\r' || i == 0 && n == 0 && d.cr || i == 0 && n > 0 && src[n-1] == '\r'
		n += i + 1
		d.cr = false
		if crlf && (n == len(src) || src[n] == '.') {
			d.lineStart = true
			break
		}
	}
	copy(p, src[:n])
	r.at += n
	return n
}

// start looks at the first bytes of a line.
func (d *data) start() error {
	r := d.r
	if r.empty() {
		if err := r.more(); err != nil {
			return err
		}
	}
	d.lineStart, d.cr = false, false
	if r.buf[r.at] != '.' {
		return nil
	}
	for r.end-r.at < 3 && !(r.end-r.at == 2 && r.buf[r.at+1] != '\r') {
		if err := r.more(); err != nil {
			return err
		}
	}
	if r.buf[r.at+1] == '\r' && r.end-r.at > 2 && r.buf[r.at+2] == '\n' {
		r.at += 3
		d.ended = true
		return nil
	}
	r.at++
	return nil
}

// Chunk gives the next n bytes as they are (RFC 3030).
func (r *Reader) Chunk(n int64) io.Reader { return &chunk{r: r, left: n} }

type chunk struct {
	r    *Reader
	left int64
}

func (c *chunk) Read(p []byte) (int, error) {
	if c.left == 0 {
		c.r.giveBack()
		return 0, io.EOF
	}
	if c.r.empty() {
		if err := c.r.more(); err != nil {
			return 0, unexpected(err)
		}
	}
	n := copy(p[:min(int64(len(p)), c.left)], c.r.buf[c.r.at:c.r.end])
	c.r.at += n
	c.left -= int64(n)
	return n, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
