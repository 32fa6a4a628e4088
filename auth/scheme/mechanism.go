package scheme

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// contextSize is that of what CRAM-MD5 stores: the states of MD5 after the inner and the outer padded key of HMAC
// (RFC 2104), 16 bytes each.
const contextSize = 2 * md5.Size

func makeContext(_, password string) ([]byte, error) {
	key := []byte(password)
	if len(key) > md5.BlockSize {
		sum := md5.Sum(key)
		key = sum[:]
	}
	outer, inner := make([]byte, md5.BlockSize), make([]byte, md5.BlockSize)
	copy(outer, key)
	copy(inner, key)
	for i := range outer {
		outer[i] ^= 0x5c
		inner[i] ^= 0x36
	}
	// The order is that of hmac_md5_get_cram_context of Dovecot: outer first.
	return append(md5State(outer), md5State(inner)...), nil
}

// md5Magic begins the marshalled state of crypto/md5; the four words follow, big endian, MD5's own are little endian.
const md5Magic = "md5\x01"

func md5State(block []byte) []byte {
	h := md5.New()
	h.Write(block)
	b, _ := h.(encoding.BinaryMarshaler).MarshalBinary()
	state := make([]byte, md5.Size)
	for i := 0; i < md5.Size; i += 4 {
		binary.LittleEndian.PutUint32(state[i:], binary.BigEndian.Uint32(b[len(md5Magic)+i:]))
	}
	return state
}

// md5From goes on from a state after one block.
func md5From(state []byte) hash.Hash {
	b := make([]byte, len(md5Magic)+md5.Size+md5.BlockSize+8)
	copy(b, md5Magic)
	for i := 0; i < md5.Size; i += 4 {
		binary.BigEndian.PutUint32(b[len(md5Magic)+i:], binary.LittleEndian.Uint32(state[i:]))
	}
	binary.BigEndian.PutUint64(b[len(b)-8:], md5.BlockSize)
	h := md5.New()
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(b); err != nil {
		panic(err) // the form of crypto/md5's state has changed: tests have shown it before
	}
	return h
}

// HMACMD5 is HMAC-MD5 of a message with the key of CRAM-MD5 (or HMAC-MD5) credentials: what a client answers.
func (p Password) HMACMD5(message []byte) ([]byte, error) {
	if len(p.Raw) != contextSize {
		return nil, damaged(fmt.Sprintf("Input length isn't valid (%d instead of %d)", len(p.Raw), contextSize))
	}
	inner, outer := md5From(p.Raw[md5.Size:]), md5From(p.Raw[:md5.Size])
	inner.Write(message)
	outer.Write(inner.Sum(nil))
	return outer.Sum(nil), nil
}

// makeDigestMD5 is MD5(user:realm:password) of RFC 2831; the realm is what follows the last "@" of the name.
func makeDigestMD5(user, password string) ([]byte, error) {
	if user == "" {
		return nil, errNoUser
	}
	realm := ""
	if at := strings.LastIndexByte(user, '@'); at >= 0 {
		user, realm = user[:at], user[at+1:]
	}
	sum := md5.Sum([]byte(user + ":" + realm + ":" + password))
	return sum[:], nil
}

// Keys are what is stored for SCRAM (RFC 5802): "iterations,salt,StoredKey,ServerKey", the last three in base64.
type Keys struct {
	Iterations           int
	Salt                 []byte
	StoredKey, ServerKey []byte
}

// Keys takes SCRAM credentials apart.
func (p Password) Keys() (Keys, error) {
	switch p.Scheme {
	case scramSHA1.name:
		return scramSHA1.parse(p.Raw)
	case scramSHA256.name:
		return scramSHA256.parse(p.Raw)
	}
	return Keys{}, ErrUnknown
}

type scram struct {
	name string
	hash func() hash.Hash
	size int
}

var (
	scramSHA1   = scram{"SCRAM-SHA-1", sha1.New, sha1.Size}
	scramSHA256 = scram{"SCRAM-SHA-256", sha256.New, sha256.Size}
)

// scramMinimum is the least count of iterations that Dovecot takes (and RFC 5802, section 5.1, recommends); it is that
// of new keys too.
const scramMinimum = 4096

func (s scram) parse(raw []byte) (Keys, error) {
	fields := strings.Split(string(raw), ",")
	if len(fields) != 4 {
		return Keys{}, damaged("Invalid " + s.name + " passdb entry format")
	}
	n, err := strconv.ParseUint(fields[0], 10, 31)
	if err != nil || n < scramMinimum {
		return Keys{}, damaged("Invalid " + s.name + " iteration count in passdb")
	}
	if err := atMost("iterations", n, MaxIterations); err != nil {
		return Keys{}, err
	}
	k := Keys{Iterations: int(n)}
	if k.Salt, err = base64.StdEncoding.DecodeString(fields[1]); err != nil {
		return Keys{}, damaged("Invalid " + s.name + " salt in passdb")
	}
	if k.StoredKey, err = base64.StdEncoding.DecodeString(fields[2]); err != nil || len(k.StoredKey) != s.size {
		return Keys{}, damaged("Invalid " + s.name + " StoredKey in passdb")
	}
	if k.ServerKey, err = base64.StdEncoding.DecodeString(fields[3]); err != nil || len(k.ServerKey) != s.size {
		return Keys{}, damaged("Invalid " + s.name + " ServerKey in passdb")
	}
	return k, nil
}

// keys are derived from the password's bytes as they are: Dovecot does not prepare them (RFC 4013) either.
func (s scram) keys(password string, salt []byte, iterations int) (Keys, error) {
	saltedPassword, err := pbkdf2.Key(s.hash, password, salt, iterations, s.size)
	if err != nil {
		return Keys{}, err
	}
	stored := s.hash()
	stored.Write(mac(s.hash, saltedPassword, "Client Key"))
	return Keys{iterations, salt, stored.Sum(nil), mac(s.hash, saltedPassword, "Server Key")}, nil
}

func mac(h func() hash.Hash, key []byte, message string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}

func (s scram) verify(raw []byte, _, password string) (bool, error) {
	k, err := s.parse(raw)
	if err != nil {
		return false, err
	}
	made, err := s.keys(password, k.Salt, k.Iterations)
	return err == nil && equal(made.StoredKey, k.StoredKey), err
}

func (s scram) make(_, password string, o MakeOptions) ([]byte, error) {
	k, err := s.keys(password, randomBytes(16), int(scramRounds(o)))
	if err != nil {
		return nil, err
	}
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, "%d,%s,%s,%s", k.Iterations, b64(k.Salt), b64(k.StoredKey), b64(k.ServerKey)), nil
}

func scramRounds(o MakeOptions) uint32 {
	return within(o.Rounds, scramMinimum, MaxIterations, scramMinimum)
}
