// Package dbox reads and writes the files in which Dovecot's sdbox and mdbox keep messages.
//
//	2 M1e C6553f101 LF                  file header: version, then fields in hex: M length of a message header, C creation
//	01 02 'N' 10×SP 16×HEX LF           message header, M bytes; HEX is the length of the message as stored
//	message                             that many bytes (line ends LF unless the source had CRLF kept)
//	LF 01 03 LF                         metadata follows
//	R5f5e1000 LF V12 LF Ga0a1… LF       key and value per line
//	LF                                  end
//
// In sdbox the file u.<uid> holds one message and ends there; in mdbox m.<n> holds many, one after the other. Versions 1
// and 2 are read; version 1 may have further file header fields and metadata that ends with a line of spaces.
//
// The metadata keys, in the order in which Dovecot 2.3 writes them:
//
//	Z hex      length of the plain message, if it differs: stored compressed or with attachments taken out
//	R hex      INTERNALDATE, Unix seconds
//	V hex      length with every line end as CRLF
//	P text     POP3 UIDL
//	O decimal  place in POP3 order
//	G text     message GUID
//	B text     mdbox: storage name of the mailbox it was saved in first
//	X text     attachments kept elsewhere: see Attachment
//
// Anything else is kept as it was found: other programs may need it. What is written here has the bytes Dovecot would
// have written. Message files never change once they have their name.
//
// Tested against Dovecot 2.3.19.1.
package dbox

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"dovetail/formats"
	"dovetail/formats/compress"
)

const (
	// MessageHeaderSize is the length of a message header in files that we write.
	MessageHeaderSize = 30

	// maxFileHeader bounds the first line; Dovecot's own is 18 bytes.
	maxFileHeader = 512

	// maxMetadata bounds a message's metadata. X grows by about a hundred bytes for each attachment.
	maxMetadata = 1 << 20

	sizeOffset = 13 // of the 16 hex digits in a message header
)

var (
	magicPre  = []byte("\x01\x02")
	magicPost = []byte("\n\x01\x03\n")
)

// OffsetError says at which byte of the file it went wrong.
type OffsetError struct {
	Offset int64
	Err    error // wraps formats.ErrCorrupt when the bytes are to blame
}

func (e *OffsetError) Error() string { return fmt.Sprintf("at byte %d: %v", e.Offset, e.Err) }
func (e *OffsetError) Unwrap() error { return e.Err }

func corrupt(off int64, format string, args ...any) error {
	return &OffsetError{Offset: off, Err: formats.Corrupt(format, args...)}
}

// FileHeader is the first line of a file.
type FileHeader struct {
	Version       int
	MessageHeader int    // length of each message header
	Created       uint64 // Unix seconds
	Size          int    // length of the line with its LF
}

// ParseFileHeader reads the line at the start of b.
func ParseFileHeader(b []byte) (FileHeader, error) {
	line, _, ok := bytes.Cut(b[:min(len(b), maxFileHeader)], []byte("\n"))
	if !ok {
		return FileHeader{}, corrupt(0, "no file header line")
	}
	h := FileHeader{Size: len(line) + 1}
	version, rest, more := bytes.Cut(line, []byte(" "))
	switch string(version) {
	case "1":
		h.Version = 1
	case "2":
		h.Version = 2
	default:
		return h, corrupt(0, "dbox version %.20q", version)
	}
	for more {
		var f []byte
		f, rest, more = bytes.Cut(rest, []byte(" "))
		if err := h.field(f); err != nil {
			return h, err
		}
	}
	if h.MessageHeader < MessageHeaderSize || h.MessageHeader > maxFileHeader {
		return h, corrupt(0, "message headers of %d bytes", h.MessageHeader)
	}
	return h, nil
}

func (h *FileHeader) field(f []byte) error {
	if len(f) == 0 {
		return nil
	}
	var err error
	switch value := string(f[1:]); f[0] {
	case 'M':
		var n uint64
		n, err = strconv.ParseUint(value, 16, 31)
		h.MessageHeader = int(n)
	case 'C':
		h.Created, err = strconv.ParseUint(value, 16, 64)
	}
	if err != nil {
		return corrupt(0, "file header field %.40q", f)
	}
	return nil
}

// AppendFileHeader appends the line that begins a file created at Unix time created.
func AppendFileHeader(b []byte, created uint64) []byte {
	return fmt.Appendf(b, "2 M%x C%x\n", MessageHeaderSize, created)
}

// AppendMessageHeader appends the header of a message of size bytes as stored.
func AppendMessageHeader(b []byte, size int64) []byte {
	return fmt.Appendf(b, "\x01\x02N          %016x\n", size)
}

// parseMessageHeader gives the stored size; b is the whole header, off its place in the file for errors.
func parseMessageHeader(b []byte, off int64) (int64, error) {
	if !bytes.HasPrefix(b, magicPre) {
		return 0, corrupt(off, "message header: magic missing")
	}
	if b[len(b)-1] != '\n' {
		return 0, corrupt(off+int64(len(b))-1, "message header: no line end")
	}
	digits := b[sizeOffset : sizeOffset+16]
	size, err := strconv.ParseUint(string(digits), 16, 63)
	if err != nil {
		return 0, corrupt(off+sizeOffset, "message header: size %q", digits)
	}
	return int64(size), nil
}

// Message says where in a file a message is, and what its metadata tells.
type Message struct {
	Offset     int64 // of its header
	Body       int64 // where the message as stored begins
	StoredSize int64
	End        int64 // behind the metadata: the next message's offset, or the end of the file

	// Cut is how many bytes the message had beyond the end of the file; StoredSize is what is left then.
	Cut int64

	Metadata
}

// PlainSize is the length of the message without compression and with its attachments, as the metadata tells it.
func (m *Message) PlainSize() int64 {
	if m.Plain != Absent {
		return m.Plain
	}
	return m.StoredSize
}

// ReadFileHeader reads the header of a file.
func ReadFileHeader(r io.ReaderAt) (FileHeader, error) {
	var buf [64]byte
	n, err := readAt(r, buf[:], 0)
	if err != nil {
		return FileHeader{}, err
	}
	if bytes.IndexByte(buf[:n], '\n') >= 0 || n < len(buf) {
		return ParseFileHeader(buf[:n])
	}
	long := make([]byte, maxFileHeader)
	if n, err = readAt(r, long, 0); err != nil {
		return FileHeader{}, err
	}
	return ParseFileHeader(long[:n])
}

// ReadMessage reads header and metadata of the message at off in a file of size bytes. When its metadata is damaged, or
// the file ends in the message, the places are filled all the same: Body > 0 tells that the message itself is there.
func (h FileHeader) ReadMessage(r io.ReaderAt, off, size int64) (Message, error) {
	m := Message{Offset: off, Metadata: NoMetadata()}
	var buf [maxFileHeader]byte
	head := buf[:h.MessageHeader]
	n, err := readAt(r, head, off)
	if err != nil {
		return m, err
	}
	if n < len(head) {
		return m, corrupt(off+int64(n), "message header: file ends")
	}
	stored, err := parseMessageHeader(head, off)
	if err != nil {
		return m, err
	}
	body := off + int64(len(head))
	if stored > size-body {
		m.Body, m.StoredSize, m.Cut, m.End = body, size-body, stored-(size-body), size
		return m, corrupt(off+sizeOffset, "message of %d bytes in a file that has %d left", stored, size-body)
	}
	m.Body, m.StoredSize = body, stored
	n, err = m.Metadata.readFrom(r, m.Body+m.StoredSize)
	m.End = m.Body + m.StoredSize + int64(n)
	return m, err
}

// ReadSmall is ReadFileHeader and ReadMessage for a file of one message that is in memory.
func ReadSmall(file []byte) (Message, error) {
	h, err := ParseFileHeader(file)
	if err != nil {
		return Message{}, err
	}
	m := Message{Offset: int64(h.Size), Metadata: NoMetadata()}
	if len(file)-h.Size < h.MessageHeader {
		return m, corrupt(int64(len(file)), "message header: file ends")
	}
	m.Body = m.Offset + int64(h.MessageHeader)
	if m.StoredSize, err = parseMessageHeader(file[m.Offset:m.Body], m.Offset); err != nil {
		return m, err
	}
	if m.StoredSize > int64(len(file))-m.Body {
		return m, corrupt(m.Offset+sizeOffset, "message of %d bytes in a file that has %d left", m.StoredSize, int64(len(file))-m.Body)
	}
	behind := m.Body + m.StoredSize
	block, used := cutBlock(file[behind:])
	if used == 0 {
		return m, corrupt(behind, "metadata: magic missing or no empty line")
	}
	m.Metadata.parse(block)
	m.End = behind + int64(used)
	return m, nil
}

// Packed tells whether the message, of which file holds the beginning at least, is not stored as it is.
func (m *Message) Packed(file []byte) bool {
	stored := file[m.Body:min(m.Body+m.StoredSize, m.Body+int64(compress.MagicSize))]
	return m.Attachments != "" || compress.Detect(stored) != compress.None
}

// readAt fills p as far as the file goes: a short count is no error.
func readAt(r io.ReaderAt, p []byte, off int64) (int, error) {
	n, err := r.ReadAt(p, off)
	if err == io.EOF || n == len(p) {
		err = nil
	}
	return n, err
}
