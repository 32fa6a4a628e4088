package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// keys of each kind that a certificate may have.
var keyKinds = map[string]func() (crypto.Signer, error){
	"RSA":        func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) },
	"ECDSA":      func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) },
	"Ed25519":    func() (crypto.Signer, error) { _, k, err := ed25519.GenerateKey(rand.Reader); return k, err },
	"P-256 key":  func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	"RSA 3072":   func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 3072) },
	"P-521 keys": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) },
}

// chained writes a certificate for localhost with a key of a kind, behind an authority between it and the root.
func chained(t *testing.T, kind, cert, key string) (root *x509.CertPool) {
	t.Helper()
	a := newSigner(t)
	between, betweenKey := authorityBelow(t, a)
	private, err := keyKinds[kind]()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	leaf := &x509.Certificate{SerialNumber: big.NewInt(9), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, between, private.Public(), betweenKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, cert, &pem.Block{Type: "CERTIFICATE", Bytes: der}, &pem.Block{Type: "CERTIFICATE", Bytes: between.Raw})
	writePEM(t, key, &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	root = x509.NewCertPool()
	root.AddCert(a.cert)
	return root
}

func authorityBelow(t *testing.T, a *signer) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(8), Subject: pkix.Name{CommonName: "between"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{2}}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

func writePEM(t *testing.T, path string, blocks ...*pem.Block) {
	t.Helper()
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Who knows the root alone can verify: the whole chain is shown.
func TestR145ChainsAndKeysOfEachKind(t *testing.T) {
	for kind := range keyKinds {
		t.Run(kind, func(t *testing.T) {
			s := prepareServer(t, "sdbox")
			root := chained(t, kind, s.dir+"/cert.pem", s.dir+"/key.pem")
			s.configure("sdbox")
			s.start()
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				s.dial(s.tls).mustSecure(&tls.Config{RootCAs: root, ServerName: "localhost", MaxVersion: version}).wants("* OK")
			}
		})
	}
}

// Clients that take no certificate of one kind of key get that of the other.
func TestServeASecondCertificateOfAnotherKind(t *testing.T) {
	for _, order := range [][2]string{{"RSA", "ECDSA"}, {"ECDSA", "RSA"}} {
		s := prepareServer(t, "sdbox")
		first := chained(t, order[0], s.dir+"/cert.pem", s.dir+"/key.pem")
		second := chained(t, order[1], s.dir+"/alt.pem", s.dir+"/altkey.pem")
		s.configure("sdbox", "ssl_alt_cert = <"+s.dir+"/alt.pem", "ssl_alt_key = <"+s.dir+"/altkey.pem")
		s.start()
		for kind, suite := range map[string]uint16{"RSA": tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDSA": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256} {
			root := first
			if kind == order[1] {
				root = second
			}
			s.dial(s.tls).mustSecure(&tls.Config{RootCAs: root, ServerName: "localhost", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}}).wants("* OK")
		}
	}
}

// Nothing is spoken that has no forward secrecy, nor what is known to be weak.
func TestR150KeysAreAlwaysAgreedOnOverCurves(t *testing.T) {
	s := prepareServer(t, "sdbox")
	chained(t, "RSA", s.dir+"/cert.pem", s.dir+"/key.pem")
	s.configure("sdbox", "ssl_min_protocol = TLSv1")
	s.start()
	for _, suite := range append(tls.InsecureCipherSuites(), tls.CipherSuites()...) {
		if strings.Contains(suite.Name, "ECDSA") || suite.SupportedVersions[0] == tls.VersionTLS13 {
			continue
		}
		_, err := s.dial(s.tls).secure(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}})
		good := strings.HasPrefix(suite.Name, "TLS_ECDHE_") && !suite.Insecure
		if good != (err == nil) {
			t.Errorf("%s: %v", suite.Name, err)
		}
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	for _, list := range []string{"kRSA", "DHE", "aNULL", "RC4", "3DES"} {
		cmd := exec.CommandContext(t.Context(), "openssl", "s_client", "-quiet", "-tls1_2", "-cipher", list+":@SECLEVEL=0", "-connect", s.tls)
		if out, err := cmd.CombinedOutput(); err == nil && strings.Contains(string(out), "* OK") {
			t.Errorf("openssl speaks %s:\n%s", list, out)
		}
	}
}

// The oldest version that is spoken, and which curves.
func TestServeVersionsAndCurves(t *testing.T) {
	for _, tc := range []struct {
		name, settings string
		client         *tls.Config
		refused        bool
	}{
		{"TLS 1.0 where it is allowed", "ssl_min_protocol = TLSv1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, false},
		{"TLS 1.1 below the lowest", "ssl_min_protocol = TLSv1.2", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, true},
		{"TLS 1.2 below the lowest", "ssl_min_protocol = TLSv1.3", &tls.Config{MaxVersion: tls.VersionTLS12}, true},
		{"TLS 1.3", "ssl_min_protocol = LATEST", &tls.Config{}, false},
		{"a curve in the list", "ssl_curve_list = P-384", &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}}, false},
		{"a curve that is not in the list", "ssl_curve_list = P-384:P-521", &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startServer(t, "sdbox", tc.settings)
			tc.client.InsecureSkipVerify = true
			if _, err := s.dial(s.tls).secure(tc.client); tc.refused != (err != nil) {
				t.Error(err)
			}
		})
	}
}

// With no_ticket a connection cannot be resumed.
func TestServeTicketsAreGivenUnlessTheyAreForbidden(t *testing.T) {
	for settings, resumed := range map[string]bool{"": true, "ssl_options = no_compression no_ticket": false} {
		s := startServer(t, "sdbox", settings)
		config := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1), ServerName: "localhost"}
		for range 2 {
			c := s.dial(s.tls).mustSecure(config)
			c.wants("* OK")
			if c.Conn.(*tls.Conn).ConnectionState().DidResume && !resumed {
				t.Errorf("%q: it was resumed", settings)
			}
			c.say("a LOGOUT\r\n")
			c.wants("* BYE")
		}
	}
}

// A file with parameters for Diffie-Hellman is accepted, and of no use here.
func TestR144ParametersForDiffieHellman(t *testing.T) {
	s := prepareServer(t, "sdbox")
	writePEM(t, s.dir+"/dh.pem", &pem.Block{Type: "DH PARAMETERS", Bytes: []byte{0x30, 0x06, 0x02, 0x01, 0x17, 0x02, 0x01, 0x05}})
	s.configure("sdbox", "ssl_dh = <"+s.dir+"/dh.pem", "ssl_prefer_server_ciphers = yes")
	s.start()
	s.dial(s.tls).mustSecure(anybody).wants("* OK")
	s.waitForLog(`config: Warning: ssl_dh is not needed; ssl_prefer_server_ciphers is not needed ("dovetail config check" says more)`)
}

func TestR143AKeyThatOthersCanRead(t *testing.T) {
	s := startServer(t, "sdbox") // whose key is its owner's alone
	if log := s.log.String(); strings.Contains(log, "the key") {
		t.Errorf("%s", log)
	}
	if err := os.Chmod(s.dir+"/key.pem", 0o644); err != nil {
		t.Fatal(err)
	}
	s.reload(reloaded)
	s.waitForLog("master: Warning: the key " + s.dir + "/key.pem can be read by others than its owner (mode 0644)")
}

// What is wrong with TLS is said with the place of the setting, when the server starts and when it reads again; then
// the old certificates stay.
func TestR153WhatIsWrongWithTLSIsToldWithItsPlace(t *testing.T) {
	dir := t.TempDir()
	chained(t, "RSA", dir+"/other.pem", dir+"/otherkey.pem")
	writePEM(t, dir+"/noca.pem", &pem.Block{Type: "RUBBISH", Bytes: []byte("x")})
	for _, tc := range []struct{ name, settings, want string }{
		{"a key of another certificate", "ssl_key = <" + dir + "/otherkey.pem", "dovecot.conf line 4: ssl_cert: tls: private key"},
		{"a file that does not exist", "ssl_cert = <" + dir + "/none.pem", dir + "/none.pem"},
		{"ciphers that do not exist", "ssl_cipher_list = NONE", "10-ssl.conf line 1: ssl_cipher_list: none of \"NONE\" can be used"},
		{"curves that do not exist", "# comment\nssl_curve_list = NONE", "10-ssl.conf line 2: ssl_curve_list: none of \"NONE\" can be used"},
		{"a version that does not exist", "ssl_min_protocol = TLSv9", "TLSv9"},
		{"authorities that are none", "ssl_verify_client_cert = yes\nssl_ca = <" + dir + "/noca.pem", "10-ssl.conf line 2: ssl_ca: no certificates in it"},
		{"a key with a password that is not told", "ssl_key = <" + dir + "/secret.pem", "10-ssl.conf line 1: ssl_key: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if strings.Contains(tc.settings, "secret.pem") {
				encryptKey(t, dir+"/otherkey.pem", dir+"/secret.pem")
			}
			s := prepareServer(t, "sdbox")
			s.configure("sdbox", "!include_try 10-ssl.conf")
			s.start()
			own := filepath.Join(s.dir, "10-ssl.conf")
			if err := os.WriteFile(own, []byte(tc.settings+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s.reload("the old configuration stays: ")
			s.dial(s.tls).mustSecure(anybody).wants("* OK")
			if !strings.Contains(s.log.String(), tc.want) {
				t.Errorf("reloading lacks %q:\n%s", tc.want, s.log)
			}
			s.Process.Signal(unix.SIGTERM)
			s.Wait()
			out, _ := exec.Command("dovetail", "serve", "-c", filepath.Join(s.dir, "dovecot.conf")).CombinedOutput()
			if !strings.Contains(string(out), tc.want) {
				t.Errorf("starting lacks %q:\n%s", tc.want, out)
			}
		})
	}
}

func encryptKey(t *testing.T, from, to string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	if out, err := exec.Command("openssl", "pkcs8", "-topk8", "-in", from, "-out", to, "-passout", "pass:x").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// A certificate for a name that cannot be used hurts nobody but who asks for that name.
func TestServeACertificateForANameThatIsBroken(t *testing.T) {
	s := startServer(t, "sdbox", "local_name broken.example {\n  ssl_cipher_list = NONE\n}")
	s.waitForLog(`imap-login: Error: TLS of broken.example: `)
	s.waitForLog(`ssl_cipher_list: none of "NONE" can be used`)
	s.dial(s.tls).mustSecure(anybody).wants("* OK")
	if _, err := s.dial(s.tls).secure(&tls.Config{InsecureSkipVerify: true, ServerName: "broken.example"}); err == nil {
		t.Error("it was served")
	}
	s.reload(reloaded)
}

// Passwords in clear over a network are warned of once.
func TestR102CleartextOverANetworkIsWarnedOf(t *testing.T) {
	const warning = "master: Warning: passwords and mail may go over the network in clear: TLS is not required on "
	s := startServer(t, "sdbox") // on this machine alone
	if strings.Contains(s.log.String(), warning) {
		t.Errorf("%s", s.log)
	}
	if s.answersOn(s.beside("127.0.0.4")) {
		t.Skip("the port is taken on other addresses")
	}
	s.edit(listenOn("127.0.0.1 ::"))
	s.reload(reloaded)
	if n := strings.Count(s.log.String(), warning); n != 1 {
		t.Errorf("%d warnings:\n%s", n, s.log)
	}
	for _, setting := range []string{"disable_plaintext_auth = yes", "ssl = required"} {
		s.edit(func(conf string) string { return conf + setting + "\n" })
		s.reload(reloaded)
		if n := strings.Count(s.log.String(), warning); n != 1 {
			t.Errorf("%s: %d warnings:\n%s", setting, n, s.log)
		}
		s.edit(func(conf string) string { return strings.Replace(conf, setting+"\n", "", 1) })
	}
}
