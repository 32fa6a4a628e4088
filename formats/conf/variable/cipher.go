package variable

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
)

// method is a symmetric cipher by the name that OpenSSL gives it.
type method struct {
	key, iv int // bytes
	mode    string
}

// newMethod knows AES with keys of 128, 192 and 256 bits in the modes cbc, ctr
// and ecb.
func newMethod(name string) (method, error) {
	var m method
	switch bits, mode, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(name), "aes-"), "-"); bits {
	case "128", "192", "256":
		m = method{key: map[string]int{"128": 16, "192": 24, "256": 32}[bits], iv: aes.BlockSize, mode: mode}
	}
	switch {
	case m.mode == "ecb":
		m.iv = 0
	case m.mode != "cbc" && m.mode != "ctr":
		return m, errors.New("Invalid cipher " + name)
	}
	return m, nil
}

// random gives an initialisation vector for one use.
func (m method) random() string {
	b := make([]byte, m.iv)
	_, _ = rand.Read(b) // never fails
	return string(b)
}

// check refuses keys and vectors of wrong length.
func (m method) check(key, iv string) error {
	if len(iv) != m.iv {
		return fmt.Errorf("IV length invalid (%d != %d)", len(iv), m.iv)
	}
	if len(key) != m.key {
		return fmt.Errorf("Key length invalid (%d != %d)", len(key), m.key)
	}
	return nil
}

// encrypt fills the last block as PKCS 7 does, in all modes but ctr.
func (m method) encrypt(key, iv, text string) (string, error) {
	if err := m.check(key, iv); err != nil {
		return "", err
	}
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		return "", err
	}
	b := []byte(text)
	if m.mode == "ctr" {
		cipher.NewCTR(block, []byte(iv)).XORKeyStream(b, b)
		return string(b), nil
	}
	missing := aes.BlockSize - len(b)%aes.BlockSize
	b = append(b, bytes.Repeat([]byte{byte(missing)}, missing)...)
	if m.mode == "cbc" {
		cipher.NewCBCEncrypter(block, []byte(iv)).CryptBlocks(b, b)
		return string(b), nil
	}
	for i := 0; i < len(b); i += aes.BlockSize {
		block.Encrypt(b[i:], b[i:])
	}
	return string(b), nil
}

// decrypt undoes encrypt.
func (m method) decrypt(key, iv, data string) (string, error) {
	if err := m.check(key, iv); err != nil {
		return "", err
	}
	if m.mode == "ctr" {
		return m.encrypt(key, iv, data)
	}
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		return "", err
	}
	b := []byte(data)
	if len(b) == 0 || len(b)%aes.BlockSize != 0 {
		return "", errors.New("wrong final block length")
	}
	if m.mode == "cbc" {
		cipher.NewCBCDecrypter(block, []byte(iv)).CryptBlocks(b, b)
	} else {
		for i := 0; i < len(b); i += aes.BlockSize {
			block.Decrypt(b[i:], b[i:])
		}
	}
	fill := int(b[len(b)-1])
	if fill == 0 || fill > aes.BlockSize || !bytes.HasSuffix(b, bytes.Repeat([]byte{byte(fill)}, fill)) {
		return "", errors.New("bad decrypt")
	}
	return string(b[:len(b)-fill]), nil
}
