package oauth2

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"dovetail/auth"
)

// site is an authorization server. Tokens "good" are ann's; what else a test needs stands in answers, by token.
type site struct {
	*httptest.Server
	answers map[string]answer

	mu   sync.Mutex
	seen []string // what was asked, sorted out
}

type answer struct {
	status int
	body   string
}

func newSite(t *testing.T, start func(http.Handler) *httptest.Server, answers map[string]answer) *site {
	s := &site{answers: answers}
	s.Server = start(s)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(s.Close)
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	token, form := r.Form.Get("token"), r.PostForm.Encode()
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	if r.URL.Path == "/grant" {
		token = r.PostForm.Get("password")
	}
	user, _, _ := r.BasicAuth()
	s.mu.Lock()
	s.seen = append(s.seen, strings.Join([]string{r.Method, r.URL.String(), form, r.Header.Get("X-Dovecot-Auth-Remote"), user}, " "))
	a, ok := s.answers[r.URL.Path+" "+token]
	if !ok {
		a, ok = s.answers[token]
	}
	s.mu.Unlock()
	if !ok {
		a = answer{401, `{"error":"invalid_token"}`}
	}
	if a.status == 302 {
		w.Header().Set("Location", a.body)
	}
	w.WriteHeader(a.status)
	fmt.Fprint(w, a.body)
}

func (s *site) asked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.seen, "\n")
}

const annIs = `{"active":true,"email":"ann@example.org","scope":"mail openid","groups":["a","b"],"deep":{"email":"root"},"nothing":null}`

func remote(t *testing.T, o Options) *PassDB {
	t.Helper()
	o.Log, o.ActiveAttribute, o.ActiveValue = slog.New(slog.DiscardHandler), "active", "true"
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// Each way of asking, what the server gets of it, and what it may answer.
func TestRemoteValidation(t *testing.T) {
	s := newSite(t, httptest.NewServer, map[string]answer{
		"good": {200, annIs}, "s p+a/c=e&": {200, annIs},
		"bob":      {200, `{"active":true,"email":"bob@example.org"}`},
		"inactive": {200, `{"active":false}`}, "nameless": {200, `{"active":true}`},
		"empty": {200, ""}, "html": {200, "<html>"}, "two": {200, "{}{}"}, "list": {200, "[]"},
		"broken": {500, "x"}, "busy": {429, "x"}, "gone": {404, "x"}, "mac": {200, `{"token_type":"mac","email":"ann@example.org","active":true}`},
		"away": {302, "http://127.0.0.1:1/elsewhere"}, "long": {200, `{"a":"` + strings.Repeat("x", maxAnswer) + `"}`},
		"/grant right": {200, `{"access_token":"good","token_type":"Bearer"}`}, "/grant wrong": {400, `{"error":"invalid_grant"}`},
		"/grant client": {400, `{"error":"invalid_client"}`}, "/grant less": {200, `{}`}, "/grant words": {401, ``},
	})
	host := strings.TrimPrefix(s.URL, "http://")
	auto := Options{IntrospectionURL: s.URL + "/me"}
	get := Options{IntrospectionURL: s.URL + "/me?token=", Mode: "get", ClientID: "me&", ClientSecret: "s3cret"}
	post := Options{IntrospectionURL: s.URL + "/me", Mode: "post", ClientID: "me", ClientSecret: "s3cret"}
	info := Options{TokenInfoURL: s.URL + "/info?token="}
	both := Options{TokenInfoURL: s.URL + "/info?token=", IntrospectionURL: s.URL + "/me", ForceIntrospection: true}
	grant := Options{GrantPassword: true, GrantURL: s.URL + "/grant", IntrospectionURL: s.URL + "/me", ClientID: "me", ClientSecret: "s3cret", Scope: []string{"mail"}}
	const secrets = "client_id=me&client_secret=s3cret"
	for _, tc := range []struct {
		name  string
		o     Options
		token string
		want  string
		asked string
	}{
		{"auth", auto, "good", "ok", "GET /me   "},
		{"get", get, "s p+a/c=e&", "ok", "GET /me?token=s+p%2Ba%2Fc%3De%26&client_id=me%26&client_secret=s3cret   "},
		{"post", post, "good", "ok", "POST /me " + secrets + "&token=good  "},
		{"token info", info, "good", "ok", "GET /info?token=good   "},
		{"token info and introspection", both, "good", "ok", "GET /info?token=good   \nGET /me   "},
		{"password grant", grant, "right", "ok", "POST /grant " + secrets + "&grant_type=password&password=right&scope=mail&username=ann%40example.org  \nGET /me   "},

		{"a refused token", auto, "x", "mismatch Introspection failed: Provided token is not valid", ""},
		{"a refused token, token info", info, "x", "mismatch Token validation failed: Invalid token", ""},
		{"we are refused", post, "x", "down Introspection failed: the server refuses to answer: invalid_token", ""},
		{"an inactive token", post, "inactive", "mismatch Introspection failed: Provided token is not valid", ""},
		{"another user", auto, "bob", "unknown Introspection failed: Username 'ann@example.org' did not match 'bob@example.org'", ""},
		{"no user", auto, "nameless", `down Introspection failed: No username returned: the attribute "email" is missing`, ""},
		{"an empty answer", auto, "empty", `down Introspection failed: No username returned: the attribute "email" is missing`, ""},
		{"an answer that is a page", auto, "html", "down Introspection failed: Invalid response data: not a JSON object", ""},
		{"an answer of two", auto, "two", "down Introspection failed: Invalid response data: more than a JSON object", ""},
		{"an array", auto, "list", "down Introspection failed: Invalid response data: not a JSON object", ""},
		{"an answer that does not end", auto, "long", "down Introspection failed: " + host + ": the answer is longer than 1048576 bytes", ""},
		{"a broken server", auto, "broken", "down Introspection failed: " + host + " answered 500 Internal Server Error", ""},
		{"a busy server", info, "busy", "down Token validation failed: " + host + " answered 429 Too Many Requests", ""},
		{"a wrong address", info, "gone", "down Token validation failed: " + host + " answered 404 Not Found", ""},
		{"another kind of token", auto, "mac", "down Introspection failed: Expected Bearer token, got 'mac'", ""},
		{"a server that sends us elsewhere", auto, "away", "down Introspection failed: " + host + ": redirection to another server", ""},
		{"a wrong password", grant, "wrong", "mismatch Password grant failed: invalid_grant", ""},
		{"we are refused, grant", grant, "client", "down Password grant failed: invalid_client", ""},
		{"a grant without a token", grant, "less", "down Password grant failed: OAuth2 token missing from reply", ""},
		{"a grant without words", grant, "words", "down Password grant failed: OAuth2 server returned failure without error field", ""},
	} {
		s.mu.Lock()
		s.seen = nil
		s.mu.Unlock()
		_, err := remote(t, tc.o).Verify(t.Context(), &auth.Request{User: "ann@example.org"}, tc.token)
		if got := outcome(err); got != tc.want {
			t.Errorf("%s: %s\nwant %s", tc.name, got, tc.want)
		}
		if tc.asked != "" && s.asked() != tc.asked {
			t.Errorf("%s: the server was asked\n%s\nwant\n%s", tc.name, s.asked(), tc.asked)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the log has a secret: %v", tc.name, err)
		}
	}
}

func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	kind := "down"
	for name, known := range map[string]error{"mismatch": auth.ErrMismatch, "unknown": auth.ErrUnknown, "disabled": auth.ErrDisabled} {
		if errors.Is(err, known) {
			kind = name
		}
	}
	return kind + " " + strings.TrimPrefix(err.Error(), "oauth2 failed: ")
}

// Fields of answers: nothing of objects within, and what the operator makes of them.
func TestFieldsOfAnswers(t *testing.T) {
	s := newSite(t, httptest.NewServer, map[string]answer{"good": {200, annIs}})
	p := remote(t, Options{IntrospectionURL: s.URL, SendAuthHeaders: true, Fields: []Field{{"groups", template(t, "%{oauth2:groups}")}}})
	r := &auth.Request{User: "ann@example.org", Remote: netip.MustParseAddrPort("192.0.2.1:4711")}
	got, err := p.Verify(t.Context(), r, "good")
	if err != nil || got.Value("groups") != "a b" || got.Value("token") != "good" || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if !strings.Contains(s.asked(), " 192.0.2.1:4711 ") {
		t.Errorf("no address in %s", s.asked())
	}
	address, _ := url.Parse(s.URL)
	address.User = url.UserPassword("service", "pw")
	p = remote(t, Options{IntrospectionURL: address.String(), Mode: "auth"})
	p.Verify(t.Context(), r, "good")
	if !strings.HasSuffix(s.asked(), " service") {
		t.Errorf("a name in the address is not used: %s", s.asked())
	}
}

// A server that is down is a temporary failure at once, and the next token is checked when it is back; no token, no
// secret and no password is in any message.
func TestAServerThatIsDown(t *testing.T) {
	s := newSite(t, httptest.NewServer, map[string]answer{"good-token": {200, annIs}})
	address := s.Listener.Addr().String()
	s.Close()
	for _, o := range []Options{
		{IntrospectionURL: "http://" + address + "/me?t=", Mode: "get", ClientID: "me", ClientSecret: "s3cret"},
		{TokenInfoURL: "http://" + address + "/info?token="},
		{GrantPassword: true, GrantURL: "http://" + address, ClientID: "me", ClientSecret: "s3cret"},
		{Mode: "local", JWKS: "http://" + address + "/keys"},
	} {
		token := "good-token"
		if o.Mode == "local" {
			i := newIssuer(t)
			token = i.sign(jose.RS256, i.with(nil), nil)
		}
		_, err := remote(t, o).Verify(t.Context(), &auth.Request{User: "ann@example.org"}, token)
		got := outcome(err)
		if !strings.HasPrefix(got, "down ") || !strings.Contains(got, "refused") {
			t.Errorf("%+v: %s", o, got)
		}
		if strings.Contains(got, token) || strings.Contains(got, "s3cret") {
			t.Errorf("a secret in %s", got)
		}
		if refusal, ok := errors.AsType[*auth.Refusal](err); !ok || refusal.Level != slog.LevelError {
			t.Errorf("%v is not logged as an error", err)
		}
	}
}

// A server that does not answer holds nobody longer than he wants to wait.
func TestAServerThatIsSilent(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-release }))
	defer s.Close()
	defer close(release)
	p := remote(t, Options{IntrospectionURL: s.URL, Timeout: 10 * time.Millisecond})
	if _, err := p.Verify(t.Context(), &auth.Request{User: "ann"}, "good"); !strings.HasPrefix(outcome(err), "down ") {
		t.Error(outcome(err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p = remote(t, Options{IntrospectionURL: s.URL})
	if _, err := p.Verify(ctx, &auth.Request{User: "ann"}, "good"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	s := newSite(t, httptest.NewTLSServer, map[string]answer{"good": {200, annIs}})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	wrongName := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	for _, tc := range []struct {
		name string
		o    Options
		want string
	}{
		{"a trusted certificate", Options{IntrospectionURL: s.URL, CAFile: ca}, "ok"},
		{"in a folder", Options{IntrospectionURL: s.URL, CADir: filepath.Dir(ca)}, "ok"},
		{"an unknown authority", Options{IntrospectionURL: s.URL}, "unknown authority"},
		{"another name", Options{IntrospectionURL: wrongName, CAFile: ca}, "not localhost"},
		{"any certificate", Options{IntrospectionURL: wrongName, AllowInvalidCert: true}, "ok"},
	} {
		_, err := remote(t, tc.o).Verify(t.Context(), &auth.Request{User: "ann@example.org"}, "good")
		if got := outcome(err); got != tc.want && !(strings.HasPrefix(got, "down ") && strings.Contains(got, tc.want)) {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// keyServer serves a set of keys and counts.
type keyServer struct {
	*httptest.Server
	set   atomic.Value // []byte
	asked atomic.Int32
	down  atomic.Bool
}

func newKeyServer(t *testing.T) *keyServer {
	k := &keyServer{}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.asked.Add(1)
		if k.down.Load() {
			w.WriteHeader(503)
			return
		}
		w.Write(k.set.Load().([]byte))
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *keyServer) publish(t *testing.T, keys ...any) {
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	k.set.Store(b)
}

func TestKeySet(t *testing.T) {
	i, next := newIssuer(t), newIssuer(t)
	now := i.now
	server := newKeyServer(t)
	jwk := func(kid, alg, use string, key any) jose.JSONWebKey {
		return jose.JSONWebKey{KeyID: kid, Algorithm: alg, Use: use, Key: key}
	}
	server.publish(t, jwk("1", "RS256", "sig", i.rsa.Public()), jwk("ec", "", "", i.ec.Public()), jwk("enc", "", "enc", i.rsa.Public()),
		jwk("shared", "HS256", "sig", i.hs), map[string]string{"kty": "new kind"}, "not a key")
	p := i.passdb(func(o *Options) { o.KeyPrefix, o.JWKS, o.Now = "", server.URL, func() time.Time { return now } })
	kid := func(id string) map[jose.HeaderKey]any { return map[jose.HeaderKey]any{"kid": id} }
	const failed = "oauth2 failed: Local validation failed: "
	check := func(name, token, want string, fetches int32) {
		t.Helper()
		if got := verify(t, p, token); got != want || server.asked.Load() != fetches {
			t.Errorf("%s: %s after %d fetches, want %s after %d", name, got, server.asked.Load(), want, fetches)
		}
	}
	check("the first", i.sign(jose.RS256, i.with(nil), kid("1")), "ok", 1)
	check("another kind of key", i.sign(jose.ES256, i.with(nil), kid("ec")), "ok", 1)
	check("no id, one that fits", i.sign(jose.ES256, i.with(nil), nil), "ok", 1)
	check("another algorithm than the key's", i.sign(jose.PS256, i.with(nil), kid("1")), failed+"PS256 key '1' not found", 1)
	check("a key for encryption", i.sign(jose.RS256, i.with(nil), kid("enc")), failed+"RS256 key 'enc' not found", 1)
	check("a shared secret that everybody can read", i.sign(jose.HS256, i.with(nil), kid("shared")), failed+"HS256 key 'shared' not found", 1)
	rotated := next.sign(jose.RS256, i.with(nil), kid("2"))
	server.publish(t, jwk("1", "RS256", "sig", i.rsa.Public()), jwk("2", "RS256", "sig", next.rsa.Public()))
	check("a new key, too soon to be asked for", rotated, failed+"RS256 key '2' not found", 1)
	now = now.Add(31 * time.Second)
	check("a new key", rotated, "ok", 2)
	check("an id that nobody has", i.sign(jose.RS256, i.with(nil), kid("3")), failed+"RS256 key '3' not found", 2)
}

// While the server is down known keys serve, unknown ones are a temporary failure; and it is asked again after a pause.
func TestKeySetWhoseServerIsDown(t *testing.T) {
	i := newIssuer(t)
	now := i.now
	server := newKeyServer(t)
	server.down.Store(true)
	server.publish(t, jose.JSONWebKey{KeyID: "1", Key: i.rsa.Public()})
	p := i.passdb(func(o *Options) {
		o.KeyPrefix, o.JWKS, o.Now, o.Grace = "", server.URL, func() time.Time { return now }, 100*time.Hour
	})
	token := i.sign(jose.RS256, i.with(nil), map[jose.HeaderKey]any{"kid": "1"})
	if got := verify(t, p, token); !strings.Contains(got, "keys cannot be fetched") || !strings.Contains(got, "503") {
		t.Error(got)
	}
	server.down.Store(false)
	now = now.Add(6 * time.Second)
	if got := verify(t, p, token); got != "ok" {
		t.Error(got)
	}
	server.down.Store(true)
	now = now.Add(2 * time.Hour)
	if got := verify(t, p, token); got != "ok" || server.asked.Load() != 3 {
		t.Errorf("%s after %d fetches", got, server.asked.Load())
	}
	other := i.sign(jose.RS256, i.with(nil), map[jose.HeaderKey]any{"kid": "2"})
	_, err := p.Verify(t.Context(), &auth.Request{User: "ann@example.org"}, other)
	if !strings.HasPrefix(outcome(err), "down ") {
		t.Error(outcome(err))
	}
	server.down.Store(false)
	server.set.Store([]byte("<html>"))
	now = now.Add(6 * time.Second)
	if got := verify(t, p, token); got != "ok" {
		t.Errorf("a page in place of keys: %s", got)
	}
}

// Without files and address of keys the provider's document says where they are.
func TestKeysByDiscovery(t *testing.T) {
	i := newIssuer(t)
	keys, err := json.Marshal(map[string]any{"keys": []any{jose.JSONWebKey{KeyID: "1", Key: i.ec.Public()}}})
	if err != nil {
		t.Fatal(err)
	}
	documents := map[string]string{"/jwks": string(keys)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, documents[r.URL.Path]) }))
	defer s.Close()
	documents["/openid"] = `{"issuer":"https://issuer","jwks_uri":"` + s.URL + `/jwks"}`
	documents["/wrong"] = `{"jwks_uri":"file:///etc/passwd"}`
	token := i.sign(jose.ES256, i.with(nil), map[jose.HeaderKey]any{"kid": "1"})
	for path, want := range map[string]string{"/openid": "ok", "/wrong": "has no jwks_uri that can be used", "/nothing": "not a JSON object"} {
		p := i.passdb(func(o *Options) { o.KeyPrefix, o.OpenIDConfiguration = "", s.URL+path })
		if got := verify(t, p, token); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
