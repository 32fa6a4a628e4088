package oauth2

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// issuer has keys and makes tokens; its folder is that of a site.
type issuer struct {
	t   testing.TB
	dir string
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	ed  ed25519.PrivateKey
	hs  []byte
	now time.Time
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{t: t, dir: t.TempDir(), hs: []byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), now: time.Now().Truncate(time.Second)}
	var err1, err2, err3 error
	i.rsa, err1 = rsa.GenerateKey(rand.Reader, 2048)
	i.ec, err2 = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, i.ed, err3 = ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for alg, key := range map[string]any{"RS256": i.rsa.Public(), "PS256": i.rsa.Public(), "ES256": i.ec.Public(), "EdDSA": i.ed.Public()} {
		i.write("default/"+alg+"/default", publicPEM(t, key))
		i.write("https:%2f%2fclient%25x/"+alg+"/a%2fb", publicPEM(t, key))
	}
	i.write("default/HS256/default", base64.StdEncoding.EncodeToString(i.hs)+"\n")
	return i
}

func publicPEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func (i *issuer) write(name, text string) {
	i.t.Helper()
	path := filepath.Join(i.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		i.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		i.t.Fatal(err)
	}
}

type claims map[string]any

// with gives the usual claims with some changed; nil takes one away.
func (i *issuer) with(change claims) claims {
	c := claims{"sub": "4711", "email": "ann@example.org", "exp": i.now.Add(time.Hour).Unix(), "iat": i.now.Add(-time.Minute).Unix(), "iss": "https://issuer"}
	for key, value := range change {
		if c[key] = value; value == nil {
			delete(c, key)
		}
	}
	return c
}

func (i *issuer) key(alg jose.SignatureAlgorithm) any {
	switch alg[:2] {
	case "RS", "PS":
		return i.rsa
	case "ES":
		return i.ec
	case "Ed":
		return i.ed
	}
	return i.hs
}

// sign makes a token; header fields "typ" and "kid" may be changed.
func (i *issuer) sign(alg jose.SignatureAlgorithm, c claims, header map[jose.HeaderKey]any) string {
	i.t.Helper()
	o := (&jose.SignerOptions{}).WithType("JWT")
	for key, value := range header {
		o.WithHeader(key, value)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: i.key(alg)}, o)
	if err != nil {
		i.t.Fatal(err)
	}
	body, err := json.Marshal(c)
	if err != nil {
		i.t.Fatal(err)
	}
	signed, err := s.Sign(body)
	if err != nil {
		i.t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

// passdb is one with local validation of this issuer's tokens.
func (i *issuer) passdb(change func(*Options)) *PassDB {
	i.t.Helper()
	o := Options{Mode: "local", KeyPrefix: i.dir + "/", UsernameFormat: template(i.t, "%{user | lower}"), Log: slog.New(slog.DiscardHandler),
		ActiveAttribute: "active", ActiveValue: "true", Now: func() time.Time { return i.now }}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { p.Close() })
	return p
}

func template(t testing.TB, text string) *variable.Template {
	t.Helper()
	parsed, err := variable.Parse24(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// verify asks as ann@example.org and gives the log's text, or "ok".
func verify(t testing.TB, p *PassDB, token string) string {
	t.Helper()
	_, err := p.Verify(context.Background(), &auth.Request{User: "ann@example.org", Service: "imap"}, token)
	if err == nil {
		return "ok"
	}
	if _, ok := errors.AsType[*auth.Refusal](err); !ok {
		t.Errorf("%v is no Refusal", err)
	}
	return err.Error()
}

func TestLocalValidation(t *testing.T) {
	i := newIssuer(t)
	p := i.passdb(nil)
	at := func(d time.Duration) int64 { return i.now.Add(d).Unix() }
	const failed = "oauth2 failed: Local validation failed: "
	for _, tc := range []struct {
		name, token, want string
	}{
		{"RS256", i.sign(jose.RS256, i.with(nil), nil), "ok"},
		{"PS256", i.sign(jose.PS256, i.with(nil), nil), "ok"},
		{"ES256", i.sign(jose.ES256, i.with(nil), nil), "ok"},
		{"HS256", i.sign(jose.HS256, i.with(nil), nil), "ok"},
		{"EdDSA", i.sign(jose.EdDSA, i.with(nil), nil), "ok"},
		{"the key of another client, whose name and id have special characters", i.sign(jose.RS256, i.with(claims{"azp": "https://client%x"}), map[jose.HeaderKey]any{"kid": "a/b"}), "ok"},
		{"no type", i.sign(jose.RS256, i.with(nil), map[jose.HeaderKey]any{"typ": ""}), "ok"},
		{"a clock that is a second ahead", i.sign(jose.RS256, i.with(claims{"iat": at(time.Second)}), nil), "ok"},
		{"an access token of RFC 9068", i.sign(jose.RS256, i.with(nil), map[jose.HeaderKey]any{"typ": "at+jwt"}), "ok"},
		{"the name in upper case", i.sign(jose.RS256, i.with(claims{"email": "Ann@Example.org"}), nil), "ok"},
		{"not before now", i.sign(jose.RS256, i.with(claims{"nbf": at(0)}), nil), "ok"},
		{"dates in words", i.sign(jose.RS256, i.with(claims{"exp": i.now.Add(time.Hour).Format(time.RFC3339)}), nil), "ok"},
		{"parts of seconds", i.sign(jose.RS256, i.with(claims{"exp": float64(at(time.Hour)) + 0.5}), nil), "ok"},

		{"no token", "password", failed + "Not a JWT token"},
		{"two dots", "a.b.c", failed + "Not a JWT token"},
		{"nothing", "", "oauth2 failed: Invalid token"},
		{"a line end", "a\r\nb", "oauth2 failed: Invalid token"},
		{"another type", i.sign(jose.RS256, i.with(nil), map[jose.HeaderKey]any{"typ": "JWE"}), failed + "Cannot find 'typ' field"},
		{"no such key", i.sign(jose.RS256, i.with(nil), map[jose.HeaderKey]any{"kid": "new"}), failed + "RS256 key 'new' not found"},
		{"a key of no such client", i.sign(jose.RS256, i.with(claims{"azp": "x"}), nil), failed + "RS256 key 'default' not found"},
		{"a way out of the folder", i.sign(jose.RS256, i.with(claims{"azp": ".."}), map[jose.HeaderKey]any{"kid": "../../x"}), failed + "RS256 key '..' not found"},
		{"no key for the algorithm", i.sign(jose.RS512, i.with(nil), nil), failed + "RS512 key 'default' not found"},
		{"no sub", i.sign(jose.RS256, i.with(claims{"sub": nil}), nil), failed + "Missing 'sub' field"},
		{"no exp", i.sign(jose.RS256, i.with(claims{"exp": nil}), nil), failed + "Missing 'exp' field"},
		{"exp within an object", i.sign(jose.RS256, i.with(claims{"exp": nil, "a": claims{"exp": at(time.Hour)}}), nil), failed + "Missing 'exp' field"},
		{"exp that is a word", i.sign(jose.RS256, i.with(claims{"exp": "never"}), nil), failed + "Malformed 'exp' field"},
		{"nbf before time", i.sign(jose.RS256, i.with(claims{"nbf": -1}), nil), failed + "Malformed 'nbf' field"},
		{"expired", i.sign(jose.RS256, i.with(claims{"exp": at(-time.Second)}), nil), failed + "Token has expired"},
		{"not yet", i.sign(jose.RS256, i.with(claims{"nbf": at(time.Minute)}), nil), failed + "Token is not valid yet"},
		{"issued tomorrow", i.sign(jose.RS256, i.with(claims{"iat": at(24 * time.Hour)}), nil), failed + "Token is issued in future"},
		{"another user", i.sign(jose.RS256, i.with(claims{"email": "bob@example.org"}), nil), failed + "Username 'ann@example.org' did not match 'bob@example.org'"},
		{"no user", i.sign(jose.RS256, i.with(claims{"email": nil}), nil), failed + `No username returned: the attribute "email" is missing`},
		{"not active", i.sign(jose.RS256, i.with(claims{"active": false}), nil), failed + "Provided token is not valid"},
		{"a critical extension", i.sign(jose.RS256, i.with(nil), map[jose.HeaderKey]any{"crit": []string{"b64"}, "b64": true}), failed + "Critical header fields are not supported"},
	} {
		if got := verify(t, p, tc.token); got != tc.want {
			t.Errorf("%s: %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

// Tokens that someone made without the key.
func TestForgedTokens(t *testing.T) {
	i := newIssuer(t)
	p := i.passdb(nil)
	good := i.sign(jose.RS256, i.with(nil), nil)
	parts := strings.Split(good, ".")
	enc := base64.RawURLEncoding.EncodeToString
	// The public key, in PEM as it is published, as secret of HS256.
	public := publicPEM(t, i.rsa.Public())
	head := enc([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + parts[1]
	mac := hmac.New(sha256.New, []byte(public))
	mac.Write([]byte(head))
	confused := head + "." + enc(mac.Sum(nil))
	other := newIssuer(t)
	for name, token := range map[string]string{
		"none":                          enc([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".",
		"none in other letters":         enc([]byte(`{"alg":"nOnE","typ":"JWT"}`)) + "." + parts[1] + ".",
		"no signature":                  parts[0] + "." + parts[1] + ".",
		"HS256 with the public key":     confused,
		"another's signature":           other.sign(jose.RS256, i.with(nil), nil),
		"another's claims":              parts[0] + "." + enc([]byte(`{"sub":"1","email":"ann@example.org","exp":4000000000}`)) + "." + parts[2],
		"the key comes along":           other.sign(jose.RS256, i.with(nil), map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: other.rsa.Public()}}),
		"JSON in place of three parts":  `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
		"claims twice":                  good + "." + good,
		"claims that are not an object": i.sign(jose.RS256, nil, nil),
	} {
		if got := verify(t, p, token); got == "ok" {
			t.Errorf("%s was taken", name)
		} else if strings.Contains(got, token) {
			t.Errorf("%s: the log has the token: %s", name, got)
		}
	}
	// The operator may do it himself: put the public key where the shared secret belongs.
	i.write("default/HS256/default", base64.StdEncoding.EncodeToString([]byte(public)))
	if got := verify(t, i.passdb(nil), confused); !strings.Contains(got, "wants a shared secret") {
		t.Errorf("a public key as shared secret: %s", got)
	}
	i.write("default/ES256/default", public)
	if got := verify(t, i.passdb(nil), i.sign(jose.ES256, i.with(nil), nil)); !strings.Contains(got, "the key is not one for ES256") {
		t.Errorf("an RSA key for ES256: %s", got)
	}
}

func TestRulesOfTokens(t *testing.T) {
	i := newIssuer(t)
	const failed = "oauth2 failed: Local validation failed: "
	for _, tc := range []struct {
		name   string
		change func(*Options)
		claims claims
		want   string
	}{
		{"issuer", func(o *Options) { o.Issuers = []string{"x", "https://issuer"} }, nil, "ok"},
		{"another issuer", func(o *Options) { o.Issuers = []string{"x"} }, claims{"iss": "e\nvil"}, failed + "Issuer 'e?vil' is not allowed"},
		{"no issuer", func(o *Options) { o.Issuers = []string{"x"} }, claims{"iss": nil}, failed + "Token is missing 'iss' field"},
		{"scopes", func(o *Options) { o.Scope = []string{"mail", "imap"} }, claims{"scope": "openid imap MAIL"}, "ok"},
		{"one of two scopes", func(o *Options) { o.Scope = []string{"mail", "imap"} }, claims{"scope": "openid imap"}, failed + "configured scope 'mail imap' missing from token scope 'openid imap'"},
		{"scope in an array", func(o *Options) { o.Scope = []string{"mail"} }, claims{"scope": []string{"openid", "mail"}}, "ok"},
		{"an audience is no scope", func(o *Options) { o.Scope = []string{"mail"} }, claims{"aud": "mail"}, failed + "scope set but not found in token"},
		{"another scope", func(o *Options) { o.Scope = []string{"mail"} }, claims{"scope": "mailbox"}, failed + "configured scope 'mail' missing from token scope 'mailbox'"},
		{"audience", func(o *Options) { o.Audience = []string{"dovetail"} }, claims{"aud": []string{"web", "dovetail"}}, "ok"},
		{"wrong audience", func(o *Options) { o.Audience = []string{"dovetail"} }, claims{"aud": "web"}, failed + "Token audience does not include 'dovetail'"},
		{"all of the audience", func(o *Options) { o.Audience = []string{"dovetail", "web"} }, claims{"aud": "web"}, failed + "Token audience does not include 'dovetail web'"},
		{"for our client", func(o *Options) { o.ClientID = "me" }, claims{"aud": []string{"web", "me"}}, "ok"},
		{"for another client", func(o *Options) { o.ClientID = "me" }, claims{"aud": "web"}, failed + "client_id not found in aud field"},
		{"for nobody", func(o *Options) { o.ClientID = "me" }, nil, failed + "client_id set but aud is missing"},
		{"it must be said that it is active", func(o *Options) { o.MustBeActive = true }, nil, failed + "Missing active_attribute from token"},
		{"and it is said", func(o *Options) { o.MustBeActive = true }, claims{"active": true}, "ok"},
		{"grace", func(o *Options) { o.Grace = time.Minute }, claims{"exp": i.now.Add(-time.Second).Unix()}, "ok"},
		{"too late even so", func(o *Options) { o.Grace = time.Minute }, claims{"exp": i.now.Add(-61 * time.Second).Unix()}, failed + "Token has expired"},
		{"another attribute", func(o *Options) { o.UsernameAttribute = "upn" }, claims{"upn": "ann@example.org", "email": nil}, "ok"},
		{"an attribute within an object", func(o *Options) { o.UsernameAttribute = "x_upn" }, claims{"x": claims{"upn": "ann@example.org"}}, "ok"},
		{"which has not the name of one outside", nil, claims{"email": nil, "x": claims{"email": "ann@example.org"}}, failed + `No username returned: the attribute "email" is missing`},
		{"and does not win over that", func(o *Options) { o.UsernameAttribute = "x_y" }, claims{"x_y": "bob", "x": claims{"y": "ann@example.org"}}, failed + "Username 'ann@example.org' did not match 'bob'"},
	} {
		if got := verify(t, i.passdb(tc.change), i.sign(jose.RS256, i.with(tc.claims), nil)); got != tc.want {
			t.Errorf("%s: %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

// Kinds of errors: what the token is at fault for is no failure of the database.
func TestKindsOfErrors(t *testing.T) {
	i := newIssuer(t)
	i.write("default/RS512/default", "no key")
	p := i.passdb(func(o *Options) { o.Scope = []string{"mail"} })
	for _, tc := range []struct {
		name, token string
		want        error
	}{
		{"no token", "x", auth.ErrMismatch},
		{"another user", i.sign(jose.RS256, i.with(claims{"email": "bob", "scope": "mail"}), nil), auth.ErrUnknown},
		{"no scope", i.sign(jose.RS256, i.with(nil), nil), auth.ErrMismatch},
		{"a damaged key", i.sign(jose.RS512, i.with(claims{"scope": "mail"}), nil), nil},
	} {
		_, err := p.Verify(t.Context(), &auth.Request{User: "ann@example.org"}, tc.token)
		known := errors.Is(err, auth.ErrMismatch) || errors.Is(err, auth.ErrUnknown) || errors.Is(err, auth.ErrDisabled)
		if tc.want != nil && !errors.Is(err, tc.want) || tc.want == nil && (err == nil || known) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if _, err := p.Find(t.Context(), &auth.Request{User: "ann"}); err != auth.ErrNoFind {
		t.Errorf("Find gave %v", err)
	}
}

func TestFieldsOfTokens(t *testing.T) {
	i := newIssuer(t)
	p := i.passdb(func(o *Options) {
		o.Fields = []Field{{"userdb_home", template(t, "/home/%{user}/%{oauth2:sub}")}, {"groups", template(t, "%{oauth2:groups}")}}
	})
	token := i.sign(jose.RS256, i.with(claims{"groups": []string{"a", "b"}}), nil)
	got, err := p.Verify(t.Context(), &auth.Request{User: "ann@example.org"}, token)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"userdb_home": "/home/ann@example.org/4711", "groups": "a b", "token": token} {
		if got.Value(key) != want {
			t.Errorf("%s = %q, want %q", key, got.Value(key), want)
		}
	}
	token = i.sign(jose.RS256, i.with(claims{"groups": "a\nuserdb_uid=0"}), nil)
	if got := verify(t, p, token); !strings.Contains(got, "has a line end") {
		t.Errorf("a value of two lines: %s", got)
	}
}

// A key that is changed on disk is the next one.
func TestKeyFilesAreReadAgain(t *testing.T) {
	i, next := newIssuer(t), newIssuer(t)
	p := i.passdb(nil)
	old, fresh := i.sign(jose.RS256, i.with(nil), nil), next.sign(jose.RS256, i.with(nil), nil)
	if a, b := verify(t, p, old), verify(t, p, fresh); a != "ok" || b == "ok" {
		t.Fatal(a, b)
	}
	i.write("default/RS256/default", publicPEM(t, next.rsa.Public())+"\n")
	if a, b := verify(t, p, old), verify(t, p, fresh); a == "ok" || b != "ok" {
		t.Error(a, b)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	for want, o := range map[string]Options{
		"Invalid value 'x' for introspection mode, must be one of auth, get, post or local": {Mode: "x"},
		"Password grant, tokeninfo, introspection URL or validation key dictionary must be": {},
		"local_validation_key_dict is required":                                             {Mode: "local"},
		"Invalid tokeninfo_url: it must begin with":                                         {TokenInfoURL: "/x"},
		"use_grant_password needs grant_url and client_id":                                  {GrantPassword: true, TokenInfoURL: "http://x/"},
		"Cannot have empty active_attribute if active_value is set":                         {TokenInfoURL: "http://x/", ActiveValue: "1"},
		"tls_ca_cert_dir":                        {TokenInfoURL: "https://x/", CADir: "/nonexistent"},
		"certificates of authorities":            {TokenInfoURL: "https://x/", CAFile: "/nonexistent"},
		"grant_url is used with use_grant_passw": {GrantURL: "https://x/", ClientID: "x"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", o, err, want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	i := newIssuer(f)
	p := i.passdb(nil)
	for _, seed := range []string{"", "a.b.c", i.sign(jose.RS256, i.with(claims{"email": "bob"}), nil), i.sign(jose.HS256, i.with(claims{"exp": "x"}), nil)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if got := verify(t, p, token); got == "ok" {
			t.Fatalf("%q was taken", token)
		}
	})
}

func FuzzFlatten(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,"b",{"c":null}],"d":{"e":true,"a":2}}`, `[]`, `{"a":1}{"b":2}`, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		flat, err := flatten(b, false)
		deep, err2 := flatten(b, true)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%q: %v, deep %v", b, err, err2)
		}
		for key, value := range flat {
			if deep[key] != value {
				t.Fatalf("%q: %s is %q outside, %q with what is within", b, key, value, deep[key])
			}
		}
	})
}

func BenchmarkLocalValidation(b *testing.B) {
	i := newIssuer(b)
	p := i.passdb(nil)
	for _, alg := range []jose.SignatureAlgorithm{jose.HS256, jose.RS256, jose.ES256, jose.EdDSA} {
		token := i.sign(alg, i.with(nil), nil)
		b.Run(string(alg), func(b *testing.B) {
			for b.Loop() {
				if got := verify(b, p, token); got != "ok" {
					b.Fatal(got)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
		})
	}
}
