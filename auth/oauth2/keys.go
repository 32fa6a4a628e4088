package oauth2

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"dovetail/auth"
)

// keyFiles are files with one key each: PREFIX AZP/ALG/KID, "default" standing for an azp or kid that a token does not
// have, "/" and "%" in them written %2f and %25. A key of HS256, HS384 and HS512 is in base64, others are in PEM. A file
// that was changed is read again. So that a token cannot have a public key taken for a shared one, the algorithm is in
// the path and the file must hold what that wants.
type keyFiles struct {
	prefix string

	mu    sync.Mutex // guards cache
	cache map[string]keyFile
}

type keyFile struct {
	size  int64
	mtime time.Time
	key   any
}

// maxKeyFiles bounds what is remembered: names come from tokens.
const maxKeyFiles = 1000

func (k *keyFiles) key(_ context.Context, azp string, alg jose.SignatureAlgorithm, kid string) (any, error) {
	path := k.prefix
	for _, id := range []string{azp, string(alg), kid} {
		if id == "" {
			id = "default"
		}
		if strings.HasPrefix(id, ".") || strings.ContainsAny(id, "\x00\r\n") || len(id) > 200 {
			return nil, refuse(auth.ErrMismatch, "%s key '%s' not found", alg, printable(id))
		}
		path += strings.NewReplacer("/", "%2f", "%", "%25").Replace(id) + "/"
	}
	path = strings.TrimSuffix(path, "/")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse(auth.ErrMismatch, "%s key '%s' not found", alg, printable(kid))
	}
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	have, ok := k.cache[path]
	k.mu.Unlock()
	if ok && have.size == info.Size() && have.mtime.Equal(info.ModTime()) {
		return have.key, nil
	}
	key, err := readKey(path, alg)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.cache) >= maxKeyFiles {
		clear(k.cache)
	}
	k.cache[path] = keyFile{info.Size(), info.ModTime(), key}
	return key, nil
}

func readKey(path string, alg jose.SignatureAlgorithm) (any, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, err
	}
	key, err := parseKey(b, alg)
	if err != nil {
		return nil, fmt.Errorf("%s: Cannot load key: %w", path, err)
	}
	return key, nil
}

func parseKey(b []byte, alg jose.SignatureAlgorithm) (any, error) {
	if strings.HasPrefix(string(alg), "HS") {
		key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(b)))
		if err != nil || len(key) == 0 {
			return nil, errors.New("Invalid base64 encoded key")
		}
		if bytes.Contains(key, []byte("-----BEGIN")) {
			return nil, fmt.Errorf("%s wants a shared secret and this is a key in PEM", alg)
		}
		return key, nil
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("no key in PEM")
	}
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = c.PublicKey
		}
	default:
		err = fmt.Errorf("a %s is no public key", block.Type)
	}
	if err == nil && !fits(key, alg) {
		err = fmt.Errorf("the key is not one for %s", alg)
	}
	return key, err
}

// fits tells whether a public key is of the kind that the algorithm uses.
func fits(key any, alg jose.SignatureAlgorithm) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(string(alg), "RS") || strings.HasPrefix(string(alg), "PS")
	case *ecdsa.PublicKey:
		bits := map[jose.SignatureAlgorithm]int{jose.ES256: 256, jose.ES384: 384, jose.ES512: 521}
		return bits[alg] != 0 && bits[alg] == k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return alg == jose.EdDSA
	}
	return false
}

// keySet is a set of keys at an address (RFC 7517 section 5). It is fetched when it is first needed, when it is an hour
// old, and when a token names a key that is not in it; not more often than every 30 seconds, 5 after a failure,
// whatever tokens name. A set that cannot be fetched again goes on serving. Shared secrets in it are not used: it is
// public.
type keySet struct {
	get  func(ctx context.Context) ([]byte, error)
	now  func() time.Time
	turn chan struct{} // holds one thing: the right to fetch

	mu      sync.Mutex // guards what follows
	keys    []jose.JSONWebKey
	fetched time.Time // successfully
	next    time.Time // no fetch before
	failed  error     // at the last try
}

// Times of a keySet.
const (
	setLifetime = time.Hour
	setPause    = 30 * time.Second
	setRetry    = 5 * time.Second
	setTimeout  = 10 * time.Second // of one fetch
)

func newKeySet(get func(context.Context) ([]byte, error), now func() time.Time) *keySet {
	k := &keySet{get: get, now: now, turn: make(chan struct{}, 1)}
	k.turn <- struct{}{}
	return k
}

func (k *keySet) key(ctx context.Context, _ string, alg jose.SignatureAlgorithm, kid string) (any, error) {
	key, due, failed := k.find(alg, kid)
	if !due {
		return k.answer(key, failed, alg, kid)
	}
	if key != nil {
		select {
		case <-k.turn:
		default: // another one fetches, and this key will do
			return key, nil
		}
	} else {
		select {
		case <-k.turn:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if key, due, failed = k.find(alg, kid); due {
		k.fetch(ctx)
		key, _, failed = k.find(alg, kid)
	}
	k.turn <- struct{}{}
	return k.answer(key, failed, alg, kid)
}

func (k *keySet) answer(key any, failed error, alg jose.SignatureAlgorithm, kid string) (any, error) {
	switch {
	case key != nil:
		return key, nil
	case failed != nil:
		return nil, fmt.Errorf("keys cannot be fetched: %w", failed)
	}
	return nil, refuse(auth.ErrMismatch, "%s key '%s' not found", alg, printable(kid))
}

// find gives the key with this id, or without an id the only one that fits; and whether the set is to be fetched.
func (k *keySet) find(alg jose.SignatureAlgorithm, kid string) (key any, due bool, failed error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var found []any
	for _, key := range k.keys {
		if (kid == "" || key.KeyID == kid) && (key.Algorithm == "" || key.Algorithm == string(alg)) && key.Use != "enc" && fits(key.Key, alg) {
			found = append(found, key.Key)
		}
	}
	if len(found) == 1 {
		key = found[0]
	}
	now := k.now()
	due = (key == nil || now.Sub(k.fetched) > setLifetime) && !now.Before(k.next)
	return key, due, k.failed
}

func (k *keySet) fetch(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, setTimeout)
	defer cancel()
	b, err := k.get(limited)
	var keys []jose.JSONWebKey
	if err == nil {
		keys, err = parseSet(b)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case err != nil && errors.Is(ctx.Err(), context.Canceled): // this client went away, the next may try
		k.failed = err
	case err != nil:
		k.failed, k.next = err, k.now().Add(setRetry)
	default:
		k.keys, k.fetched, k.failed, k.next = keys, k.now(), nil, k.now().Add(setPause)
	}
}

// parseSet reads a set. One key that is not understood does not take the others along.
func parseSet(b []byte) ([]jose.JSONWebKey, error) {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(b, &set); err != nil || set.Keys == nil {
		return nil, errors.New("Invalid response data: not a set of keys")
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) == nil && key.IsPublic() && key.Valid() {
			keys = append(keys, key)
		}
	}
	return keys, nil
}
