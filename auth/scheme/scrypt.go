package scheme

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/go-crypt/x/yescrypt"
	"golang.org/x/crypto/scrypt"
)

// scryptHash is "$7$", one digit N, five digits r, five digits p, salt, "$", hash: scrypt (RFC 7914) with the salt as
// text and 2^N blocks.
func scryptHash(password, setting string) (string, error) {
	const head = len("$7$") + 1 + 5 + 5
	if len(setting) < head {
		return "", damaged("crypt() failed: the value is cut off")
	}
	n := digit(setting[3])
	r, ok1 := digits(setting[4:9])
	p, ok2 := digits(setting[9:14])
	if n < 1 || !ok1 || !ok2 || r == 0 || p == 0 {
		return "", damaged("crypt() failed: the parameters of $7$ are damaged")
	}
	memory := uint64(128) * uint64(r) << min(n, 32)
	if n > 32 || memory > MaxMemory || uint64(p) > MaxMemoryWork/memory {
		return "", &CostError{"bytes of memory", memory * uint64(p), MaxMemory}
	}
	salt := setting[head:]
	if at := strings.LastIndexByte(salt, '$'); at >= 0 {
		salt = salt[:at]
	}
	if strings.Trim(salt, saltAlphabet+"$") != "" {
		return "", damaged("crypt() failed: the salt of $7$ is damaged")
	}
	key, err := scrypt.Key([]byte(password), []byte(salt), 1<<n, int(r), int(p), 32)
	if err != nil {
		return "", damaged("crypt() failed: the parameters of $7$ are out of range")
	}
	return setting[:head] + salt + "$" + string(yescrypt.Encode64(key)), nil
}

// yescryptHash is "$y$", in the parameters that libxcrypt makes; others are an error. The library bounds its memory by
// MaxMemory.
func yescryptHash(password, setting string) (string, error) {
	out, err := yescrypt.Hash([]byte(password), []byte(setting))
	if err != nil {
		return "", damaged("crypt() failed: cannot be verified here: " + err.Error())
	}
	return string(out), nil
}

// gostYescrypt is "$gy$": what "$y$" gives is the message of two nested HMACs with the hash GOST R 34.11-2012.
//
//	HMAC(HMAC(GOST(password), "$gy$params$salt"), yescrypt)
func gostYescrypt(password, setting string) (string, error) {
	plain, err := yescryptHash(password, "$y$"+setting[len("$gy$"):])
	if err != nil {
		return "", err
	}
	at := strings.LastIndexByte(plain, '$')
	inner := yescrypt.Decode64([]byte(plain[at+1:]))
	hashed := gost256([]byte(password))
	salted := gostHMAC(hashed, []byte("$g"+plain[1:at]))
	out := gostHMAC(salted, inner)
	return "$g" + plain[1:at+1] + string(yescrypt.Encode64(out)), nil
}

func gostHMAC(key, message []byte) []byte {
	outer, inner := bytes.Repeat([]byte{0x5c}, 64), bytes.Repeat([]byte{0x36}, 64)
	for i, b := range key {
		outer[i] ^= b
		inner[i] ^= b
	}
	return gost256(append(outer, gost256(append(inner, message...))...))
}

type gostBlock [8]uint64

func (x gostBlock) xor(y gostBlock) gostBlock {
	for i := range x {
		x[i] ^= y[i]
	}
	return x
}

// plus is the sum modulo 2^512.
func (x gostBlock) plus(y gostBlock) gostBlock {
	carry := uint64(0)
	for i := range x {
		sum := x[i] + y[i]
		over := sum < x[i]
		x[i] = sum + carry
		if over || x[i] < sum {
			carry = 1
		} else {
			carry = 0
		}
	}
	return x
}

// mix is the substitution, the transposition and the linear map of GOST R 34.11-2012 (RFC 6986, section 6).
func (x gostBlock) mix(tables *[8][256]uint64) (out gostBlock) {
	for i := range out {
		for j, word := range x {
			out[i] ^= tables[j][byte(word>>(8*i))]
		}
	}
	return out
}

// gostCompress is the function g of RFC 6986, section 8.
func gostCompress(h, n, m gostBlock) gostBlock {
	tables := gostTables()
	key := h.xor(n).mix(tables)
	state := m
	for _, c := range gostRounds {
		state = state.xor(key).mix(tables)
		key = key.xor(c).mix(tables)
	}
	return state.xor(key).xor(h).xor(m)
}

// gost256 is GOST R 34.11-2012 with 256 bits, known as Streebog (RFC 6986).
func gost256(message []byte) []byte {
	var h, n, sum, zero gostBlock
	for i := range h {
		h[i] = 0x0101010101010101
	}
	for ; len(message) >= 64; message = message[64:] {
		m := gostRead(message)
		h = gostCompress(h, n, m)
		n = n.plus(gostBlock{512})
		sum = sum.plus(m)
	}
	last := append(bytes.Clone(message), 1)
	m := gostRead(append(last, make([]byte, 64-len(last))...))
	h = gostCompress(h, n, m)
	n = n.plus(gostBlock{uint64(8 * len(message))})
	sum = sum.plus(m)
	h = gostCompress(gostCompress(h, zero, n), zero, sum)
	out := make([]byte, 0, 32)
	for _, word := range h[4:] {
		out = binary.LittleEndian.AppendUint64(out, word)
	}
	return out
}

func gostRead(b []byte) (block gostBlock) {
	for i := range block {
		block[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return block
}
