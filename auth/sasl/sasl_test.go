package sasl

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// users is a Backend: passwords in clear or stored, by name.
type users struct {
	clear  map[string]string
	stored map[string]Credentials // by scheme and name: "CRAM-MD5 tim"
	down   error
	seen   []string // what was asked
}

func (u *users) Verify(_ context.Context, authcid, authzid, password string) error {
	u.seen = append(u.seen, fmt.Sprintf("verify %s %s", authcid, authzid))
	want, ok := u.clear[authcid]
	switch {
	case u.down != nil:
		return u.down
	case !ok || want != password:
		return fmt.Errorf("no: %w", ErrRefused)
	}
	return nil
}

func (u *users) Credentials(_ context.Context, authcid, authzid, scheme string) (Credentials, error) {
	u.seen = append(u.seen, fmt.Sprintf("credentials %s %s %s", scheme, authcid, authzid))
	if u.down != nil {
		return Credentials{}, u.down
	}
	if c, ok := u.stored[scheme+" "+authcid]; ok {
		return c, nil
	}
	if p, ok := u.clear[authcid]; ok {
		return Credentials{Scheme: "PLAIN", Raw: []byte(p)}, nil
	}
	return Credentials{}, fmt.Errorf("no %s: %w", authcid, ErrRefused)
}

func (u *users) Trust(_ context.Context, authcid, authzid string) error {
	u.seen = append(u.seen, fmt.Sprintf("trust %s %s", authcid, authzid))
	return u.down
}

func (u *users) Anonymous(_ context.Context, trace string) error {
	u.seen = append(u.seen, "anonymous "+trace)
	return u.down
}

// talk runs a conversation; a response of "-" is none. It gives the challenges and how it ended: "ok" or the error.
func talk(t *testing.T, name string, b Backend, c Config, responses ...string) (challenges []string, end string) {
	t.Helper()
	s, err := New(name, b, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range responses {
		in := []byte(r)
		if r == "-" {
			in = nil
		}
		challenge, done, err := s.Next(context.Background(), in)
		if err != nil {
			return challenges, err.Error()
		}
		challenges = append(challenges, string(challenge))
		if done {
			return challenges, "ok"
		}
	}
	return challenges, "goes on"
}

func raw(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var tim = &users{clear: map[string]string{"tim": "tanstaaftanstaaf", "tim with blanks": "x", "chris": "secret", "user": "pencil", "mrose": "tanstaaf"}}

// Conversations that are written in RFCs, and mistakes with the words of Dovecot 2.3.19's log.
func TestConversations(t *testing.T) {
	const postoffice = "<1896.697170952@postoffice.reston.mci.net>"
	apop := Config{OwnChallenge: func(c string) bool { return c == "<1896.697170952@dbc.mtview.ca.us>" }}
	apopSum := string(raw(t, "c4c9334bac560ecc979e58001b3e22fb"))
	for _, tc := range []struct {
		name, mechanism string
		config          Config
		responses       []string
		challenges      []string
		end             string
	}{
		{"PLAIN", "PLAIN", Config{}, []string{"\x00tim\x00tanstaaftanstaaf"}, []string{""}, "ok"},
		{"PLAIN in any case, without an initial response", "plain", Config{}, []string{"-", "\x00tim\x00tanstaaftanstaaf"}, []string{"", ""}, "ok"},
		{"PLAIN with a wrong password", "PLAIN", Config{}, []string{"\x00tim\x00tanstaaf"}, nil, "no: refused"},
		{"PLAIN with one part", "PLAIN", Config{}, []string{"tim"}, nil, "invalid input"},
		{"PLAIN with four parts", "PLAIN", Config{}, []string{"\x00tim\x00tanstaaftanstaaf\x00"}, nil, "invalid input"},
		{"PLAIN without a name", "PLAIN", Config{}, []string{"\x00\x00x"}, nil, "invalid input"},
		{"PLAIN of nothing", "PLAIN", Config{}, []string{""}, nil, "invalid input"},
		{"PLAIN that is too long", "PLAIN", Config{}, []string{"\x00tim\x00" + strings.Repeat("x", MaxResponse)}, nil, "response of 16389 bytes is longer than 16384"},

		{"LOGIN", "LOGIN", Config{}, []string{"-", "tim", "tanstaaftanstaaf"}, []string{"Username:", "Password:", ""}, "ok"},
		{"LOGIN with an initial response", "LOGIN", Config{}, []string{"tim", "tanstaaftanstaaf"}, []string{"Password:", ""}, "ok"},
		{"LOGIN with an empty initial response", "LOGIN", Config{}, []string{"", "tim", "x"}, []string{"Username:", "Password:"}, "no: refused"},
		{"LOGIN with an empty name", "LOGIN", Config{}, []string{"-", ""}, []string{"Username:"}, "Empty username"},
		{"LOGIN with a NUL", "LOGIN", Config{}, []string{"-", "tim\x00"}, []string{"Username:"}, "Unexpected NUL in auth data"},

		{"RFC 2195", "CRAM-MD5", Config{nonce: postoffice}, []string{"-", "tim b913a602c7eda7a495b4e6e7334d3890"}, []string{postoffice, ""}, "ok"},
		{"CRAM-MD5 with a wrong sum", "CRAM-MD5", Config{nonce: postoffice}, []string{"-", "tim b913a602c7eda7a495b4e6e7334d3891"}, []string{postoffice}, "Password mismatch"},
		{"CRAM-MD5 with half a sum", "CRAM-MD5", Config{nonce: postoffice}, []string{"-", "tim b913a602c7eda7a4"}, []string{postoffice}, "Password mismatch"},
		{"CRAM-MD5 with a sum and more", "CRAM-MD5", Config{nonce: postoffice}, []string{"-", "tim b913a602c7eda7a495b4e6e7334d389000"}, []string{postoffice}, "Password mismatch"},
		{"CRAM-MD5 of no name", "CRAM-MD5", Config{nonce: postoffice}, []string{"-", " b913a602c7eda7a495b4e6e7334d3890"}, []string{postoffice}, "missing digest"},
		{"CRAM-MD5 of one word", "CRAM-MD5", Config{nonce: postoffice}, []string{"-", "tim"}, []string{postoffice}, "missing digest"},
		{"CRAM-MD5 of an unknown user", "CRAM-MD5", Config{nonce: postoffice}, []string{"-", "x b913a602c7eda7a495b4e6e7334d3890"}, []string{postoffice}, "no x: refused"},

		{"RFC 1939", "APOP", apop, []string{"<1896.697170952@dbc.mtview.ca.us>\x00mrose\x00" + apopSum}, []string{""}, "ok"},
		{"APOP with another's challenge", "APOP", apop, []string{"<1.2@x>\x00mrose\x00" + apopSum}, nil, "invalid challenge"},
		{"APOP where no challenge was given", "APOP", Config{}, []string{"<1.2@x>\x00mrose\x00" + apopSum}, nil, "invalid challenge"},
		{"APOP with a wrong sum", "APOP", apop, []string{"<1896.697170952@dbc.mtview.ca.us>\x00tim\x00" + apopSum}, nil, "Password mismatch"},
		{"APOP with half a sum", "APOP", apop, []string{"<1896.697170952@dbc.mtview.ca.us>\x00mrose\x00" + apopSum[:8]}, nil, "malformed data"},
		{"APOP of two parts", "APOP", apop, []string{"<1896.697170952@dbc.mtview.ca.us>\x00mrose"}, nil, "malformed data"},
		{"APOP of nothing", "APOP", apop, []string{"-"}, nil, "no initial response"},
		{"APOP without a name", "APOP", apop, []string{"<1896.697170952@dbc.mtview.ca.us>\x00\x00" + apopSum}, nil, "Empty username"},

		{"EXTERNAL", "EXTERNAL", Config{External: "ann"}, []string{""}, []string{""}, "ok"},
		{"EXTERNAL, asked first", "EXTERNAL", Config{External: "ann"}, []string{"-", ""}, []string{"", ""}, "ok"},
		{"EXTERNAL without a certificate", "EXTERNAL", Config{}, []string{"ann"}, nil, "username not known"},
		{"EXTERNAL with a NUL", "EXTERNAL", Config{External: "ann"}, []string{"a\x00"}, nil, "Unexpected NUL in auth data"},

		{"ANONYMOUS", "ANONYMOUS", Config{}, []string{"sirhc"}, []string{""}, "ok"},
		{"ANONYMOUS that says nothing", "ANONYMOUS", Config{}, []string{"-", ""}, []string{"", ""}, "ok"},
		{"ANONYMOUS that says too much", "ANONYMOUS", Config{}, []string{strings.Repeat("ä", 256)}, nil, "invalid input"},
		{"ANONYMOUS with a line of its own for the log", "ANONYMOUS", Config{}, []string{"a\nb"}, nil, "invalid input"},
		{"ANONYMOUS that is not UTF-8", "ANONYMOUS", Config{}, []string{"\xff"}, nil, "invalid input"},
	} {
		challenges, end := talk(t, tc.mechanism, tim, tc.config, tc.responses...)
		if end != tc.end || !slices.Equal(challenges, tc.challenges) {
			t.Errorf("%s: %q gave %q, %s\nwant %q, %s", tc.name, tc.responses, challenges, end, tc.challenges, tc.end)
		}
	}
}

func TestBearer(t *testing.T) {
	u := &users{clear: map[string]string{"ann@example.org": "T0k.en", "a,b=c": "T0k.en"}}
	const (
		refused  = `{"status":"invalid_token"}`
		refused2 = `{"status":"401","schemes":"bearer","scope":"mail"}`
	)
	for _, tc := range []struct {
		name, mechanism string
		responses       []string
		challenges      []string
		end             string
	}{
		{"RFC 7628 section 4.1", "OAUTHBEARER", []string{"n,a=ann@example.org,\x01host=server.example.com\x01port=143\x01auth=Bearer T0k.en\x01\x01"}, []string{""}, "ok"},
		{"asked first", "OAUTHBEARER", []string{"-", "n,a=ann@example.org,\x01auth=bearer T0k.en\x01\x01"}, []string{"", ""}, "ok"},
		{"a name with escapes", "OAUTHBEARER", []string{"y,a=a=2Cb=3Dc,\x01auth=Bearer T0k.en\x01\x01"}, []string{""}, "ok"},
		{"a name with a wrong escape", "OAUTHBEARER", []string{"n,a=a=2cb,\x01auth=Bearer T0k.en\x01\x01"}, nil, "Invalid username escaping"},
		{"a refused token is answered, and the client's dummy too", "OAUTHBEARER", []string{"n,a=ann@example.org,\x01auth=Bearer x\x01\x01", "\x01"}, []string{refused}, "no: refused"},
		{"the right token comes too late after that", "OAUTHBEARER", []string{"n,a=ann@example.org,\x01auth=Bearer x\x01\x01", "n,a=ann@example.org,\x01auth=Bearer T0k.en\x01\x01"}, []string{refused}, "no: refused"},
		{"a token twice counts as the last", "OAUTHBEARER", []string{"n,a=ann@example.org,\x01auth=Bearer x\x01auth=Bearer T0k.en\x01\x01"}, []string{""}, "ok"},
		{"channel binding", "OAUTHBEARER", []string{"p=tls-unique,a=ann@example.org,\x01auth=Bearer T0k.en\x01\x01"}, nil, "Client requested and used channel-binding"},
		{"F", "OAUTHBEARER", []string{"f,a=ann@example.org,\x01auth=Bearer T0k.en\x01\x01"}, nil, "Client requested non-standard mechanism"},
		{"another letter", "OAUTHBEARER", []string{"z,a=ann@example.org,\x01auth=Bearer T0k.en\x01\x01"}, nil, "Invalid gs2-header in request"},
		{"no name", "OAUTHBEARER", []string{"n,,\x01auth=Bearer T0k.en\x01\x01"}, nil, "Missing username or token"},
		{"no token", "OAUTHBEARER", []string{"n,a=ann@example.org,\x01\x01"}, nil, "Missing username or token"},
		{"nothing", "OAUTHBEARER", []string{""}, nil, "Invalid continued data"},
		{"another kind of token", "OAUTHBEARER", []string{"n,a=ann@example.org,\x01auth=Basic T0k.en\x01\x01"}, nil, "Invalid continued data"},
		{"a token with a line end", "OAUTHBEARER", []string{"n,a=ann@example.org,\x01auth=Bearer T0k.en\r\nX: y\x01\x01"}, nil, "Invalid continued data"},

		{"XOAUTH2", "XOAUTH2", []string{"user=ann@example.org\x01auth=Bearer T0k.en\x01\x01"}, []string{""}, "ok"},
		{"XOAUTH2 refused", "XOAUTH2", []string{"user=ann@example.org\x01auth=Bearer x\x01\x01", ""}, []string{refused2}, "no: refused"},
		{"XOAUTH2 without a name", "XOAUTH2", []string{"auth=Bearer x\x01\x01"}, nil, "Username or token missing"},
		{"XOAUTH2 without a token", "XOAUTH2", []string{"user=ann\x01\x01"}, nil, "Username or token missing"},
		{"XOAUTH2 with a token of nothing", "XOAUTH2", []string{"user=ann\x01auth=Bearer \x01\x01"}, nil, "Invalid continued data"},
	} {
		challenges, end := talk(t, tc.mechanism, u, Config{}, tc.responses...)
		if end != tc.end || !slices.Equal(challenges, tc.challenges) {
			t.Errorf("%s: %q gave %q, %s\nwant %q, %s", tc.name, tc.responses, challenges, end, tc.challenges, tc.end)
		}
	}
	config := Config{OpenIDConfiguration: `https://example.org/"x"?a&b`}
	challenges, _ := talk(t, "OAUTHBEARER", u, config, "n,a=ann,\x01auth=Bearer x\x01\x01")
	if want := []string{`{"status":"invalid_token","openid-configuration":"https://example.org/\"x\"?a&b"}`}; !slices.Equal(challenges, want) {
		t.Errorf("with a configuration: %q, want %q", challenges, want)
	}
	challenges, end := talk(t, "OAUTHBEARER", &users{down: errors.New("down")}, Config{}, "n,a=ann,\x01auth=Bearer x\x01\x01")
	if len(challenges) != 0 || end != "down" {
		t.Errorf("a database that is down: %q, %s", challenges, end)
	}
}

// Who logs in as another is asked for under both names, and under one where they are the same.
func TestAuthorizationNames(t *testing.T) {
	for _, tc := range []struct {
		mechanism, response, want string
		config                    Config
	}{
		{"PLAIN", "ann\x00boss\x00x", "verify boss ann", Config{}},
		{"PLAIN", "boss\x00boss\x00x", "verify boss ", Config{}},
		{"EXTERNAL", "ann", "trust boss ann", Config{External: "boss"}},
		{"EXTERNAL", "boss", "trust boss ", Config{External: "boss"}},
		{"SCRAM-SHA-1", "n,a=ann=2Cx,n=boss,r=abc", "credentials SCRAM-SHA-1 boss ann,x", Config{}},
		{"SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=boss,r=abc", "credentials SCRAM-SHA-256 boss ", Config{Bindings: map[string][]byte{"tls-exporter": {1}}}},
	} {
		u := &users{}
		talk(t, tc.mechanism, u, tc.config, tc.response)
		if !slices.Equal(u.seen, []string{tc.want}) {
			t.Errorf("%s %q: asked for %q, want %q", tc.mechanism, tc.response, u.seen, tc.want)
		}
	}
}

// A database that is down ends every conversation with its own error, and nothing is taken after an end.
func TestADatabaseThatIsDown(t *testing.T) {
	down := errors.New("server has gone away")
	c := Config{nonce: "n", External: "ann", OwnChallenge: func(string) bool { return true }}
	for mechanism, responses := range map[string][]string{
		"PLAIN": {"\x00a\x00b"}, "LOGIN": {"a", "b"}, "CRAM-MD5": {"-", "a b"}, "EXTERNAL": {""}, "ANONYMOUS": {""},
		"APOP":        {"c\x00a\x000123456789abcdef"},
		"DIGEST-MD5":  {"-", `username="a",nonce="n",cnonce="c",response=0123456789abcdef0123456789abcdef`},
		"SCRAM-SHA-1": {"n,,n=a,r=abc"}, "XOAUTH2": {"user=a\x01auth=Bearer b\x01\x01"},
	} {
		s, err := New(mechanism, &users{down: down}, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range responses {
			in := []byte(r)
			if r == "-" {
				in = nil
			}
			_, _, err = s.Next(t.Context(), in)
		}
		if err != down {
			t.Errorf("%s: %v, want %v", mechanism, err, down)
		}
		if _, done, err := s.Next(t.Context(), nil); done || err == nil || err == down {
			t.Errorf("%s after its end: %v, %v", mechanism, done, err)
		}
	}
}

func TestNew(t *testing.T) {
	if _, err := New("KERBEROS_V4", tim, Config{}); !errors.Is(err, ErrMechanism) {
		t.Errorf("an unknown mechanism gave %v", err)
	}
	for _, name := range Names() {
		info, ok := Lookup(strings.ToLower(name))
		if _, err := New(name, tim, Config{}); err != nil || !ok || info.Name != name {
			t.Errorf("%s: %v, %+v", name, err, info)
		}
	}
}

func TestDecode(t *testing.T) {
	for text, want := range map[string]string{"": "", "=": "", "AHRpbQ==": "\x00tim", "eA==": "x"} {
		if got, err := Decode(text); err != nil || string(got) != want || got == nil {
			t.Errorf("%q gave %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"*", "eA", "eB==", "e A==", "eA==\r\n", "eA==eA==", "-_-_"} {
		if got, err := Decode(text); err != ErrBase64 {
			t.Errorf("%q gave %q, %v", text, got, err)
		}
	}
}

// What "doveadm pw -s CRAM-MD5" makes of a password does as well as the password.
func TestStoredContexts(t *testing.T) {
	const postoffice = "<1896.697170952@postoffice.reston.mci.net>"
	// doveadm pw -s CRAM-MD5 -p tanstaaftanstaaf, of 2.3.19
	u := &users{stored: map[string]Credentials{"CRAM-MD5 tim": {Scheme: "CRAM-MD5", Raw: raw(t, tanstaafContexts)}}}
	if _, end := talk(t, "CRAM-MD5", u, Config{nonce: postoffice}, "-", "tim b913a602c7eda7a495b4e6e7334d3890"); end != "ok" {
		t.Errorf("the sum of RFC 2195: %s", end)
	}
	if _, end := talk(t, "CRAM-MD5", u, Config{nonce: postoffice}, "-", "tim b913a602c7eda7a495b4e6e7334d3891"); end != "Password mismatch" {
		t.Errorf("another sum: %s", end)
	}
	u.stored["CRAM-MD5 tim"] = Credentials{Scheme: "CRAM-MD5", Raw: []byte("short")}
	if _, end := talk(t, "CRAM-MD5", u, Config{nonce: postoffice}, "-", "tim x"); !strings.HasPrefix(end, "invalid credentials length") {
		t.Errorf("damaged contexts: %s", end)
	}
}

func FuzzServers(f *testing.F) {
	for _, name := range Names() {
		for _, seed := range []string{"", "-", "\x00tim\x00x", "n,,n=user,r=abc", "n,a=tim,\x01auth=Bearer x\x01\x01", "user=a\x01auth=Bearer b\x01\x01",
			`username="chris",realm="",nonce="n",nc=00000001,cnonce="c",digest-uri="imap/x",response=00000000000000000000000000000000,qop=auth`} {
			f.Add(name, []byte(seed), []byte("c=biws,r=abcn,p=AAAA"), []byte("x"))
		}
	}
	f.Fuzz(func(t *testing.T, name string, a, b, c []byte) {
		s, err := New(name, tim, Config{nonce: "n", External: "ann", Bindings: map[string][]byte{"tls-exporter": {1}}, OwnChallenge: func(string) bool { return true }})
		if err != nil {
			return
		}
		for _, in := range [][]byte{nil, a, b, c} {
			if bytes.Equal(in, []byte("-")) {
				in = nil
			}
			challenge, done, err := s.Next(t.Context(), in)
			if err != nil && (done || challenge != nil) {
				t.Fatalf("%s %q: %v with %v, %q", name, in, err, done, challenge)
			}
			if err == nil && challenge == nil && !done {
				t.Fatalf("%s %q: goes on without a challenge", name, in)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "=", "*", "eA==", "eB=="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := Decode(text)
		if again := base64.StdEncoding.EncodeToString(b); err == nil && text != "=" && again != text {
			t.Fatalf("%q is %q, written again %q", text, b, again)
		}
	})
}

// tanstaafContexts is {CRAM-MD5} of tanstaaftanstaaf.
const tanstaafContexts = "d06d4e1b26fccaa4b0b61801132340a354b21152711fb604ca3e035e7015116b"
