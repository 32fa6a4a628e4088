package imapwire

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// MaxLine is how much of one command is held in memory when Decoder.Limit is 0: Dovecot's imap_max_line_length.
const MaxLine = 64 << 10

// SyntaxError is what is wrong with one command.
type SyntaxError struct {
	Tag     string // "" if there was none that could be used
	Command string // "FETCH", "UID FETCH"; "" unknown
	Text    string // "Missing ')'"

	// Fatal: the client goes on to send what nobody will read (Decoder.Skip). The connection has to end, because where
	// the next command begins is not known.
	Fatal bool
}

func (e *SyntaxError) Error() string {
	if e.Command == "" {
		return e.Text
	}
	return e.Command + ": " + e.Text
}

// ErrNoCommand is the error of a stream that ends between two commands.
var ErrNoCommand = io.EOF

// Decoder reads commands. It is used by one goroutine. While it waits for a command it holds no buffer.
type Decoder struct {
	// Continue asks the client to go on, with "+ OK" or the like, and sends everything written before.
	Continue func() error

	// Limit is how many bytes of one command are held in memory, its line and its literals together; 0: MaxLine.
	Limit int

	// Plus and Minus: literals that are not waited for ("{5+}") may have any length, or 4,096 bytes (RFC 7888). Without
	// either they are refused.
	Plus, Minus bool

	// Skip is how many bytes of one refused command are read and dropped, those of literals that are not waited for among
	// them; 0: any number. A literal that is longer is not read at all, and neither is an argument above Limit.
	Skip uint64

	src     io.Reader
	buf     []byte // pooled, or small; nil while nothing is read
	pos     int
	end     int
	small   [128]byte
	left    int // bytes that the command may still have
	skipped uint64
	err     error // the first one of this command
	tag     string
	name    string
	literal *Literal // of APPEND, not read to its end yet
	atEnd   bool     // the command's line end was read
	begun   bool     // a command was begun by Next
}

// NewDecoder reads from src.
func NewDecoder(src io.Reader) *Decoder { return &Decoder{src: src, Plus: true} }

const bufferSize = 16 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// Buffered gives what was read from the stream and not used, and forgets it: after STARTTLS and COMPRESS it is not to be
// taken for what the client says then.
func (d *Decoder) Buffered() []byte {
	rest := append([]byte(nil), d.buf[d.pos:d.end]...)
	d.pos = d.end
	d.release()
	return rest
}

// Reset makes the decoder read from another stream.
func (d *Decoder) Reset(src io.Reader) { d.src = src }

// Pending tells whether a part of the next command was read already.
func (d *Decoder) Pending() bool { return d.pos < d.end }

// Wait waits until something can be read, and takes it into the buffer. Unlike with the other methods the stream's error
// may be a deadline after which it is used again.
func (d *Decoder) Wait() error {
	if d.pos < d.end {
		return nil
	}
	d.release()
	if w, ok := d.src.(interface{ Wait() error }); ok { // one that errors do harm to
		return w.Wait()
	}
	err := d.fill()
	if err != nil {
		d.buf = nil
	}
	return err
}

// release gives the buffer back when it is empty.
func (d *Decoder) release() {
	if d.pos < d.end {
		return
	}
	if cap(d.buf) == bufferSize {
		b := d.buf[:bufferSize]
		buffers.Put(&b)
	}
	d.buf, d.pos, d.end = nil, 0, 0
}

// fill reads more. The first bytes of a command come into the small buffer, because most have no others.
func (d *Decoder) fill() error {
	switch {
	case d.buf == nil:
		d.buf, d.pos, d.end = d.small[:], 0, 0
	case d.pos == d.end && len(d.buf) == len(d.small):
		b := *buffers.Get().(*[]byte)
		d.buf, d.pos, d.end = b, 0, 0
	case d.pos == d.end:
		d.pos, d.end = 0, 0
	}
	for range 100 {
		n, err := d.src.Read(d.buf[d.end:])
		d.end += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// fail notes what is wrong with the command, if nothing was before.
func (d *Decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = &SyntaxError{Tag: d.tag, Command: d.name, Text: fmt.Sprintf(format, args...)}
	}
}

// peek gives the next byte; 0 after an error. Line ends are '\n'.
func (d *Decoder) peek() byte {
	if d.err != nil {
		return 0
	}
	if d.pos == d.end {
		if err := d.fill(); err != nil {
			d.err = unexpected(err)
			return 0
		}
	}
	return d.buf[d.pos]
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skip goes past a byte that peek gave.
func (d *Decoder) skip() {
	d.pos++
	if d.left--; d.left < 0 {
		d.fail("Command line too long")
	}
}

// accept goes past b if it is next.
func (d *Decoder) accept(b byte) bool {
	if d.peek() != b || d.err != nil {
		return false
	}
	d.skip()
	return d.err == nil
}

// lineEnd goes past CRLF, or LF alone, if it is next.
func (d *Decoder) lineEnd() bool {
	switch d.peek() {
	case '\n':
		d.skip()
	case '\r':
		d.skip()
		if !d.accept('\n') {
			d.fail("CR sent without LF")
			return false
		}
	default:
		return false
	}
	d.atEnd = true
	return true
}

// tooMuch ends the reading of a command of which more would have to be dropped than is worth it.
func (d *Decoder) tooMuch(text string) error {
	return &SyntaxError{Tag: d.tag, Command: d.name, Text: text, Fatal: true}
}

// limit is how much of a command is held.
func (d *Decoder) limit() int {
	if d.Limit == 0 {
		return MaxLine
	}
	return d.Limit
}

// allow counts bytes that are to be dropped.
func (d *Decoder) allow(n uint64) bool {
	if d.Skip > 0 && n > d.Skip-min(d.skipped, d.Skip) {
		return false
	}
	d.skipped += n
	return true
}

const (
	tooLongLiteral = "Literal size too large"
	tooLongInput   = "Input buffer full, aborting" // Dovecot's words
)

// discard passes over what is left of a command, with the literals that the client did not wait for with.
func (d *Decoder) discard() error {
	if d.literal != nil {
		if _, err := io.Copy(io.Discard, d.literal); err != nil {
			return err
		}
		d.literal = nil
	}
	var tail lastLiteral
	for !d.atEnd {
		if d.pos == d.end {
			if err := d.fill(); err != nil {
				return unexpected(err)
			}
		}
		b := d.buf[d.pos]
		d.pos++
		if !d.allow(1) {
			return d.tooMuch(tooLongInput)
		}
		if b != '\n' {
			tail.add(b)
			continue
		}
		size, announced := tail.size()
		if !announced {
			d.atEnd = true
			break
		}
		if err := d.refuse(size); err != nil {
			return err
		}
		tail = lastLiteral{}
	}
	return nil
}

// refuse drops a literal that is not waited for, if it is short enough for that.
func (d *Decoder) refuse(size uint64) error {
	if !d.allow(size) {
		return d.tooMuch(tooLongLiteral)
	}
	return d.drop(size)
}

// drop passes over bytes of a literal.
func (d *Decoder) drop(n uint64) error {
	for n > 0 {
		if d.pos == d.end {
			if err := d.fill(); err != nil {
				return unexpected(err)
			}
		}
		have := min(uint64(d.end-d.pos), n)
		d.pos += int(have)
		n -= have
	}
	return nil
}

// lastLiteral sees whether a line ends with "{5+}".
type lastLiteral struct {
	state  int // 0 outside, 1 behind "{", 2 behind "+", 3 behind "}"
	digits int
	n      uint64
}

func (l *lastLiteral) add(b byte) {
	switch {
	case b == '{':
		*l = lastLiteral{state: 1}
	case l.state == 1 && b >= '0' && b <= '9' && l.digits < 19:
		l.n, l.digits = l.n*10+uint64(b-'0'), l.digits+1
	case l.state == 1 && b == '+' && l.digits > 0:
		l.state = 2
	case l.state == 2 && b == '}':
		l.state = 3
	case l.state == 3 && b == '\r':
	default:
		l.state = 0
	}
}

func (l *lastLiteral) size() (uint64, bool) { return l.n, l.state == 3 }
