// Package sasl holds the server's side of conversations that prove who a client is (RFC 4422): messages in, messages
// out, decoded. It knows no protocol around it and no database: a Backend has those.
//
//	PLAIN, LOGIN                   name and password in clear
//	CRAM-MD5, DIGEST-MD5, APOP     a hash over a challenge
//	SCRAM-SHA-1, SCRAM-SHA-256     the same so that neither side's hash is of use to a thief; with -PLUS bound to TLS
//	OAUTHBEARER, XOAUTH2           a token in place of the password
//	EXTERNAL                       the name was proved outside, by a certificate
//	ANONYMOUS                      nobody
//
// Names, flags and the texts of errors are those of Dovecot 2.3.19 (src/auth/mech-*.c, seen on its socket), which the
// log and the auth protocol repeat.
package sasl

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Info is what is announced of a mechanism: a name in upper case and the flags of Dovecot's MECH lines.
type Info struct {
	Name           string
	Plaintext      bool // a listener gets the password
	Dictionary     bool // a listener can try passwords on what he heard
	Active         bool // one who sits between can try chosen challenges
	Anonymous      bool
	ForwardSecrecy bool
	MutualAuth     bool // the server proves itself too
	Private        bool // not for lists of mechanisms: the protocol has a command of its own (APOP)
	Binding        bool // needs data of a TLS channel: offered where Config.Bindings has some
}

// Server is one conversation. Next takes the client's response and gives the challenge that is to be sent. A nil
// response means that there was none, as at the beginning when the client sent no initial response; an empty one that
// is not nil was sent. With done the client has proved itself, and a challenge is data that goes with the success. An
// error ends the conversation: an *Error, ErrMismatch, or what the Backend gave, unchanged. It is for one goroutine.
type Server interface {
	Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error)
}

// Backend knows users. authcid is whose proof it is, authzid who he wants to be, "" when that is the same; both as the
// client sent them. An error that wraps ErrRefused says that there is no such user or that his proof is wrong;
// mechanisms may hide it for some more steps. Any other error ends the conversation at once.
type Backend interface {
	// Verify checks a password or, for OAUTHBEARER and XOAUTH2, a token.
	Verify(ctx context.Context, authcid, authzid, password string) error
	// Credentials gives a stored password: in the scheme that is asked for or in PLAIN.
	Credentials(ctx context.Context, authcid, authzid, scheme string) (Credentials, error)
	// Trust lets in who was proved outside of the conversation.
	Trust(ctx context.Context, authcid, authzid string) error
	// Anonymous lets in who gave no name; trace is what he said of himself, for the log.
	Anonymous(ctx context.Context, trace string) error
}

// Credentials are a stored password.
type Credentials struct {
	// User is the name as the databases know it; also beside an error that wraps ErrRefused. Salts for unknown users
	// are made from it, so that two spellings of one name give one salt. "" is the name as sent, in lower case.
	User   string
	Scheme string // "PLAIN", or what was asked for
	Raw    []byte // the text for PLAIN and SCRAM, decoded bytes for CRAM-MD5 (32) and DIGEST-MD5 (16)
}

// Config is what mechanisms must know of the server and of the connection.
type Config struct {
	HostName string   // in challenges of CRAM-MD5
	Realms   []string // offered by DIGEST-MD5
	// External is the name that was proved outside, as the client's certificate has it; "" when none was.
	External string
	// OwnChallenge tells whether the server gave this challenge in the greeting of this connection (APOP).
	OwnChallenge func(challenge string) bool
	// Bindings is data of the TLS channel by the name of its type: "tls-exporter".
	Bindings map[string][]byte
	// PlusOffered: the client was told of -PLUS mechanisms. If it says that it was not, someone took them out.
	PlusOffered bool
	// Secret makes salts for unknown users; the same for the whole service, so that they stay the same. Without one a
	// secret of this process is used.
	Secret []byte
	// OpenIDConfiguration is told to clients whose token was refused; "" is not told.
	OpenIDConfiguration string

	nonce string // in place of a random one, for tests with known answers
}

// Error is a mistake of the client in the conversation, in words for the log.
type Error struct{ Text string }

func (e *Error) Error() string { return e.Text }

func malformed(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

var (
	// ErrMechanism is what New gives for a name that it does not know.
	ErrMechanism = errors.New("unsupported authentication mechanism")
	// ErrMismatch is a proof that does not fit the stored password.
	ErrMismatch = errors.New("Password mismatch")
	// ErrRefused is for Backends.
	ErrRefused = errors.New("refused")
	// ErrBase64 is what Decode gives.
	ErrBase64 = errors.New("sent invalid base64 in response")
)

// MaxResponse is how many bytes of one response, decoded, are taken. Dovecot 2.3 takes lines of 8192 bytes; tokens of
// some issuers are longer.
const MaxResponse = 16 << 10

type mechanism struct {
	Info
	nuls bool // NUL may be in a response
	make func(b Backend, c Config) Server
}

var mechanisms = []mechanism{
	{Info{Name: "PLAIN", Plaintext: true}, true, newPlain},
	{Info{Name: "LOGIN", Plaintext: true}, false, newLogin},
	{Info{Name: "CRAM-MD5", Dictionary: true, Active: true}, false, newCRAM},
	{Info{Name: "DIGEST-MD5", Dictionary: true, Active: true, MutualAuth: true}, false, newDigest},
	{Info{Name: "APOP", Private: true, Dictionary: true, Active: true}, true, newAPOP},
	{Info{Name: "SCRAM-SHA-1", MutualAuth: true}, false, newSCRAM("SCRAM-SHA-1", newSHA1)},
	{Info{Name: "SCRAM-SHA-1-PLUS", MutualAuth: true, Binding: true}, false, newSCRAM("SCRAM-SHA-1-PLUS", newSHA1)},
	{Info{Name: "SCRAM-SHA-256", MutualAuth: true}, false, newSCRAM("SCRAM-SHA-256", newSHA256)},
	{Info{Name: "SCRAM-SHA-256-PLUS", MutualAuth: true, Binding: true}, false, newSCRAM("SCRAM-SHA-256-PLUS", newSHA256)},
	{Info{Name: "EXTERNAL"}, false, newExternal},
	{Info{Name: "OAUTHBEARER", Plaintext: true}, false, newOAuthBearer},
	{Info{Name: "XOAUTH2", Plaintext: true}, false, newXOAuth2},
	{Info{Name: "ANONYMOUS", Anonymous: true}, true, newAnonymous},
}

func find(name string) (mechanism, bool) {
	for _, m := range mechanisms {
		if strings.EqualFold(m.Name, name) {
			return m, true
		}
	}
	return mechanism{}, false
}

// Names gives the names of all mechanisms, the weakest first as Dovecot has them.
func Names() []string {
	var names []string
	for _, m := range mechanisms {
		names = append(names, m.Name)
	}
	return slices.Clip(names)
}

// Lookup tells of a mechanism by its name, in any case.
func Lookup(name string) (Info, bool) {
	m, ok := find(name)
	return m.Info, ok
}

// New begins a conversation.
func New(name string, b Backend, c Config) (Server, error) {
	m, ok := find(name)
	if !ok {
		return nil, fmt.Errorf("%w %q", ErrMechanism, name)
	}
	return &limited{Server: m.make(b, c), nuls: m.nuls}, nil
}

// limited refuses what no mechanism takes, and everything after the end.
type limited struct {
	Server
	nuls, over bool
}

func (l *limited) Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	switch {
	case l.over:
		return nil, false, malformed("conversation is over")
	case len(response) > MaxResponse:
		err = malformed("response of %d bytes is longer than %d", len(response), MaxResponse)
	case !l.nuls && slices.Contains(response, 0):
		err = malformed("Unexpected NUL in auth data")
	default:
		challenge, done, err = l.Server.Next(ctx, response)
	}
	l.over = done || err != nil
	if err != nil {
		return nil, false, err
	}
	return challenge, done, nil
}

// Decode reads a response as protocols carry it, in base64; "=" and "" are an empty one.
func Decode(text string) ([]byte, error) {
	if text == "=" || text == "" {
		return []byte{}, nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, ErrBase64
	}
	return b, nil
}
