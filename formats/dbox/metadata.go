package dbox

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Absent is the value of a number that the metadata does not hold.
const Absent = -1

// Metadata is what follows a message. Make it with NoMetadata.
type Metadata struct {
	Plain       int64 // Z: bytes, Absent if the message is stored as it is
	Received    int64 // R: Unix seconds, Absent if there is none (which is also 1969-12-31 23:59:59: no mail is that old)
	VirtualSize int64 // V: bytes, Absent if there is none
	POP3UIDL    string
	POP3Order   uint32 // 0: none
	GUID        string
	Mailbox     string // B
	Attachments string // X: see ParseAttachments

	// Other holds lines with unknown keys, with values that cannot be read, and repeated ones, as found.
	Other []string
}

// NoMetadata is what an empty block holds.
func NoMetadata() Metadata {
	return Metadata{Plain: Absent, Received: Absent, VirtualSize: Absent}
}

// readFrom reads the block at off and gives its length, the magic and the empty line included.
func (m *Metadata) readFrom(r io.ReaderAt, off int64) (int, error) {
	buf := make([]byte, 384)
	for {
		n, err := readAt(r, buf, off)
		if err != nil {
			return 0, err
		}
		block, used := cutBlock(buf[:n])
		switch {
		case used > 0:
			m.parse(block)
			return used, nil
		case !bytes.HasPrefix(buf[:n], magicPost):
			return 0, corrupt(off, "metadata: magic missing")
		case n < len(buf):
			return 0, corrupt(off+int64(n), "metadata: file ends before the empty line")
		case len(buf) >= maxMetadata:
			return 0, corrupt(off, "metadata of more than %d bytes", maxMetadata)
		}
		buf = make([]byte, 8*len(buf))
	}
}

// cutBlock gives the lines between magic and end, and the length of it all; 0 when b does not hold the whole block.
func cutBlock(b []byte) (lines []byte, used int) {
	if !bytes.HasPrefix(b, magicPost) {
		return nil, 0
	}
	for at := len(magicPost); ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return nil, 0
		}
		if i == 0 || b[at] == ' ' { // version 1 pads the block with a line of spaces
			return b[len(magicPost):at], at + i + 1
		}
		at += i + 1
	}
}

func (m *Metadata) parse(lines []byte) {
	var seen [256]bool
	for line := range bytes.Lines(lines) {
		line = line[:len(line)-1]
		key := line[0]
		if seen[key] || !m.set(key, line[1:]) {
			m.Other = append(m.Other, string(line))
		}
		seen[key] = true
	}
}

// set tells whether the value was understood.
func (m *Metadata) set(key byte, value []byte) bool {
	switch key {
	case 'Z':
		return setHex(&m.Plain, value)
	case 'V':
		return setHex(&m.VirtualSize, value)
	case 'R':
		n, err := strconv.ParseUint(string(value), 16, 64) // dates before 1970 have all 64 bits
		if err != nil || int64(n) == Absent {
			return false
		}
		m.Received = int64(n)
	case 'O':
		n, err := strconv.ParseUint(string(value), 10, 32)
		if err != nil || n == 0 {
			return false
		}
		m.POP3Order = uint32(n)
	case 'P':
		return setText(&m.POP3UIDL, value)
	case 'G':
		return setText(&m.GUID, value)
	case 'B':
		return setText(&m.Mailbox, value)
	case 'X':
		return setText(&m.Attachments, value)
	default:
		return false
	}
	return true
}

func setHex(n *int64, value []byte) bool {
	u, err := strconv.ParseUint(string(value), 16, 63)
	if err != nil {
		return false
	}
	*n = int64(u)
	return true
}

func setText(s *string, value []byte) bool {
	*s = string(value)
	return len(value) > 0
}

// Append appends the block, magic and empty line included. A value that holds a line end is an error.
func (m *Metadata) Append(b []byte) ([]byte, error) {
	for _, s := range append([]string{m.POP3UIDL, m.GUID, m.Mailbox, m.Attachments}, m.Other...) {
		if strings.ContainsRune(s, '\n') {
			return b, fmt.Errorf("metadata value %.60q holds a line end", s)
		}
	}
	b = append(b, magicPost...)
	b = appendHex(b, 'Z', m.Plain)
	b = appendHex(b, 'R', m.Received)
	b = appendHex(b, 'V', m.VirtualSize)
	b = appendText(b, 'P', m.POP3UIDL)
	if m.POP3Order != 0 {
		b = fmt.Appendf(b, "O%d\n", m.POP3Order)
	}
	b = appendText(b, 'G', m.GUID)
	b = appendText(b, 'B', m.Mailbox)
	b = appendText(b, 'X', m.Attachments)
	for _, line := range m.Other {
		b = append(append(b, line...), '\n')
	}
	return append(b, '\n'), nil
}

func appendHex(b []byte, key byte, n int64) []byte {
	if n == Absent {
		return b
	}
	return append(strconv.AppendUint(append(b, key), uint64(n), 16), '\n')
}

func appendText(b []byte, key byte, s string) []byte {
	if s == "" {
		return b
	}
	return append(append(append(b, key), s...), '\n')
}
