package sasl

import (
	"crypto/md5"
	"slices"
	"strings"
	"testing"
)

// The example of RFC 2831 section 4, with the password in clear and as it is stored.
func TestDigestOfTheRFC(t *testing.T) {
	sum := md5.Sum([]byte("chris:elwood.innosoft.com:secret"))
	const response = `charset=utf-8,username="chris",realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",nc=00000001,cnonce="OA6MHXh6VqTrRk",` +
		`digest-uri="imap/elwood.innosoft.com",response=d388dad90d4bbd760a152321f2143af7,qop=auth`
	want := []string{`realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",charset="utf-8",algorithm="md5-sess"`,
		"rspauth=ea40f60335c427b5527b84dbabcdfffd"}
	for name, u := range map[string]*users{
		"in clear": {clear: map[string]string{"chris@elwood.innosoft.com": "secret"}},
		"stored":   {stored: map[string]Credentials{"DIGEST-MD5 chris@elwood.innosoft.com": {Scheme: "DIGEST-MD5", Raw: sum[:]}}},
	} {
		challenges, end := talk(t, "DIGEST-MD5", u, Config{nonce: "OA6MG9tEQGm2hh", Realms: []string{"elwood.innosoft.com"}}, "-", response)
		if end != "ok" || !slices.Equal(challenges, want) {
			t.Errorf("%s: %q, %s", name, challenges, end)
		}
	}
	damaged := &users{stored: map[string]Credentials{"DIGEST-MD5 chris@elwood.innosoft.com": {Scheme: "DIGEST-MD5", Raw: sum[:15]}}}
	if _, end := talk(t, "DIGEST-MD5", damaged, Config{nonce: "OA6MG9tEQGm2hh"}, "-", response); !strings.HasPrefix(end, "invalid credentials length") {
		t.Errorf("a damaged password: %s", end)
	}
}

func TestDigestResponses(t *testing.T) {
	const sum = "response=00000000000000000000000000000000"
	for _, tc := range []struct{ name, response, end string }{
		{"nothing", "", "Client sent no input"},
		{"no nonce", `username="chris",cnonce="c",` + sum, "Missing nonce parameter"},
		{"another nonce", `username="chris",nonce="m",cnonce="c",` + sum, "Invalid nonce"},
		{"no cnonce", `username="chris",nonce="n",` + sum, "Missing cnonce parameter"},
		{"an empty cnonce", `username="chris",nonce="n",cnonce="",` + sum, "empty cnonce"},
		{"no name", `nonce="n",cnonce="c",` + sum, "Missing username parameter"},
		{"two names", `username="chris",username="tim",nonce="n",cnonce="c",` + sum, "username must not exist more than once"},
		{"two nonces", `username="chris",nonce="n",nonce="n",cnonce="c",` + sum, "nonce must not exist more than once"},
		{"no response", `username="chris",nonce="n",cnonce="c"`, "Missing response parameter"},
		{"half a response", `username="chris",nonce="n",cnonce="c",response=00`, "Invalid response value"},
		{"a layer of protection", `username="chris",nonce="n",cnonce="c",qop=auth-conf,` + sum, "Nonallowed QoP requested"},
		{"an unknown one", `username="chris",nonce="n",cnonce="c",qop=x,` + sum, `Unknown QoP value: "x"`},
		{"a second time", `username="chris",nonce="n",cnonce="c",nc=00000002,` + sum, "re-auth not supported currently"},
		{"no number of times", `username="chris",nonce="n",cnonce="c",nc=x,` + sum, "nonce-count value invalid"},
		{"another charset", `username="chris",nonce="n",cnonce="c",charset=latin1,` + sum, "Only utf-8 charset is allowed"},
		{"a wrong uri", `username="chris",nonce="n",cnonce="c",digest-uri="imap",` + sum, "Invalid digest-uri"},
		{"a buffer of nothing", `username="chris",nonce="n",cnonce="c",maxbuf=0,` + sum, "Invalid maxbuf value"},
		{"an empty authzid", `username="chris",nonce="n",cnonce="c",authzid="",` + sum, "empty authzid"},
		{"no end of a quotation", `username="chris`, "malformed data"},
		{"a word", `username`, "malformed data"},
		{"a wrong sum, with an unknown directive, blanks and an empty realm", ` username = "chris" , realm="",x="y", nonce="n" ,cnonce="c",,` + sum, "Password mismatch"},
	} {
		_, end := talk(t, "DIGEST-MD5", tim, Config{nonce: "n"}, "-", tc.response)
		if end != tc.end {
			t.Errorf("%s: %q gave %q, want %q", tc.name, tc.response, end, tc.end)
		}
	}
}

// Who is asked for, by the name and the realm that the client sends.
func TestDigestNames(t *testing.T) {
	for response, want := range map[string]string{
		`username="chris"`:                                   "credentials DIGEST-MD5 chris ",
		`username="chris",realm=""`:                          "credentials DIGEST-MD5 chris ",
		`username="chris",realm="example.org"`:               "credentials DIGEST-MD5 chris@example.org ",
		`username="chris@a",realm="example.org"`:             "credentials DIGEST-MD5 chris@a ",
		`username="chris",realm="example.org",authzid="tim"`: "credentials DIGEST-MD5 chris@example.org tim",
		`username="say \"x\\\"",realm=example.org`:           `credentials DIGEST-MD5 say "x\"@example.org `,
		`USERNAME="chris",Realm="example.org"`:               "credentials DIGEST-MD5 chris@example.org ",
	} {
		u := &users{}
		talk(t, "DIGEST-MD5", u, Config{nonce: "n"}, "-", response+`,nonce="n",cnonce="c",response=00000000000000000000000000000000`)
		if !slices.Equal(u.seen, []string{want}) {
			t.Errorf("%s: asked for %q, want %q", response, u.seen, want)
		}
	}
}

func TestDigestRealmsAreQuoted(t *testing.T) {
	challenges, _ := talk(t, "DIGEST-MD5", tim, Config{nonce: "n", Realms: []string{`a"b\`, "c"}}, "-")
	if want := `realm="a\"b\\",realm="c",nonce="n",qop="auth",charset="utf-8",algorithm="md5-sess"`; challenges[0] != want {
		t.Errorf("%s\nwant %s", challenges[0], want)
	}
}
