package dbox

import (
	"bytes"
	"io"
)

// LineCounter counts what is written to it, and the line ends that are not CRLF.
type LineCounter struct {
	Size, Bare int64
	last       byte
}

func (c *LineCounter) Write(p []byte) (int, error) {
	c.Count(p)
	return len(p), nil
}

// Count is Write without results.
func (c *LineCounter) Count(p []byte) {
	if len(p) == 0 {
		return
	}
	c.Size += int64(len(p))
	if n := bytes.Count(p, []byte{'\n'}); n > 0 {
		if c.last == '\r' && p[0] == '\n' {
			n--
		}
		if bytes.IndexByte(p, '\r') >= 0 {
			n -= bytes.Count(p, []byte("\r\n"))
		}
		c.Bare += int64(n)
	}
	c.last = p[len(p)-1]
}

// VirtualSize is the length with every line end as CRLF.
func (c *LineCounter) VirtualSize() int64 { return c.Size + c.Bare }

// VirtualSize reads a whole message and gives its length with every line end as CRLF.
func VirtualSize(body io.WriterTo) (int64, error) {
	var c LineCounter
	if _, err := body.WriteTo(&c); err != nil {
		return -1, err
	}
	return c.VirtualSize(), nil
}
