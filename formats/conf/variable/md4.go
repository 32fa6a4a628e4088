package variable

import (
	"encoding/binary"
	"hash"
	"math/bits"
)

// md4 is the digest of RFC 1320, which the standard library does not have. It
// keeps all input until the sum is asked for: what is hashed here is short.
type md4 struct{ data []byte }

func newMD4() hash.Hash { return new(md4) }

func (m *md4) Write(b []byte) (int, error) { m.data = append(m.data, b...); return len(b), nil }
func (m *md4) Reset()                      { m.data = m.data[:0] }
func (m *md4) Size() int                   { return 16 }
func (m *md4) BlockSize() int              { return 64 }

// Sum pads with 0x80, zeros and the length in bits (section 3.1 and 3.2).
func (m *md4) Sum(out []byte) []byte {
	b := append([]byte(nil), m.data...)
	b = append(b, 0x80)
	for len(b)%64 != 56 {
		b = append(b, 0)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(len(m.data))*8)
	state := [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}
	for ; len(b) > 0; b = b[64:] {
		md4Block(&state, b[:64])
	}
	for _, word := range state {
		out = binary.LittleEndian.AppendUint32(out, word)
	}
	return out
}

// md4Rounds are the rounds of section 3.4: order of words and shifts.
var md4Rounds = [3]struct {
	words  [16]int
	shifts [4]int
	add    uint32
}{
	{[16]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, [4]int{3, 7, 11, 19}, 0},
	{[16]int{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15}, [4]int{3, 5, 9, 13}, 0x5a827999},
	{[16]int{0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15}, [4]int{3, 9, 11, 15}, 0x6ed9eba1},
}

func md4Block(state *[4]uint32, block []byte) {
	s := *state
	for round, r := range md4Rounds {
		for i, word := range r.words {
			// a, b, c, d change places with every step
			a, b, c, d := (16-i)%4, (17-i)%4, (18-i)%4, (19-i)%4
			var f uint32
			switch round {
			case 0:
				f = s[b]&s[c] | ^s[b]&s[d]
			case 1:
				f = s[b]&s[c] | s[b]&s[d] | s[c]&s[d]
			default:
				f = s[b] ^ s[c] ^ s[d]
			}
			x := binary.LittleEndian.Uint32(block[4*word:])
			s[a] = bits.RotateLeft32(s[a]+f+x+r.add, r.shifts[i%4])
		}
	}
	for i := range state {
		state[i] += s[i]
	}
}
