package scheme

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// The tables of DES (FIPS 46-3), bits counted from 1 at the most significant.
var (
	desInitial = []byte{
		58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8,
		57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
	}
	desFinal = []byte{
		40, 8, 48, 16, 56, 24, 64, 32, 39, 7, 47, 15, 55, 23, 63, 31, 38, 6, 46, 14, 54, 22, 62, 30, 37, 5, 45, 13, 53, 21, 61, 29,
		36, 4, 44, 12, 52, 20, 60, 28, 35, 3, 43, 11, 51, 19, 59, 27, 34, 2, 42, 10, 50, 18, 58, 26, 33, 1, 41, 9, 49, 17, 57, 25,
	}
	desKey = []byte{
		57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
		63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
	}
	desRoundKey = []byte{
		14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
		41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
	}
	desRotations = []int{1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1}
	desP         = []byte{16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25}
)

// desBoxes are the eight S boxes, each in four rows of sixteen.
var desBoxes = [8][64]byte{
	{14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5, 3, 8,
		4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14, 10, 0, 6, 13},
	{15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9, 11, 5,
		0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12, 0, 5, 14, 9},
	{10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11, 15, 1,
		13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3, 11, 5, 2, 12},
	{7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10, 14, 9,
		10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11, 12, 7, 2, 14},
	{2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9, 8, 6,
		4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9, 10, 4, 5, 3},
	{12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11, 3, 8,
		9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7, 6, 0, 8, 13},
	{4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15, 8, 6,
		1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15, 14, 2, 3, 12},
	{13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14, 9, 2,
		7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0, 3, 5, 6, 11},
}

// desMixed are the S boxes followed by P: what six bits of a group become.
var desMixed = sync.OnceValue(func() *[8][64]uint32 {
	var mixed [8][64]uint32
	for box := range mixed {
		for in := range mixed[box] {
			row := in>>4&2 | in&1
			four := uint64(desBoxes[box][16*row+in>>1&15]) << (28 - 4*box)
			mixed[box][in] = uint32(permute(four, 32, desP))
		}
	}
	return &mixed
})

// permute takes the bits of in, which has that width, in the order of the table.
func permute(in uint64, width int, table []byte) (out uint64) {
	for _, from := range table {
		out = out<<1 | in>>(width-int(from))&1
	}
	return out
}

// saltedDES is DES in which a salt swaps bits of one half of each expanded word with those of the other.
type saltedDES struct {
	keys  [16][8]uint32 // of each round, in groups of six bits
	swaps [4]uint32     // which bits of groups 0..3 go where those of groups 4..7 are
}

func newDES(key [8]byte, salt uint32) *saltedDES {
	d := &saltedDES{}
	k := permute(binary.BigEndian.Uint64(key[:]), 64, desKey)
	left, right := uint32(k>>28), uint32(k)&(1<<28-1)
	for round, n := range desRotations {
		left, right = (left<<n|left>>(28-n))&(1<<28-1), (right<<n|right>>(28-n))&(1<<28-1)
		packed := permute(uint64(left)<<28|uint64(right), 56, desRoundKey)
		for group := range d.keys[round] {
			d.keys[round][group] = uint32(packed>>(42-6*group)) & 63
		}
	}
	for group := range d.swaps {
		for bit := range 6 {
			d.swaps[group] |= salt >> (6*group + bit) & 1 << (5 - bit)
		}
	}
	return d
}

// encrypt encrypts a block that many times over.
func (d *saltedDES) encrypt(block uint64, times int) uint64 {
	mixed := desMixed()
	block = permute(block, 64, desInitial)
	l, r := uint32(block>>32), uint32(block)
	for range times {
		for round := range d.keys {
			key := &d.keys[round]
			f := uint32(0)
			for group := range d.swaps {
				a, b := bits.RotateLeft32(r, 4*group+5)&63, bits.RotateLeft32(r, 4*group+21)&63
				swap := (a ^ b) & d.swaps[group]
				f |= mixed[group][a^swap^key[group]] | mixed[group+4][b^swap^key[group+4]]
			}
			l, r = r, l^f
		}
		l, r = r, l
	}
	return permute(uint64(l)<<32|uint64(r), 64, desFinal)
}

// desBlock takes up to eight characters off a password, seven bits of each.
func desBlock(password string) (key [8]byte, rest string) {
	n := min(len(password), 8)
	for i := range n {
		key[i] = password[i] << 1
	}
	return key, password[n:]
}

// desText is 64 bits as eleven digits, the first of the highest bits.
func desText(block uint64) string {
	var out [11]byte
	for i := range out[:10] {
		out[i] = saltAlphabet[block>>(58-6*i)&63]
	}
	out[10] = saltAlphabet[block<<2&63]
	return string(out[:])
}

// digits reads a number of crypt(3), its lowest six bits first.
func digits(s string) (n uint32, ok bool) {
	for i := len(s) - 1; i >= 0; i-- {
		d := digit(s[i])
		if d < 0 {
			return 0, false
		}
		n = n<<6 | uint32(d)
	}
	return n, true
}

func digit(c byte) int {
	switch {
	case c == '.' || c == '/':
		return int(c - '.')
	case c >= '0' && c <= '9':
		return int(c-'0') + 2
	case c >= 'A' && c <= 'Z':
		return int(c-'A') + 12
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 38
	}
	return -1
}

// traditionalDES is crypt(3) of old: two digits of salt, then eleven of hash; eight characters count. A longer hash is
// that of Digital's bigcrypt: each eight characters have a hash, salted by the first two digits of the one before.
func traditionalDES(password, setting string) (string, error) {
	if len(setting) < 2 {
		return "", damaged("crypt() failed: the value is no hash of a known kind")
	}
	salt, ok := digits(setting[:2])
	if !ok {
		return "", damaged("crypt() failed: the value is no hash of a known kind")
	}
	out := setting[:2]
	for range 16 {
		var key [8]byte
		key, password = desBlock(password)
		hash := desText(newDES(key, salt).encrypt(0, 25))
		out += hash
		if password == "" || len(setting) <= 13 {
			break
		}
		salt, _ = digits(hash[:2])
	}
	return out, nil
}

func makeDES(_, password string, _ MakeOptions) ([]byte, error) {
	made, err := crypt3(password, randomSalt(2))
	return []byte(made), err
}

// bsdiDES is BSDi's: "_", four digits of count, four of salt, eleven of hash. All of the password counts: each block of
// it is mixed with the one before, encrypted by itself.
func bsdiDES(password, setting string) (string, error) {
	if len(setting) < 9 {
		return "", damaged("crypt() failed: the value is cut off")
	}
	count, ok1 := digits(setting[1:5])
	salt, ok2 := digits(setting[5:9])
	if !ok1 || !ok2 {
		return "", damaged("crypt() failed: the count or the salt of _ is damaged")
	}
	key, rest := desBlock(password)
	for rest != "" {
		block := newDES(key, 0).encrypt(binary.BigEndian.Uint64(key[:]), 1)
		var next [8]byte
		next, rest = desBlock(rest)
		binary.BigEndian.PutUint64(key[:], block^binary.BigEndian.Uint64(next[:]))
	}
	return setting[:9] + desText(newDES(key, salt).encrypt(0, int(max(count, 1)))), nil
}
