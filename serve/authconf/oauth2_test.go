package authconf

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"dovetail/auth"
	"dovetail/formats/formatstest/dovecot"
)

const oauthChain = `protocols = imap
auth_mechanisms = plain oauthbearer xoauth2
auth_failure_delay = 0
disable_plaintext_auth = no
ssl = no
mail_location = maildir:DIR/mail/%u
passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2 plain
  args = DIR/oauth2.conf.ext
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=DIR/mail/%u
}
`

const oauthFile = `introspection_mode = local
local_validation_key_dict = fs:posix:prefix=DIR/keys/
issuers = https://issuer https://other
scope = mail
username_attribute = upn
pass_attrs = groups=%{oauth2:groups} userdb_quota_rule=*:bytes=%{oauth2:quota}
openid_configuration_url = https://issuer/openid
`

// tokens makes keys and the files of a site with them.
func tokens(t *testing.T) (sign func(jose.SignatureAlgorithm, map[string]any) string, files map[string]string) {
	t.Helper()
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("0123456789abcdef0123456789abcdef")
	files = map[string]string{"oauth2.conf.ext": oauthFile, "keys/default/HS256/default": base64.StdEncoding.EncodeToString(secret)}
	for alg, public := range map[string]any{"RS256": pair.Public(), "ES256": curve.Public()} {
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		files["keys/default/"+alg+"/default"] = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	sign = func(alg jose.SignatureAlgorithm, change map[string]any) string {
		keys := map[jose.SignatureAlgorithm]any{jose.RS256: pair, jose.ES256: curve, jose.HS256: secret}
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: keys[alg]}, (&jose.SignerOptions{}).WithType("JWT"))
		if err != nil {
			t.Fatal(err)
		}
		claims := map[string]any{"sub": "1", "upn": "ann@example.org", "iss": "https://issuer", "scope": "openid mail", "active": true,
			"exp": time.Now().Add(time.Hour).Unix(), "groups": "a", "quota": 1000}
		for key, value := range change {
			if claims[key] = value; value == nil {
				delete(claims, key)
			}
		}
		body, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := s.Sign(body)
		if err != nil {
			t.Fatal(err)
		}
		token, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	return sign, files
}

// converse gives the challenges and the reply.
func converse(t *testing.T, s *auth.Service, mechanism string, responses ...string) (challenges []string, reply *auth.Reply) {
	t.Helper()
	x, err := s.Begin(auth.Request{Service: "imap"}, mechanism)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range responses {
		challenge, done := x.Step(context.Background(), []byte(r))
		if done != nil {
			return challenges, done
		}
		challenges = append(challenges, string(challenge))
	}
	return challenges, nil
}

// A site with tokens: the same ones are taken and refused as by Dovecot.
func TestTokensBesideDovecot(t *testing.T) {
	sign, files := tokens(t)
	s := newSite(t, oauthChain, files)
	service := s.must()
	judge := dovecot.ServeConf(t, s.conf)
	good := sign(jose.RS256, nil)
	parts := strings.Split(good, ".")
	for _, tc := range []struct {
		name, user, token string
		ok                bool
	}{
		{"RS256", "ann@example.org", good, true},
		{"ES256", "ann@example.org", sign(jose.ES256, nil), true},
		{"HS256", "ann@example.org", sign(jose.HS256, nil), true},
		{"a name in upper case", "Ann@Example.ORG", good, true},
		{"another issuer of ours", "ann@example.org", sign(jose.RS256, map[string]any{"iss": "https://other"}), true},
		{"a foreign issuer", "ann@example.org", sign(jose.RS256, map[string]any{"iss": "https://evil"}), false},
		{"another user", "bob@example.org", good, false},
		{"expired", "ann@example.org", sign(jose.RS256, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), false},
		{"not yet valid", "ann@example.org", sign(jose.RS256, map[string]any{"nbf": time.Now().Add(time.Minute).Unix()}), false},
		{"another scope", "ann@example.org", sign(jose.RS256, map[string]any{"scope": "openid"}), false},
		{"not active", "ann@example.org", sign(jose.RS256, map[string]any{"active": false}), false},
		{"no subject", "ann@example.org", sign(jose.RS256, map[string]any{"sub": nil}), false},
		{"a signature of nothing", "ann@example.org", parts[0] + "." + parts[1] + ".", false},
		{"no algorithm", "ann@example.org", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".", false},
		{"no token", "ann@example.org", "secret", false},
	} {
		response := fmt.Sprintf("n,a=%s,\x01auth=Bearer %s\x01\x01", tc.user, tc.token)
		challenges, reply := converse(t, service, "OAUTHBEARER", response, "\x01")
		if reply == nil || reply.OK != tc.ok {
			t.Errorf("%s: %+v, want %v\n%s", tc.name, reply, tc.ok, s.log.String())
			continue
		}
		if want := `{"status":"invalid_token","openid-configuration":"https://issuer/openid"}`; !tc.ok && (len(challenges) != 1 || challenges[0] != want) {
			t.Errorf("%s: told %q, want %s", tc.name, challenges, want)
		}
		if plain := service.Login(context.Background(), auth.Request{Service: "imap"}, tc.user, tc.token); plain.OK != tc.ok {
			t.Errorf("%s as a password: %v", tc.name, plain.OK)
		}
		if got := dovecotTakes(t, judge, response); got != tc.ok {
			t.Errorf("%s: Dovecot says %v\n%s", tc.name, got, judge.Log())
		}
	}
	_, reply := converse(t, service, "XOAUTH2", "user=ann@example.org\x01auth=Bearer "+good+"\x01\x01")
	if reply == nil || !reply.OK || reply.Fields.Value("groups") != "a" {
		t.Fatalf("%+v", reply)
	}
	if user, err := service.Finish(context.Background(), reply); err != nil || user.UID != 65534 {
		t.Errorf("%+v, %v", user, err)
	}
	if strings.Contains(s.log.String(), good) {
		t.Errorf("the log has a token: %s", s.log.String())
	}
}

// dovecotTakes logs in by OAUTHBEARER.
func dovecotTakes(t *testing.T, d *dovecot.Daemon, response string) bool {
	t.Helper()
	c, err := net.Dial("tcp", d.IMAPAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	fmt.Fprintf(c, "a AUTHENTICATE OAUTHBEARER %s\r\n", base64.StdEncoding.EncodeToString([]byte(response)))
	for {
		line, err := in.ReadString('\n')
		switch {
		case err != nil:
			t.Fatal(err, d.Log())
		case strings.HasPrefix(line, "+ "):
			fmt.Fprintf(c, "AQ==\r\n")
		case strings.HasPrefix(line, "a "):
			return strings.HasPrefix(line, "a OK")
		}
	}
}

func TestTokenSettingsThatAreRefused(t *testing.T) {
	for _, tc := range []struct{ file, want string }{
		{"introspection_mod = local\n", "Unknown setting: introspection_mod"},
		{"introspection_mode = local\n", "local_validation_key_dict is required"},
		{"introspection_mode = local\nlocal_validation_key_dict = redis:host=x\n", "keys are read from files only"},
		{"introspection_mode = maybe\ntokeninfo_url = https://x/\n", "Invalid value 'maybe' for introspection mode"},
		{"tokeninfo_url = x\n", "Invalid tokeninfo_url"},
		{"tokeninfo_url = https://x/\ntimeout_msecs = soon\n", "timeout_msecs = soon: not a number"},
		{"tokeninfo_url = https://x/\nactive_value =\n", "Cannot have empty active_value"},
		{"tokeninfo_url = https://x/\ntls_ca_cert_file = DIR/none\n", "no such file"},
		{"", "Password grant, tokeninfo, introspection URL or validation key dictionary must be given"},
	} {
		s := newSite(t, oauthChain, map[string]string{"oauth2.conf.ext": tc.file})
		if _, err := s.build(); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), s.dir) {
			t.Errorf("%q: %v, want %s", tc.file, err, tc.want)
		}
	}
}

// 2.4's settings do the same.
func TestTokensWith24(t *testing.T) {
	sign, files := tokens(t)
	const inSection = `dovecot_config_version = 2.4.4
dovecot_storage_version = 2.4.4
auth_mechanisms = oauthbearer
auth_failure_delay = 0
oauth2_introspection_mode = local
oauth2_issuers = https://issuer
oauth2_local_validation {
  dict fs {
    fs posix {
      prefix = DIR/keys/
    }
  }
}
passdb oauth2 {
  oauth2 {
    scope = mail
    username_attribute = upn
  }
  fields {
    groups = %{oauth2:groups}
  }
}
userdb static {
  fields {
    uid = 65534
    gid = 65534
    home = /h/%{user}
  }
}
`
	service := newSite(t, inSection, files).must()
	for token, want := range map[string]bool{
		sign(jose.RS256, nil): true,
		sign(jose.RS256, map[string]any{"iss": "https://other"}):                 false,
		sign(jose.RS256, map[string]any{"scope": "x"}):                           false,
		sign(jose.RS256, map[string]any{"upn": nil, "email": "ann@example.org"}): false,
	} {
		_, reply := converse(t, service, "OAUTHBEARER", fmt.Sprintf("n,a=ann@example.org,\x01auth=Bearer %s\x01\x01", token), "\x01")
		if reply == nil || reply.OK != want || want && reply.Fields.Value("groups") != "a" {
			t.Errorf("%+v, want %v", reply, want)
		}
	}
}
