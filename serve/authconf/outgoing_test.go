package authconf

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/serve/config"
)

const begin24 = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"

// builder is what makes the chains of a configuration.
func (s *site) builder() *build {
	s.t.Helper()
	c, problems := config.Load(context.Background(), s.conf, config.Options{Expand: true})
	if c == nil || problems.Fatal() != nil {
		s.t.Fatalf("%+v", problems.Fatal())
	}
	return &build{opened: map[string]any{}, view: c.For(config.Filter{})}
}

func TestHowManyLookupsBlockAtATime(t *testing.T) {
	for _, tc := range []struct {
		conf string
		want int
	}{
		{"ssl = no\n", 30},
		{"ssl = no\nauth_worker_max_count = 5\n", 5},
		{begin24 + "ssl = no\n", 30},
		{begin24 + "ssl = no\nservice auth-worker {\n  process_limit = 7\n}\n", 7},
	} {
		b := newSite(t, tc.conf, nil).builder()
		s := &section{build: b}
		if got := b.workers(); got != tc.want || s.poolOptions(0).Connections != tc.want {
			t.Errorf("%q: %d, %+v, want %d", tc.conf, got, s.poolOptions(0), tc.want)
		}
		if o := s.poolOptions(3); o.Connections != 3 {
			t.Errorf("what the connect string says: %+v", o)
		}
	}
}

// secured is a policy server on TLS, which may want to see a certificate.
func secured(t *testing.T, ca *authtest.Authority, host string, wants bool) (address string, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.WriteString(w, `{"status":0}`)
	}))
	cert, key := ca.Issue(t, host, host)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	if wants {
		text, err := os.ReadFile(ca.File)
		if err != nil {
			t.Fatal(err)
		}
		s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		s.TLS.ClientCAs.AppendCertsFromPEM(text)
	}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, asked
}

// The settings ssl_client_… are obeyed by the connection to a policy server, in auth_policy { } before outside.
func TestThePolicyServerIsReachedByTLS(t *testing.T) {
	ca, other := authtest.NewAuthority(t), authtest.NewAuthority(t)
	cert, key := ca.Issue(t, "client")
	good, goodAsked := secured(t, ca, "127.0.0.1", true)
	elsewhere, elsewhereAsked := secured(t, ca, "mail.example.org", false)
	files := "ssl_client_cert_file = " + cert + "\nssl_client_key_file = " + key + "\n"
	old := "ssl_client_ca_file = " + ca.File + "\nssl_client_cert = <" + cert + "\nssl_client_key = <" + key + "\n"
	for _, tc := range []struct {
		name, conf string
		url        string
		asked      *atomic.Int32
		ok         bool
	}{
		{"2.3", old, good, goodAsked, true},
		{"2.3 without a certificate", "ssl_client_ca_file = " + ca.File + "\n", good, goodAsked, false},
		{"2.3 with another authority", strings.Replace(old, ca.File, other.File, 1), good, goodAsked, false},
		{"2.3 at another host", old, elsewhere, elsewhereAsked, false},
		{"2.3 at another host, which does not matter", old + "ssl_client_require_valid_cert = no\n", elsewhere, elsewhereAsked, true},
		{"2.4", begin24 + "ssl_client_ca_file = " + ca.File + "\n" + files, good, goodAsked, true},
		{"2.4 inside", begin24 + "ssl_client_ca_file = " + other.File + "\nauth_policy {\n  ssl_client_ca_file = " + ca.File + "\n" + files + "}\n", good, goodAsked, true},
		{"2.4 with another authority inside", begin24 + "ssl_client_ca_file = " + ca.File + "\nauth_policy {\n  ssl_client_ca_file = " + other.File + "\n" + files + "}\n", good, goodAsked, false},
		{"2.4 at another host, which does not matter", begin24 + "ssl_client_require_valid_cert = no\n", elsewhere, elsewhereAsked, true},
	} {
		passdb := "passdb {\n  driver = static\n  args = nopassword=y\n}\n"
		if strings.HasPrefix(tc.name, "2.4") {
			passdb = "passdb static {\n  fields {\n    nopassword = yes\n  }\n}\n"
		}
		s := newSite(t, tc.conf+"ssl = no\nauth_failure_delay = 0\nauth_policy_server_url = "+tc.url+"\nauth_policy_hash_nonce = x\nauth_policy_reject_on_fail = yes\n"+
			"auth_policy_report_after_auth = no\n"+passdb, nil)
		tc.asked.Store(0)
		reply := s.must().Login(context.Background(), auth.Request{Service: "imap"}, "ann", "x")
		if reply.OK != tc.ok || tc.asked.Load() > 0 != tc.ok {
			t.Errorf("%s: %+v, asked %d times\n%s", tc.name, reply, tc.asked.Load(), s.log.String())
		}
	}
	s := newSite(t, "ssl_client_cert = x\nauth_policy_server_url = "+good+"\nauth_policy_hash_nonce = x\n", nil)
	if _, err := s.build(); err == nil || !strings.Contains(err.Error(), "ssl_client_cert") {
		t.Errorf("a certificate that is not there: %v", err)
	}
}

// A policy server that does not answer in time is as good as none: nobody waits longer than the configuration says.
func TestThePolicyServerHasItsTime(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then it is noticed that the client goes
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	for name, conf := range map[string]string{
		"2.3":           "auth_policy_server_timeout_msecs = 50\npassdb {\n  driver = static\n  args = nopassword=y\n}\n",
		"2.4":           begin24 + "auth_policy {\n  http_client_request_absolute_timeout = 50ms\n}\npassdb static {\n  fields {\n    nopassword = yes\n  }\n}\n",
		"2.4 otherwise": begin24 + "auth_policy {\n  http_client_request_timeout = 50ms\n}\npassdb static {\n  fields {\n    nopassword = yes\n  }\n}\n",
	} {
		s := newSite(t, conf+"ssl = no\nauth_policy_server_url = "+silent.URL+"\nauth_policy_hash_nonce = x\nauth_policy_report_after_auth = no\n", nil)
		service := s.must()
		begun := time.Now()
		if reply := service.Login(context.Background(), auth.Request{Service: "imap"}, "ann", "x"); !reply.OK || time.Since(begun) > time.Minute {
			t.Errorf("%s: %+v after %v\n%s", name, reply, time.Since(begun), s.log.String())
		}
		if !strings.Contains(s.log.String(), "ERROR") {
			t.Errorf("%s: the log is %s", name, s.log.String())
		}
	}
}
