package compress

import (
	"bufio"
	"errors"
	"io"
)

// Inflater reads raw deflate (RFC 1951) as it comes over a connection: what can be expanded of the bytes that have come
// is given at once. Go's own reader holds it back until it meets an empty stored block, which some clients never send:
// mbsync 1.4 ends what it says with an empty block of fixed codes (Z_PARTIAL_FLUSH of zlib).
//
// It is used by one goroutine and holds some 40 KB.
type Inflater struct {
	in   *bufio.Reader
	bits uint64 // taken from in and not used, the next one lowest
	n    uint   // how many
	err  error

	ahead   []byte   // expanded by Wait
	room    [64]byte // of ahead
	looking bool     // in Wait: nothing may wait for bytes
	begun   bool     // a block began that only Read can go on with

	step  func(*Inflater, []byte) int // what comes next; it gives how many bytes it has put out, or needs more bits
	more  bool                        // the step cannot go on without more bits
	final bool                        // the block is the last one

	window [windowSize]byte
	at     int // where the next byte goes
	filled bool

	stored         int // bytes of a stored block that are to come
	length, behind int // of a repetition that is going on

	codes, distances huffman
}

// windowSize is how far back repetitions reach.
const windowSize = 1 << 15

var errDeflate = errors.New("the compressed data is damaged")

// NewInflater reads from r. What is expanded is as long as its maker likes: the reader must have limits.
func NewInflater(r io.Reader) *Inflater {
	return &Inflater{in: bufio.NewReaderSize(r, 1024), step: (*Inflater).header}
}

// Read gives expanded bytes: what there is, and at least one.
func (f *Inflater) Read(p []byte) (int, error) {
	if len(f.ahead) > 0 {
		n := copy(p, f.ahead)
		f.ahead = f.ahead[n:]
		return n, nil
	}
	f.begun = false
	done := 0
	for done < len(p) && f.err == nil {
		f.gather()
		f.more = false
		n := f.step(f, p[done:])
		done += n
		if !f.more || f.err != nil {
			continue
		}
		if done > 0 && f.in.Buffered() == 0 {
			break
		}
		b, err := f.in.ReadByte()
		if err != nil {
			f.err = err
			break
		}
		f.bits |= uint64(b) << f.n
		f.n += 8
	}
	if done > 0 || len(p) == 0 {
		return done, nil
	}
	return 0, f.err
}

// Wait waits until there is something to read: bytes that only end what was said before are nothing. Its error is that of
// the stream and does no harm: after a deadline it can be called again, while one during Read is the end.
func (f *Inflater) Wait() error {
	for !f.begun && len(f.ahead) == 0 && f.err == nil {
		if f.look(); f.begun || len(f.ahead) > 0 || f.err != nil {
			break
		}
		if _, err := f.in.Peek(1); err != nil {
			return err
		}
	}
	return nil
}

// look expands what has come.
func (f *Inflater) look() {
	f.looking = true
	defer func() { f.looking = false }()
	done := 0
	for done < len(f.room) && f.err == nil && !f.begun {
		f.gather()
		f.more = false
		done += f.step(f, f.room[done:])
		if f.more && f.err == nil && !f.begun {
			if f.in.Buffered() == 0 {
				break
			}
			b, _ := f.in.ReadByte() // it is there
			f.bits |= uint64(b) << f.n
			f.n += 8
		}
	}
	f.ahead = f.room[:done]
}

// gather takes bits that are there already. A repetition has at most 48 bits, the header of a stored block 42.
func (f *Inflater) gather() {
	if f.n >= 48 {
		return
	}
	there := min(int(64-f.n)/8, f.in.Buffered())
	next, _ := f.in.Peek(there) // what is buffered is no error
	for _, b := range next {
		f.bits |= uint64(b) << f.n
		f.n += 8
	}
	f.in.Discard(len(next))
}

func (f *Inflater) use(n uint) {
	f.bits >>= n
	f.n -= n
}

// fail ends the stream.
func (f *Inflater) fail(err error) int {
	f.err = err
	return 0
}

// wants says that nothing can be done without more bits.
func (f *Inflater) wants() int {
	f.more = true
	return 0
}

// header begins a block (section 3.2.3).
func (f *Inflater) header([]byte) int {
	if f.final {
		return f.fail(io.EOF)
	}
	if f.n < 3 {
		return f.wants()
	}
	final, kind := f.bits&1 != 0, f.bits>>1&3
	switch kind {
	case 0:
		skip := (f.n - 3) % 8 // to the next byte
		if f.n < 3+skip+32 {
			return f.wants()
		}
		length := f.bits >> (3 + skip) & 0xffff
		if length != ^f.bits>>(3+skip+16)&0xffff {
			return f.fail(errDeflate)
		}
		f.use(3 + skip + 32)
		f.stored, f.step = int(length), (*Inflater).copyStored
	case 1:
		f.use(3)
		f.codes, f.distances = fixedCodes, fixedDistances
		f.step = (*Inflater).symbols
	case 2:
		f.use(3)
		f.step = (*Inflater).dynamic
	default:
		return f.fail(errDeflate)
	}
	f.final = final
	return 0
}

// copyStored gives what a block has as it is.
func (f *Inflater) copyStored(p []byte) (n int) {
	for ; n < len(p) && f.stored > 0; n++ {
		if f.n < 8 {
			f.wants()
			return n
		}
		p[n] = byte(f.bits)
		f.use(8)
		f.keep(p[n])
		f.stored--
		f.gather()
	}
	if f.stored == 0 {
		f.step = (*Inflater).header
	}
	return n
}

func (f *Inflater) keep(b byte) {
	f.window[f.at] = b
	if f.at = (f.at + 1) % windowSize; f.at == 0 {
		f.filled = true
	}
}

// The lengths and distances of repetitions, with how many bits are behind each code (section 3.2.5).
var (
	lengthBase   = [...]int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthBits   = [...]uint{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distanceBase = [...]int{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distanceBits = [...]uint{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

const endOfBlock = 256

// symbols gives what the codes of a block stand for.
func (f *Inflater) symbols(p []byte) (n int) {
	for n < len(p) {
		if f.length > 0 {
			n += f.repeat(p[n:])
			continue
		}
		f.gather()
		symbol, used := f.codes.decode(f.bits, f.n)
		switch {
		case used == 0:
			f.wants()
			return n
		case symbol < 0 || symbol > endOfBlock+len(lengthBase):
			f.fail(errDeflate)
			return n
		case symbol < endOfBlock:
			f.use(used)
			p[n] = byte(symbol)
			f.keep(p[n])
			n++
		case symbol == endOfBlock:
			f.use(used)
			f.step = (*Inflater).header
			return n
		case !f.repetition(symbol-endOfBlock-1, used):
			return n
		}
	}
	return n
}

// repetition reads the rest of one: bits of its length, the code of its distance and bits of that. Nothing of it is
// used before all of it is there.
func (f *Inflater) repetition(code int, used uint) bool {
	bits, n := f.bits>>used, f.n-used
	length := lengthBase[code] + int(bits&(1<<lengthBits[code]-1))
	if n < lengthBits[code] {
		f.wants()
		return false
	}
	bits, n = bits>>lengthBits[code], n-lengthBits[code]
	symbol, more := f.distances.decode(bits, n)
	switch {
	case more == 0:
		f.wants()
		return false
	case symbol < 0 || symbol >= len(distanceBase):
		f.fail(errDeflate)
		return false
	}
	bits, n = bits>>more, n-more
	if n < distanceBits[symbol] {
		f.wants()
		return false
	}
	behind := distanceBase[symbol] + int(bits&(1<<distanceBits[symbol]-1))
	if behind > f.at && !f.filled {
		f.fail(errDeflate)
		return false
	}
	f.use(f.n - n + distanceBits[symbol])
	f.length, f.behind = length, behind
	return true
}

// repeat gives bytes that were given before.
func (f *Inflater) repeat(p []byte) (n int) {
	for ; n < len(p) && f.length > 0; n++ {
		p[n] = f.window[(f.at-f.behind+windowSize)%windowSize]
		f.keep(p[n])
		f.length--
	}
	return n
}
