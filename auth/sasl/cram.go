package sasl

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// cram is RFC 2195: the server sends a text that was never sent before, the client its name, a blank and the HMAC-MD5
// of the text in lower case hexadecimals. The secret is the password.
type cram struct {
	Backend
	challenge string // "" before it is sent
	config    Config
}

func newCRAM(b Backend, c Config) Server { return &cram{Backend: b, config: c} }

func (s *cram) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if s.challenge == "" { // an initial response is not looked at, as in Dovecot
		s.challenge = s.config.nonce
		if s.challenge == "" {
			s.challenge = fmt.Sprintf("<%s.%d@%s>", digits(16), time.Now().Unix(), s.config.HostName)
		}
		return []byte(s.challenge), false, nil
	}
	space := bytes.LastIndexByte(response, ' ') // a name may have blanks in it
	if space <= 0 {
		return nil, false, malformed("missing digest")
	}
	cred, err := s.Credentials(ctx, string(response[:space]), "", "CRAM-MD5")
	if err != nil {
		return nil, false, err
	}
	sum, err := cramSum(cred, s.challenge)
	if err != nil {
		return nil, false, err
	}
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum)), response[space+1:]) != 1 {
		return nil, false, ErrMismatch
	}
	return nil, true, nil
}

// digits gives n random decimal digits.
func digits(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = '0' + b[i]%10
	}
	return string(b)
}

// cramSum is HMAC-MD5 of the challenge. What a {CRAM-MD5} password holds is MD5's state after the block of the outer
// key and after that of the inner one, four little-endian words each.
func cramSum(cred Credentials, challenge string) ([]byte, error) {
	if cred.Scheme != "CRAM-MD5" {
		h := hmac.New(md5.New, cred.Raw)
		h.Write([]byte(challenge))
		return h.Sum(nil), nil
	}
	if len(cred.Raw) != 32 {
		return nil, fmt.Errorf("invalid credentials length: %d bytes for CRAM-MD5, not 32", len(cred.Raw))
	}
	inner, err := resume(cred.Raw[16:], []byte(challenge))
	if err != nil {
		return nil, err
	}
	return resume(cred.Raw[:16], inner)
}

// resume goes on with an MD5 sum whose state after one block of 64 bytes is given. The layout that is filled in is
// that of crypto/md5's MarshalBinary.
func resume(state, data []byte) ([]byte, error) {
	saved := []byte("md5\x01")
	for i := 0; i < 16; i += 4 {
		saved = binary.BigEndian.AppendUint32(saved, binary.LittleEndian.Uint32(state[i:]))
	}
	saved = append(saved, make([]byte, md5.BlockSize)...)
	saved = binary.BigEndian.AppendUint64(saved, md5.BlockSize)
	h := md5.New()
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(saved); err != nil {
		return nil, fmt.Errorf("CRAM-MD5: %w", err)
	}
	h.Write(data)
	return h.Sum(nil), nil
}
