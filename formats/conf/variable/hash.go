package variable

import (
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"strconv"
	"strings"
)

// maxRounds bounds the work that a template may ask for.
const maxRounds = 1_000_000

// hashes are the methods of lib/hash-method.c in 2.3.19 and 2.4.4.
var hashes = map[string]func() hash.Hash{
	"md4":      newMD4,
	"md5":      md5.New,
	"sha1":     sha1.New,
	"sha256":   sha256.New,
	"sha384":   sha512.New384,
	"sha512":   sha512.New,
	"sha3-256": func() hash.Hash { return sha3.New256() },
	"sha3-512": func() hash.Hash { return sha3.New512() },
	"size":     func() hash.Hash { return new(size) },
}

// size is the method that counts bytes: 8 of them, the highest first.
type size uint64

func (s *size) Write(b []byte) (int, error) { *s += size(len(b)); return len(b), nil }
func (s *size) Sum(b []byte) []byte         { return binary.BigEndian.AppendUint64(b, uint64(*s)) }
func (s *size) Reset()                      { *s = 0 }
func (s *size) Size() int                   { return 8 }
func (s *size) BlockSize() int              { return 1 }

// digest hashes salt and data; each further round takes the last result as
// data.
func digest(method func() hash.Hash, salt, data string, rounds int64) string {
	h := method()
	sum := []byte(data)
	for range rounds {
		h.Reset()
		h.Write([]byte(salt))
		h.Write(sum)
		sum = h.Sum(nil)
	}
	return string(sum)
}

// truncateBits keeps the leading bits and shifts them to the right end of
// their bytes. Nothing happens if there are fewer.
func truncateBits(s string, bits int64) string {
	if int64(len(s))*8 < bits {
		return s
	}
	b := []byte(s[:(bits+7)/8])
	left := bits % 8
	if left == 0 {
		return string(b)
	}
	for i := len(b) - 1; i >= 0; i-- {
		b[i] >>= 8 - left
		if i > 0 {
			b[i] |= b[i-1] << left
		}
	}
	return string(b)
}

// hashing is %{sha1;options:name} of 2.x.
type hashing struct {
	method func() hash.Hash
	pkcs5  bool
	of     source
	rounds int64
	salt   *Template
	bits   int64
	base64 bool
	plain  string // the salt of pkcs5 if none is given: the name of the variable
	algo   string
}

// pkcs5Size is how many bytes pkcs5 gives: the size of a structure in
// Dovecot's memory, which became part of the interface.
const pkcs5Size = 336

// hash parses the options of a hash. Dovecot takes the salt as the last one
// and ignores what follows it, as it does words that it does not know.
func (p *parser23) hash(algo, options, of string) (source, error) {
	h := &hashing{method: hashes[algo], rounds: 1, algo: algo}
	if algo == "pkcs5" {
		h.method, h.pkcs5, h.rounds, h.plain = sha256.New, true, 2048, of
	}
	var err error
	if h.of, err = p.long(of); err != nil {
		return nil, err
	}
	for option := range strings.SplitSeq(options, ",") {
		key, value, found := strings.Cut(option, "=")
		if !found {
			continue
		}
		if key == "salt" {
			h.salt, err = p.template(value)
			return h, err
		}
		if err := h.option(key, value); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *hashing) option(key, value string) (err error) {
	switch key {
	case "rounds":
		h.rounds, err = positive(value, "rounds")
		switch {
		case err != nil:
		case h.rounds < 1:
			err = errors.New("Cannot parse hash arguments:rounds must be at least 1")
		case h.rounds > maxRounds:
			err = errors.New("Cannot parse hash arguments:too many rounds")
		}
	case "truncate":
		h.bits, err = positive(value, "truncbits")
	case "format":
		// hexuc prints lower case in 2.3.19 too.
		h.base64 = value == "base64"
		if value != "hex" && value != "hexuc" && value != "base64" {
			err = errors.New("Cannot parse hash arguments:'" + value + "' is not supported format")
		}
	}
	return err
}

func positive(s, what string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, errors.New("Cannot parse hash arguments:'" + s + "' is not number for " + what)
	}
	return int64(n), nil
}

func (h *hashing) get(l Lookup) (string, error) {
	value, err := h.of.get(l)
	if err != nil {
		return "", err
	}
	salt := h.plain
	if h.salt != nil {
		if salt, err = h.salt.Expand(l); err != nil && !errors.Is(err, ErrUnknown) {
			return "", err
		}
	}
	var sum string
	if h.pkcs5 {
		key, err := pbkdf2.Key(h.method, value, []byte(salt), int(h.rounds), pkcs5Size)
		if err != nil {
			return "", errors.New("Cannot hash: PKCS5_PBKDF2 failed")
		}
		sum = string(key)
	} else {
		sum = digest(h.method, salt, value, h.rounds)
	}
	if h.bits > 0 {
		sum = truncateBits(sum, min(h.bits, int64(h.method().Size())*8))
	}
	if h.base64 {
		return base64.StdEncoding.EncodeToString([]byte(sum)), nil
	}
	return hex.EncodeToString([]byte(sum)), nil
}
