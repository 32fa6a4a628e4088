package sasl

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
)

// scram is RFC 5802, with SHA-1 there and SHA-256 in RFC 7677:
//
//	client  n,,n=NAME,r=NONCE
//	server  r=NONCE and more,s=SALT,i=ITERATIONS
//	client  c=HEADER and binding,r=…,p=PROOF
//	server  v=SIGNATURE
//
// A stored password "ITERATIONS,SALT,StoredKey,ServerKey" is enough to check the proof and not enough to make one.
// Unknown users get a salt that is as good as any and the same each time, and all steps but the last; so do those whose
// password is stored in clear, so that one cannot be told from the other.
type scram struct {
	Backend
	scheme string // "SCRAM-SHA-256"
	plus   bool   // the mechanism's name ends in -PLUS
	hash   func() hash.Hash
	config Config

	header  []byte // what "c=" must hold: the GS2 header and the data of the channel
	first   string // both first messages, as the AuthMessage has them
	nonce   string // both halves
	keys    *scramKeys
	refused error // why the proof will not do
}

type scramKeys struct {
	iterations         int
	salt               []byte
	clear              []byte // a password from which the keys are made when they are needed
	stored, serverSide []byte
}

// Iterations is the cost of keys that are made from a password in clear: the least that RFC 7677 allows, and Dovecot's.
const Iterations = 4096

func newSCRAM(name string, h func() hash.Hash) func(Backend, Config) Server {
	scheme, plus := strings.CutSuffix(name, "-PLUS")
	return func(b Backend, c Config) Server {
		return &scram{Backend: b, scheme: scheme, plus: plus, hash: h, config: c}
	}
}

func newSHA1() hash.Hash   { return sha1.New() }
func newSHA256() hash.Hash { return sha256.New() }

func (s *scram) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	switch {
	case response == nil && s.first == "":
		return []byte{}, false, nil
	case s.first == "":
		challenge, err := s.begin(ctx, string(response))
		return []byte(challenge), false, err
	}
	final, err := s.finish(string(response))
	return []byte(final), err == nil, err
}

// begin reads the client's first message.
func (s *scram) begin(ctx context.Context, message string) (string, error) {
	flag, rest, ok := strings.Cut(message, ",")
	if !ok {
		return "", malformed("Invalid initial client message: Missing first ',' in GS2 header")
	}
	authzid, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return "", malformed("Invalid initial client message: Missing second ',' in GS2 header")
	}
	data, err := s.binding(flag)
	if err != nil {
		return "", err
	}
	s.header = append([]byte(flag+","+authzid+","), data...)
	if authzid, err = saslName(authzid, "a="); err != nil {
		return "", malformed("Invalid authzid field: %v", err)
	}
	name, nonce, err := firstFields(bare)
	if err != nil {
		return "", err
	}
	if authzid == name {
		authzid = ""
	}
	cred, err := s.Credentials(ctx, name, authzid, s.scheme)
	if err := s.learn(name, cred, err); err != nil {
		return "", err
	}
	s.nonce = nonce + s.fresh()
	challenge := fmt.Sprintf("r=%s,s=%s,i=%d", s.nonce, base64.StdEncoding.EncodeToString(s.keys.salt), s.keys.iterations)
	s.first = bare + "," + challenge
	return challenge, nil
}

// firstFields reads "n=NAME,r=NONCE"; extensions behind are passed over, mandatory ones in front are refused.
func firstFields(bare string) (name, nonce string, err error) {
	fields := strings.Split(bare, ",")
	switch {
	case len(fields) < 2:
		return "", "", malformed("Invalid initial client message: Missing nonce field")
	case strings.HasPrefix(fields[0], "m"):
		return "", "", malformed("Mandatory extension(s) not supported")
	case !strings.HasPrefix(fields[0], "n="):
		return "", "", malformed("Invalid username field")
	}
	if name, err = saslName(fields[0], "n="); err != nil {
		return "", "", malformed("Username escaping is invalid")
	}
	if name == "" {
		return "", "", malformed("Empty username")
	}
	nonce, ok := strings.CutPrefix(fields[1], "r=")
	if !ok || !isToken(nonce) || len(nonce) > 1024 {
		return "", "", malformed("Invalid client nonce")
	}
	return name, nonce, nil
}

func saslName(field, prefix string) (string, error) {
	if field == "" {
		return "", nil
	}
	value, ok := strings.CutPrefix(field, prefix)
	if !ok {
		return "", fmt.Errorf("no %s", prefix)
	}
	return unescape(value)
}

// binding gives the data of the channel that the client binds itself to, from its flag (RFC 5802 section 6): "p=TYPE"
// it does; "y" it would, but believes that we cannot; "n" it cannot.
func (s *scram) binding(flag string) ([]byte, error) {
	kind, wants := strings.CutPrefix(flag, "p=")
	switch {
	case wants && !s.plus:
		return nil, malformed("Channel binding not supported")
	case wants:
		data, ok := s.config.Bindings[kind]
		if !ok || len(data) == 0 {
			return nil, malformed("Unsupported channel binding type %.32q", kind)
		}
		return data, nil
	case flag != "y" && flag != "n":
		return nil, malformed("Invalid GS2 header")
	case s.plus:
		return nil, malformed("Channel binding required by the mechanism is missing")
	case flag == "y" && s.config.PlusOffered:
		return nil, malformed("Client believes that channel binding is not supported: mechanisms were removed on the way")
	}
	return nil, nil
}

// learn takes what is stored, or makes something up.
func (s *scram) learn(name string, cred Credentials, err error) error {
	if cred.User == "" {
		cred.User = strings.ToLower(name)
	}
	if err == nil && cred.Scheme == s.scheme {
		s.keys, err = parseKeys(string(cred.Raw), s.hash().Size())
		return err
	}
	if err != nil && !errors.Is(err, ErrRefused) {
		return err
	}
	salt := hmac.New(sha256.New, s.secret())
	salt.Write([]byte(s.scheme + "\x00" + cred.User))
	s.keys = &scramKeys{iterations: Iterations, salt: salt.Sum(nil)[:16], clear: cred.Raw}
	s.refused = err
	return nil
}

var processSecret = sync.OnceValue(func() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
})

func (s *scram) secret() []byte {
	if len(s.config.Secret) > 0 {
		return s.config.Secret
	}
	return processSecret()
}

func (s *scram) fresh() string {
	if s.config.nonce != "" {
		return s.config.nonce
	}
	b := make([]byte, 24)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// parseKeys reads "iterations,salt,StoredKey,ServerKey". The texts of errors have nothing of it.
func parseKeys(stored string, size int) (*scramKeys, error) {
	parts := strings.Split(stored, ",")
	if len(parts) != 4 {
		return nil, fmt.Errorf("stored SCRAM password has %d parts, not 4", len(parts))
	}
	n, err := strconv.ParseUint(parts[0], 10, 31)
	if err != nil || n == 0 {
		return nil, errors.New("stored SCRAM password has an invalid iteration count")
	}
	k := &scramKeys{iterations: int(n)}
	for i, to := range []*[]byte{&k.salt, &k.stored, &k.serverSide} {
		*to, err = base64.StdEncoding.DecodeString(parts[i+1])
		if err != nil || i > 0 && len(*to) != size || len(*to) == 0 {
			return nil, fmt.Errorf("part %d of the stored SCRAM password is damaged", i+2)
		}
	}
	return k, nil
}

// derive makes the keys from a password in clear. It is also done in vain before a refusal, so that all take the same
// time.
func (s *scram) derive() error {
	salted, err := pbkdf2.Key(s.hash, string(s.keys.clear), s.keys.salt, min(s.keys.iterations, Iterations), s.hash().Size())
	if err != nil {
		return fmt.Errorf("%s: %w", s.scheme, err)
	}
	if s.keys.stored == nil {
		client := s.mac(salted, "Client Key")
		s.keys.stored, s.keys.serverSide = s.sum(client), s.mac(salted, "Server Key")
		s.keys.clear = nil
	}
	return nil
}

func (s *scram) mac(key []byte, text string) []byte {
	h := hmac.New(s.hash, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func (s *scram) sum(b []byte) []byte {
	h := s.hash()
	h.Write(b)
	return h.Sum(nil)
}

// finish reads the client's final message and gives the server's.
func (s *scram) finish(message string) (string, error) {
	without, proof, err := s.parseFinal(message)
	if err != nil {
		return "", err
	}
	made := s.keys.stored != nil
	if !made {
		if err := s.derive(); err != nil {
			return "", err
		}
	}
	auth := s.first + "," + without
	client := make([]byte, len(proof))
	subtle.XORBytes(client, proof, s.mac(s.keys.stored, auth))
	right := subtle.ConstantTimeCompare(s.sum(client), s.keys.stored) == 1
	switch {
	case right && s.refused == nil:
		return "v=" + base64.StdEncoding.EncodeToString(s.mac(s.keys.serverSide, auth)), nil
	case made:
		if err := s.derive(); err != nil {
			return "", err
		}
	}
	if s.refused != nil {
		return "", s.refused
	}
	return "", ErrMismatch
}

// parseFinal reads "c=…,r=…,extensions,p=PROOF".
func (s *scram) parseFinal(message string) (without string, proof []byte, err error) {
	fields := strings.Split(message, ",")
	if len(fields) < 3 {
		return "", nil, malformed("Invalid final client message")
	}
	bound, ok := strings.CutPrefix(fields[0], "c=")
	header, err := base64.StdEncoding.Strict().DecodeString(bound)
	if !ok || err != nil || subtle.ConstantTimeCompare(header, s.header) != 1 {
		return "", nil, malformed("Invalid channel binding data")
	}
	if subtle.ConstantTimeCompare([]byte(fields[1]), []byte("r="+s.nonce)) != 1 {
		return "", nil, malformed("Wrong nonce")
	}
	last := fields[len(fields)-1]
	text, ok := strings.CutPrefix(last, "p=")
	if !ok {
		return "", nil, malformed("Invalid ClientProof")
	}
	if proof, err = base64.StdEncoding.Strict().DecodeString(text); err != nil {
		return "", nil, malformed("Invalid base64 encoding")
	}
	if len(proof) != s.hash().Size() {
		return "", nil, malformed("Invalid ClientProof length")
	}
	return strings.TrimSuffix(message, ","+last), proof, nil
}
