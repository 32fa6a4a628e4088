package serve

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// The structures of an encrypted private key: RFC 5958 section 3, with the second scheme of PKCS #5 (RFC 8018 appendix
// A), which is what openssl(1) makes.
type (
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2 struct{ Derivation, Encryption pkix.AlgorithmIdentifier }
	kdf   struct {
		Salt       []byte
		Iterations int
		Length     int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
)

// hashes and blockCiphers are those that can be meant, by their object identifiers.
var (
	hashes = map[string]func() hash.Hash{"": sha1.New, "1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.8": sha256.New224,
		"1.2.840.113549.2.9": sha256.New, "1.2.840.113549.2.10": sha512.New384, "1.2.840.113549.2.11": sha512.New}
	blockCiphers = map[string]struct {
		size int
		make func([]byte) (cipher.Block, error)
	}{"2.16.840.1.101.3.4.1.2": {16, aes.NewCipher}, "2.16.840.1.101.3.4.1.22": {24, aes.NewCipher}, "2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
		"1.2.840.113549.3.7": {24, des.NewTripleDESCipher}}
)

// maxIterations bounds what a key may cost to open: OpenSSL's default is 2,048.
const maxIterations = 10_000_000

var errKeyPassword = errors.New("private key: wrong password (ssl_key_password)")

// decryptPKCS8 gives the key in "ENCRYPTED PRIVATE KEY", in the form of "PRIVATE KEY".
func decryptPKCS8(der []byte, password string) ([]byte, error) {
	var key encryptedKey
	var scheme pbes2
	var d kdf
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if !key.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, fmt.Errorf("private key: encrypted by scheme %v, which cannot be read; openssl pkcs8 -topk8 makes one that can", key.Algorithm.Algorithm)
	}
	if _, err := asn1.Unmarshal(key.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if !scheme.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, fmt.Errorf("private key: encrypted with key derivation %v, which cannot be read; openssl pkcs8 -topk8 makes one that can", scheme.Derivation.Algorithm)
	}
	if _, err := asn1.Unmarshal(scheme.Derivation.Parameters.FullBytes, &d); err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	h, c := hashes[d.PRF.Algorithm.String()], blockCiphers[scheme.Encryption.Algorithm.String()]
	var iv []byte
	if _, err := asn1.Unmarshal(scheme.Encryption.Parameters.FullBytes, &iv); err != nil || h == nil || c.make == nil || d.Iterations > maxIterations {
		return nil, fmt.Errorf("private key: encrypted with %v and %v, which cannot be read", scheme.Encryption.Algorithm, d.PRF.Algorithm)
	}
	derived, err := pbkdf2.Key(h, password, d.Salt, d.Iterations, c.size)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return decryptCBC(c.make, derived, iv, key.Data)
}

// decryptCBC takes the padding off, which tells whether the password was right.
func decryptCBC(make func([]byte) (cipher.Block, error), key, iv, data []byte) ([]byte, error) {
	block, err := make(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errors.New("private key: of no possible length")
	}
	out := append([]byte(nil), data...)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, out)
	pad := int(out[len(out)-1])
	if pad == 0 || pad > size {
		return nil, errKeyPassword
	}
	return out[:len(out)-pad], nil
}
