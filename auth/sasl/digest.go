package sasl

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// digest is DIGEST-MD5 (RFC 2831) with quality of protection "auth" alone, as Dovecot has it: every conversation begins
// anew, neither the realm nor the digest-uri is compared with anything, and a realm is the domain of a name that has
// none.
type digest struct {
	Backend
	nonce  string
	realms []string
	asked  bool
}

func newDigest(b Backend, c Config) Server {
	nonce := c.nonce
	if nonce == "" {
		random := make([]byte, 16)
		rand.Read(random)
		nonce = base64.StdEncoding.EncodeToString(random)
	}
	return &digest{Backend: b, nonce: nonce, realms: c.Realms}
}

func (s *digest) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if !s.asked {
		s.asked = true
		return []byte(s.challenge()), false, nil
	}
	r, err := parseDigest(string(response), s.nonce)
	if err != nil {
		return nil, false, err
	}
	cred, err := s.Credentials(ctx, r.name(), r.authzid, "DIGEST-MD5")
	if err != nil {
		return nil, false, err
	}
	secrets, err := r.secrets(cred)
	if err != nil {
		return nil, false, err
	}
	for _, secret := range secrets {
		a1 := r.a1(secret)
		if subtle.ConstantTimeCompare([]byte(r.sum(a1, "AUTHENTICATE")), []byte(r.response)) == 1 {
			return []byte("rspauth=" + r.sum(a1, "")), true, nil
		}
	}
	return nil, false, ErrMismatch
}

// challenge is RFC 2831 section 2.1.1. Without realms an empty one is offered: Cyrus' clients else take the name of
// the host.
func (s *digest) challenge() string {
	var b strings.Builder
	realms := s.realms
	if len(realms) == 0 {
		realms = []string{""}
	}
	for _, realm := range realms {
		fmt.Fprintf(&b, "realm=%s,", quote(realm))
	}
	fmt.Fprintf(&b, "nonce=%s,qop=\"auth\",charset=\"utf-8\",algorithm=\"md5-sess\"", quote(s.nonce))
	return b.String()
}

var quoting = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func quote(s string) string { return `"` + quoting.Replace(s) + `"` }

// digestResponse is RFC 2831 section 2.1.2.
type digestResponse struct {
	username, realm, nonce, cnonce, nc, qop, uri, response, charset, authzid, maxbuf string
}

// once is where a directive goes that may be there once; nil for others, which are passed over.
func (r *digestResponse) once(key string) *string {
	switch key {
	case "username":
		return &r.username
	case "realm":
		return &r.realm
	case "nonce":
		return &r.nonce
	case "cnonce":
		return &r.cnonce
	case "nc":
		return &r.nc
	case "qop":
		return &r.qop
	case "digest-uri":
		return &r.uri
	case "response":
		return &r.response
	case "charset":
		return &r.charset
	case "authzid":
		return &r.authzid
	case "maxbuf":
		return &r.maxbuf
	}
	return nil
}

func parseDigest(response, nonce string) (*digestResponse, error) {
	if response == "" {
		return nil, malformed("Client sent no input")
	}
	r := new(digestResponse)
	seen := make([]*string, 0, 11)
	for rest := response; ; {
		key, value, after, err := directive(rest)
		if err != nil {
			return nil, err
		}
		if key == "" {
			break
		}
		rest = after
		to := r.once(key)
		switch {
		case to == nil:
		case slices.Contains(seen, to):
			return nil, malformed("%s must not exist more than once", key)
		case value == "" && key != "realm":
			return nil, malformed("empty %s", key)
		default:
			*to, seen = value, append(seen, to)
		}
	}
	return r, r.check(nonce)
}

// check has Dovecot's words for what is wrong.
func (r *digestResponse) check(nonce string) error {
	switch {
	case r.nonce == "":
		return malformed("Missing nonce parameter")
	case subtle.ConstantTimeCompare([]byte(r.nonce), []byte(nonce)) != 1:
		return malformed("Invalid nonce")
	case r.cnonce == "":
		return malformed("Missing cnonce parameter")
	case r.username == "":
		return malformed("Missing username parameter")
	case r.response == "":
		return malformed("Missing response parameter")
	case len(r.response) != 2*md5.Size:
		return malformed("Invalid response value")
	case r.uri != "" && !strings.Contains(r.uri, "/"):
		return malformed("Invalid digest-uri")
	case r.charset != "" && !strings.EqualFold(r.charset, "utf-8"):
		return malformed("Only utf-8 charset is allowed")
	case strings.EqualFold(r.qop, "auth-int") || strings.EqualFold(r.qop, "auth-conf"):
		return malformed("Nonallowed QoP requested")
	case r.qop != "" && !strings.EqualFold(r.qop, "auth"):
		return malformed("Unknown QoP value: %.32q", r.qop)
	}
	if n, err := strconv.ParseUint(r.maxbuf, 10, 32); r.maxbuf != "" && (err != nil || n == 0) {
		return malformed("Invalid maxbuf value")
	}
	if n, err := strconv.ParseUint(r.nc, 16, 32); r.nc != "" && err != nil {
		return malformed("nonce-count value invalid")
	} else if r.nc != "" && n != 1 {
		return malformed("re-auth not supported currently")
	}
	if r.nc == "" {
		r.nc = "00000001"
	}
	if r.qop == "" {
		r.qop = "auth"
	}
	return nil
}

// name is the user for the databases.
func (r *digestResponse) name() string {
	if r.realm == "" || strings.Contains(r.username, "@") {
		return r.username
	}
	return r.username + "@" + r.realm
}

// secrets gives what the sum of name, realm and password may be. It is what a {DIGEST-MD5} password holds; of a password
// in clear it is made with name and realm as the client has them. Name and password are in ISO 8859-1 if that is enough
// and else in UTF-8, says RFC 2831 section 2.1.2.1; Dovecot's client and server always take UTF-8.
func (r *digestResponse) secrets(cred Credentials) ([][]byte, error) {
	if cred.Scheme == "DIGEST-MD5" {
		if len(cred.Raw) != md5.Size {
			return nil, fmt.Errorf("invalid credentials length: %d bytes for DIGEST-MD5, not %d", len(cred.Raw), md5.Size)
		}
		return [][]byte{cred.Raw}, nil
	}
	narrow := md5.Sum([]byte(latin1(r.username) + ":" + r.realm + ":" + latin1(string(cred.Raw))))
	wide := md5.Sum([]byte(r.username + ":" + r.realm + ":" + string(cred.Raw)))
	return [][]byte{narrow[:], wide[:]}, nil
}

// a1 is A1 of RFC 2831 section 2.1.2.1.
func (r *digestResponse) a1(secret []byte) []byte {
	a1 := bytes.Join([][]byte{secret, []byte(r.nonce), []byte(r.cnonce)}, []byte(":"))
	if r.authzid != "" {
		a1 = append(append(a1, ':'), r.authzid...)
	}
	return a1
}

// latin1 gives the text in ISO 8859-1 if that has all its characters, else as it is.
func latin1(s string) string {
	if !utf8.ValidString(s) {
		return s
	}
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return s
		}
		out = append(out, byte(r))
	}
	return string(out)
}

func (r *digestResponse) sum(a1 []byte, method string) string {
	hexed := func(to, b []byte) []byte { sum := md5.Sum(b); return hex.AppendEncode(to, sum[:]) }
	all := hexed(make([]byte, 0, 256), a1)
	for _, part := range []string{r.nonce, r.nc, r.cnonce, r.qop} {
		all = append(append(all, ':'), part...)
	}
	all = hexed(append(all, ':'), append(append([]byte(method), ':'), r.uri...))
	return string(hexed(nil, all))
}

// directive reads one "key=value" or key="quoted value" up to the next comma; no key: nothing is left. Keys come back in
// lower case.
func directive(s string) (key, value, rest string, err error) {
	s = strings.TrimLeft(s, ", \t\r\n")
	if s == "" {
		return "", "", "", nil
	}
	key, s, ok := strings.Cut(s, "=")
	key = strings.ToLower(strings.TrimRight(key, " \t\r\n"))
	if !ok || key == "" || strings.ContainsAny(key, `," `) {
		return "", "", "", malformed("malformed data")
	}
	s = strings.TrimLeft(s, " \t\r\n")
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ",")
		return key, strings.TrimRight(value, " \t\r\n"), rest, nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return key, b.String(), s[i+1:], nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", "", malformed("malformed data")
}
