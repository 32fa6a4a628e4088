package compress

import "math/bits"

// huffman is a set of codes as deflate has them: those of one length are consecutive numbers (RFC 1951 section 3.2.2).
type huffman struct {
	count   [maxCode + 1]uint16 // codes of each length
	symbols [maxSymbols]uint16  // in order of their codes
	short   [1 << shortCode]uint16
}

const (
	maxCode    = 15  // bits of the longest code
	maxSymbols = 288 // of the largest set
	shortCode  = 8   // codes of so many bits are found at once; an entry is symbol<<4 | length
)

// set makes the codes of their lengths, one for each symbol, 0 for those that do not occur. False if there are more
// codes than fit.
func (h *huffman) set(lengths []uint8) bool {
	*h = huffman{}
	for _, l := range lengths {
		h.count[l]++
	}
	h.count[0] = 0
	var index, next [maxCode + 2]int
	for l := 1; l <= maxCode; l++ {
		index[l+1] = index[l] + int(h.count[l])
		next[l+1] = (next[l] + int(h.count[l])) << 1
		if next[l]+int(h.count[l]) > 1<<l {
			return false
		}
	}
	for symbol, l := range lengths {
		if l == 0 {
			continue
		}
		h.symbols[index[l]] = uint16(symbol)
		index[l]++
		if l <= shortCode {
			code := int(bits.Reverse16(uint16(next[l])) >> (16 - l))
			for ; code < len(h.short); code += 1 << l {
				h.short[code] = uint16(symbol)<<4 | uint16(l)
			}
		}
		next[l]++
	}
	return true
}

// decode gives the symbol at the beginning of n bits, the first one lowest, and how many bits its code has: 0 if they
// are too few. The symbol is -1 if there is no such code.
func (h *huffman) decode(b uint64, n uint) (symbol int, used uint) {
	if e := h.short[b&(1<<shortCode-1)]; e != 0 && uint(e&15) <= n {
		return int(e >> 4), uint(e & 15)
	}
	code, first, index := 0, 0, 0
	for l := uint(1); l <= maxCode; l++ {
		if l > n {
			return 0, 0
		}
		code |= int(b>>(l-1)) & 1
		count := int(h.count[l])
		if code-first < count {
			return int(h.symbols[index+code-first]), l
		}
		index, first, code = index+count, (first+count)<<1, code<<1
	}
	return -1, maxCode
}

var fixedCodes, fixedDistances = fixed()

// fixed are the codes that everybody knows (section 3.2.6).
func fixed() (codes, distances huffman) {
	lengths := make([]uint8, maxSymbols)
	for i := range lengths {
		switch {
		case i < 144, i >= 280:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		default:
			lengths[i] = 7
		}
	}
	codes.set(lengths)
	for i := range lengths[:30] {
		lengths[i] = 5
	}
	distances.set(lengths[:30])
	return codes, distances
}

// lengthOrder is the order in which the lengths of the codes of code lengths come (section 3.2.7).
var lengthOrder = [...]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads codes that a block brings along. They are read in one go: whoever sends a part of them has more to send.
func (f *Inflater) dynamic([]byte) int {
	if f.looking { // its codes may not all have come
		f.begun = true
		return f.wants()
	}
	literals, distances, codes := int(f.take(5))+257, int(f.take(5))+1, int(f.take(4))+4
	var lengths [maxSymbols + 32]uint8
	for _, i := range lengthOrder[:codes] {
		lengths[i] = uint8(f.take(3))
	}
	var h huffman
	if f.err != nil || literals > 286 || distances > 30 || !h.set(lengths[:19]) {
		return f.damaged()
	}
	lengths = [maxSymbols + 32]uint8{}
	for i := 0; i < literals+distances; {
		i = f.codeLength(&h, lengths[:literals+distances], i)
		if f.err != nil {
			return 0
		}
	}
	if lengths[endOfBlock] == 0 || !f.codes.set(lengths[:literals]) || !f.distances.set(lengths[literals:literals+distances]) {
		return f.damaged()
	}
	f.step = (*Inflater).symbols
	return 0
}

// damaged ends the stream, unless it is at an end already.
func (f *Inflater) damaged() int {
	if f.err == nil {
		f.err = errDeflate
	}
	return 0
}

// codeLength reads one length, or says how often one is repeated, and gives where the next one goes.
func (f *Inflater) codeLength(h *huffman, lengths []uint8, i int) int {
	symbol, used := h.decode(f.bits, f.n)
	for used == 0 && f.err == nil {
		f.pull()
		symbol, used = h.decode(f.bits, f.n)
	}
	if f.err != nil {
		return i
	}
	f.use(used)
	value, times := uint8(0), 0
	switch symbol {
	case 16:
		if i > 0 {
			value = lengths[i-1]
		} else {
			f.damaged()
		}
		times = 3 + int(f.take(2))
	case 17:
		times = 3 + int(f.take(3))
	case 18:
		times = 11 + int(f.take(7))
	case -1:
		f.damaged()
	default:
		value, times = uint8(symbol), 1
	}
	if i+times > len(lengths) {
		f.damaged()
		return i
	}
	for range times {
		lengths[i] = value
		i++
	}
	return i
}

// take gives some bits, and waits for them.
func (f *Inflater) take(n uint) uint64 {
	for f.n < n && f.err == nil {
		f.pull()
	}
	v := f.bits & (1<<n - 1)
	if f.err == nil {
		f.use(n)
	}
	return v
}

// pull gets eight more bits.
func (f *Inflater) pull() {
	b, err := f.in.ReadByte()
	if err != nil {
		f.err = err
		return
	}
	f.bits |= uint64(b) << f.n
	f.n += 8
}
