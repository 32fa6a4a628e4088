package sasl

import (
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"hash"
	"net"
	"slices"
	"strings"
	"testing"

	xdg "github.com/xdg-go/scram"
)

// The examples of RFC 5802 section 5 and RFC 7677 section 3.
func TestSCRAMOfTheRFCs(t *testing.T) {
	for _, tc := range []struct {
		mechanism, salt, cnonce, snonce, proof, signature string
		hash                                              xdg.HashGeneratorFcn
	}{
		{"SCRAM-SHA-1", "QSXCR+Q6sek8bf92", "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j",
			"v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ=", xdg.SHA1},
		{"SCRAM-SHA-256", "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
			"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", xdg.SHA256},
	} {
		u := &users{stored: map[string]Credentials{tc.mechanism + " user": {Scheme: tc.mechanism, Raw: []byte(stored(t, tc.hash, "pencil", tc.salt, 4096))}}}
		nonce := tc.cnonce + tc.snonce
		challenges, end := talk(t, tc.mechanism, u, Config{nonce: tc.snonce}, "n,,n=user,r="+tc.cnonce, "c=biws,r="+nonce+",p="+tc.proof)
		want := []string{"r=" + nonce + ",s=" + tc.salt + ",i=4096", "v=" + tc.signature}
		if end != "ok" || !slices.Equal(challenges, want) {
			t.Errorf("%s: %q, %s", tc.mechanism, challenges, end)
		}
	}
}

// stored makes "iterations,salt,StoredKey,ServerKey" with the other implementation.
func stored(t testing.TB, hash xdg.HashGeneratorFcn, password, salt string, iterations int) string {
	t.Helper()
	c, err := hash.NewClientUnprepped("", password, "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		t.Fatal(err)
	}
	k, err := c.GetStoredCredentialsWithError(xdg.KeyFactors{Salt: string(s), Iters: iterations})
	if err != nil {
		t.Fatal(err)
	}
	b := base64.StdEncoding.EncodeToString
	return strings.Join([]string{"4096", salt, b(k.StoredKey), b(k.ServerKey)}, ",")
}

// converse runs a client of the library against our server; it gives the server's end and whether the client is sure of
// the server.
func converse(t testing.TB, mechanism string, b Backend, config Config, c *xdg.ClientConversation) (end string, valid bool) {
	t.Helper()
	s, err := New(mechanism, b, config)
	if err != nil {
		t.Fatal(err)
	}
	challenge, done := []byte{}, false
	for {
		response, err := c.Step(string(challenge))
		if done || err != nil {
			return map[bool]string{true: "ok", false: "client gave up"}[done], c.Valid()
		}
		if challenge, done, err = s.Next(t.Context(), []byte(response)); err != nil {
			return err.Error(), c.Valid()
		}
	}
}

func TestAnotherSCRAM(t *testing.T) {
	name := "o=,ann"
	hashes := map[string]xdg.HashGeneratorFcn{"SCRAM-SHA-1": xdg.SHA1, "SCRAM-SHA-256": xdg.SHA256}
	for mechanism, hash := range hashes {
		raw := []byte(stored(t, hash, "päss", "W22ZaJ0SNY7soEsUEjb6gQ==", 4096))
		for where, u := range map[string]*users{
			"in clear": {clear: map[string]string{name: "päss"}},
			"stored":   {stored: map[string]Credentials{mechanism + " " + name: {Scheme: mechanism, Raw: raw}}},
		} {
			for password, want := range map[string]string{"päss": "ok", "pass": "Password mismatch"} {
				c, err := hash.NewClient(name, password, "boss")
				if err != nil {
					t.Fatal(err)
				}
				if end, valid := converse(t, mechanism, u, Config{}, c.NewConversation()); end != want || valid != (want == "ok") {
					t.Errorf("%s %s, password %s: %s, client is sure: %v", mechanism, where, password, end, valid)
				}
				if want := "credentials " + mechanism + " " + name + " boss"; u.seen[0] != want {
					t.Errorf("asked for %q, want %q", u.seen[0], want)
				}
			}
		}
	}
}

// channels gives both ends of a TLS connection.
func channels(t *testing.T, version uint16) (client, server tls.ConnectionState, cert tls.Certificate) {
	t.Helper()
	cert, _ = certificate(t)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := tls.Client(a, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
	s := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true})
	done := make(chan error, 1)
	go func() { done <- s.Handshake() }()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState(), s.ConnectionState(), cert
}

// The library makes the data of a channel from the client's end, we from the server's.
func TestChannelBinding(t *testing.T) {
	u := &users{clear: map[string]string{"ann": "pw"}}
	for _, tc := range []struct {
		kind    xdg.ChannelBindingType
		version uint16
	}{
		{xdg.ChannelBindingTLSExporter, tls.VersionTLS13}, {xdg.ChannelBindingTLSExporter, tls.VersionTLS12},
		{xdg.ChannelBindingTLSUnique, tls.VersionTLS12}, {xdg.ChannelBindingTLSServerEndpoint, tls.VersionTLS13},
	} {
		client, server, cert := channels(t, tc.version)
		other, _, _ := channels(t, tc.version)
		for end, state := range map[string]tls.ConnectionState{"ok": client, "Invalid channel binding data": other} {
			binding, err := bindingOf(tc.kind, &state)
			if err != nil {
				t.Fatal(err)
			}
			c, err := xdg.SHA256.NewClient("ann", "pw", "")
			if err != nil {
				t.Fatal(err)
			}
			config := Config{Bindings: Bindings(server, cert.Leaf), PlusOffered: true}
			got, _ := converse(t, "SCRAM-SHA-256-PLUS", u, config, c.NewConversationWithChannelBinding(binding))
			if got != end {
				t.Errorf("%s in TLS %x: %s, want %s", tc.kind, tc.version, got, end)
			}
		}
	}
	_, server, cert := channels(t, tls.VersionTLS13)
	if all := Bindings(server, cert.Leaf); all["tls-unique"] != nil {
		t.Error("TLS 1.3 has no tls-unique")
	}
	if all := Bindings(tls.ConnectionState{}, nil); len(all) != 0 {
		t.Errorf("no channel gave %v", all)
	}
}

func bindingOf(kind xdg.ChannelBindingType, state *tls.ConnectionState) (xdg.ChannelBinding, error) {
	switch kind {
	case xdg.ChannelBindingTLSExporter:
		return xdg.NewTLSExporterBinding(state)
	case xdg.ChannelBindingTLSUnique:
		return xdg.NewTLSUniqueBinding(state.TLSUnique), nil
	}
	return xdg.NewTLSServerEndpointBinding(state)
}

// Client messages that are refused at once.
func TestSCRAMMessages(t *testing.T) {
	bound := Config{nonce: "srv", Bindings: map[string][]byte{"tls-exporter": []byte("data")}, PlusOffered: true}
	for _, tc := range []struct {
		name, mechanism string
		config          Config
		responses       []string
		end             string
	}{
		{"nothing", "SCRAM-SHA-1", Config{}, []string{""}, "Invalid initial client message: Missing first ',' in GS2 header"},
		{"one comma", "SCRAM-SHA-1", Config{}, []string{"n,a=x"}, "Invalid initial client message: Missing second ',' in GS2 header"},
		{"no nonce", "SCRAM-SHA-1", Config{}, []string{"n,,n=user"}, "Invalid initial client message: Missing nonce field"},
		{"an empty nonce", "SCRAM-SHA-1", Config{}, []string{"n,,n=user,r="}, "Invalid client nonce"},
		{"a nonce that cannot be printed", "SCRAM-SHA-1", Config{}, []string{"n,,n=user,r=a\x7f"}, "Invalid client nonce"},
		{"another flag", "SCRAM-SHA-1", Config{}, []string{"x,,n=user,r=abc"}, "Invalid GS2 header"},
		{"a mandatory extension", "SCRAM-SHA-1", Config{}, []string{"n,,m=x,n=user,r=abc"}, "Mandatory extension(s) not supported"},
		{"an empty name", "SCRAM-SHA-1", Config{}, []string{"n,,n=,r=abc"}, "Empty username"},
		{"no name", "SCRAM-SHA-1", Config{}, []string{"n,,x=user,r=abc"}, "Invalid username field"},
		{"a wrong escape in the name", "SCRAM-SHA-1", Config{}, []string{"n,,n=a=b,r=abc"}, "Username escaping is invalid"},
		{"a wrong authzid", "SCRAM-SHA-1", Config{}, []string{"n,x,n=user,r=abc"}, "Invalid authzid field: no a="},
		{"binding without -PLUS", "SCRAM-SHA-1", bound, []string{"p=tls-exporter,,n=user,r=abc"}, "Channel binding not supported"},
		{"-PLUS without binding", "SCRAM-SHA-1-PLUS", bound, []string{"n,,n=user,r=abc"}, "Channel binding required by the mechanism is missing"},
		{"a kind of binding that there is not", "SCRAM-SHA-1-PLUS", bound, []string{"p=tls-unique,,n=user,r=abc"}, `Unsupported channel binding type "tls-unique"`},
		{"someone removed -PLUS from our list", "SCRAM-SHA-1", bound, []string{"y,,n=user,r=abc"}, "Client believes that channel binding is not supported: mechanisms were removed on the way"},
		{"we have no -PLUS", "SCRAM-SHA-1", Config{}, []string{"y,,n=user,r=abc"}, "goes on"},
		{"no binding", "SCRAM-SHA-1", Config{nonce: "srv"}, []string{"n,,n=user,r=abc", "c=eSws,r=abcsrv,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "Invalid channel binding data"},
		{"binding to nothing", "SCRAM-SHA-1-PLUS", bound, []string{"p=tls-exporter,,n=user,r=abc", "c=cD10bHMtZXhwb3J0ZXIsLA==,r=abcsrv,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "Invalid channel binding data"},
		{"another nonce", "SCRAM-SHA-1", Config{nonce: "srv"}, []string{"n,,n=user,r=abc", "c=biws,r=abcsr,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "Wrong nonce"},
		{"half a proof", "SCRAM-SHA-1", Config{nonce: "srv"}, []string{"n,,n=user,r=abc", "c=biws,r=abcsrv,p=AAAA"}, "Invalid ClientProof length"},
		{"no proof", "SCRAM-SHA-1", Config{nonce: "srv"}, []string{"n,,n=user,r=abc", "c=biws,r=abcsrv,x=AAAA"}, "Invalid ClientProof"},
		{"a proof that is not base64", "SCRAM-SHA-1", Config{nonce: "srv"}, []string{"n,,n=user,r=abc", "c=biws,r=abcsrv,p=!"}, "Invalid base64 encoding"},
		{"two fields", "SCRAM-SHA-1", Config{nonce: "srv"}, []string{"n,,n=user,r=abc", "c=biws,r=abcsrv"}, "Invalid final client message"},
		{"an unknown user is told at the end", "SCRAM-SHA-1", Config{nonce: "srv"}, []string{"n,,n=nobody,r=abc", "c=biws,r=abcsrv,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "no nobody: refused"},
		{"a wrong proof", "SCRAM-SHA-1", Config{nonce: "srv"}, []string{"n,,n=user,r=abc", "c=biws,r=abcsrv,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "Password mismatch"},
	} {
		if _, end := talk(t, tc.mechanism, tim, tc.config, tc.responses...); end != tc.end {
			t.Errorf("%s: %q gave %q, want %q", tc.name, tc.responses, end, tc.end)
		}
	}
}

// A name's salt is the same each time and another than that of any other name, whether there is such a user or not; and
// someone who made up a password for an unknown name does not get in with it.
func TestSaltsOfUnknownUsers(t *testing.T) {
	salt := func(name string, secret string) string {
		challenges, end := talk(t, "SCRAM-SHA-256", tim, Config{Secret: []byte(secret)}, "n,,n="+name+",r=abc")
		if end != "goes on" {
			t.Fatal(end)
		}
		parts := strings.Split(challenges[0], ",")
		if parts[2] != "i=4096" || len(parts[1]) != len("s=W22ZaJ0SNY7soEsUEjb6gQ==") {
			t.Fatalf("%s got %q", name, challenges[0])
		}
		return parts[1]
	}
	seen := map[string]string{}
	for _, name := range []string{"tim", "nobody", "nobody2"} {
		if first, again := salt(name, "s"), salt(name, "s"); first != again || salt(name, "s") != salt(strings.ToUpper(name), "s") && name != "tim" || salt(name, "s") == salt(name, "other") {
			t.Errorf("the salt of %s changes, or does not", name)
		}
		if other, ok := seen[salt(name, "s")]; ok {
			t.Errorf("%s and %s have one salt", name, other)
		}
		seen[salt(name, "s")] = name
	}
	for _, password := range []string{"", "x"} {
		c, err := xdg.SHA256.NewClientUnprepped("nobody", password, "")
		if err != nil {
			t.Fatal(err)
		}
		if end, valid := converse(t, "SCRAM-SHA-256", tim, Config{}, c.NewConversation()); end == "ok" || valid {
			t.Errorf("an unknown user with the password %q: %s", password, end)
		}
	}
}

func TestDamagedSCRAMPasswords(t *testing.T) {
	for _, raw := range []string{"", "4096", "0,AAAA,AAAA,AAAA", "x,AAAA,AAAA,AAAA", "4096,!,AAAA,AAAA", "4096,AAAA,AAAA,AAAA", "4294967296,AAAA,AAAA,AAAA",
		"4096,,AAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAA="} {
		u := &users{stored: map[string]Credentials{"SCRAM-SHA-1 ann": {Scheme: "SCRAM-SHA-1", Raw: []byte(raw)}}}
		_, end := talk(t, "SCRAM-SHA-1", u, Config{}, "n,,n=ann,r=abc")
		if !strings.Contains(end, "stored SCRAM password") || strings.Contains(end, "AAAA") {
			t.Errorf("%q: %s", raw, end)
		}
	}
}

// counted is a hash that counts its sums.
type counted struct {
	hash.Hash
	n *int
}

func (c counted) Sum(b []byte) []byte {
	*c.n++
	return c.Hash.Sum(b)
}

// A refusal costs the same number of sums but for a few of thousands, whether the user is unknown or the password wrong, stored or in clear.
func TestRefusalsCostTheSame(t *testing.T) {
	u := &users{clear: map[string]string{"clear": "pw"}, stored: map[string]Credentials{
		"SCRAM-SHA-1 stored": {Scheme: "SCRAM-SHA-1", Raw: []byte(stored(t, xdg.SHA1, "pw", "W22ZaJ0SNY7soEsUEjb6gQ==", 4096))}}}
	costs := map[string]int{}
	for _, name := range []string{"clear", "stored", "unknown"} {
		n := 0
		s := newSCRAM("SCRAM-SHA-1", func() hash.Hash { return counted{sha1.New(), &n} })(u, Config{nonce: "srv"})
		for _, response := range []string{"n,,n=" + name + ",r=abc", "c=biws,r=abcsrv,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="} {
			s.Next(t.Context(), []byte(response))
		}
		costs[name] = n
	}
	if most := costs["clear"]; most < Iterations || costs["unknown"] != most || most-costs["stored"] > 10 {
		t.Errorf("sums that were made: %v", costs)
	}
}
