package maildir

import (
	"bytes"
	"context"
	"io"

	"dovetail/formats/disk"
)

// measureCourier fills in what Courier's POP3 server counts of a message.
func (b *Mailbox) measureCourier(ctx context.Context, v *view, e *entry, rec *courierPOP3) error {
	return b.withFile(ctx, &v, &e, func(d *disk.Dir, name string) error {
		f, err := d.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		buf := buffers.Get().(*[]byte)
		defer buffers.Put(buf)
		c := newCourierCount()
		if _, err := io.CopyBuffer(&c, struct{ io.Reader }{f}, *buf); err != nil {
			return err
		}
		rec.Size, rec.UTF8 = c.pop3Size(b.store.opts.Lists), c.utf8()
		return nil
	})
}

func newCourierCount() courierCount { return courierCount{inHeader: true, empty: true} }

// pop3Size is what Courier's POP3 server counts: the bytes of the file and one more for every LF, whatever stands before
// it. 4.x adds two for a last line without its end; in 5.x the place where that is asked for can never be reached
// (imap/pop3dserver.c, calcsize).
func (c *courierCount) pop3Size(lists Lists) uint64 {
	if c.size > 0 && c.last != '\n' && lists == Courier4Lists {
		return c.size + 2
	}
	return c.size
}

// utf8 is 1 for bytes above 127 in the header.
func (c *courierCount) utf8() uint32 {
	if c.eightBit {
		return 1
	}
	return 0
}

// courierCount counts a message that is written to it.
type courierCount struct {
	size     uint64
	last     byte
	inHeader bool
	empty    bool // the line so far
	eightBit bool
}

func (c *courierCount) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.size += uint64(len(p)) + uint64(bytes.Count(p, []byte{'\n'}))
	for _, ch := range p {
		if !c.inHeader {
			break
		}
		c.eightBit = c.eightBit || ch >= 0x80
		switch {
		case ch == '\n' && c.empty:
			c.inHeader = false
		case ch != '\r':
			c.empty = ch == '\n'
		}
	}
	c.last = p[len(p)-1]
	return len(p), nil
}
