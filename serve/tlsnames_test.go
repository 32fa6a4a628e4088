package serve

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// ssl_cipher_list means what OpenSSL makes of it, of the suites with forward secrecy that we have.
func TestCipherListsMeanWhatOpenSSLMakesOfThem(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	for _, list := range []string{
		"ALL:!kRSA:!SRP:!kDHd:!DSS:!aNULL:!eNULL:!EXPORT:!DES:!3DES:!MD5:!PSK:!RC4:!ADH:!LOW@STRENGTH",
		"ALL:!LOW:!SSLv2:!EXP:!aNULL",
		"HIGH:!aNULL:!MD5",
		"EECDH+AESGCM:EDH+AESGCM",
		"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256",
		"EECDH+ECDSA+AESGCM:EECDH+aRSA+AESGCM:EECDH+ECDSA+SHA384:EECDH+aRSA+SHA384:EECDH:!aNULL:!eNULL:!LOW:!3DES:!MD5:!EXP:!PSK:!SRP:!DSS:!RC4",
		"ECDHE+CHACHA20:ECDHE+AES128:!SHA1",
		"ALL:-AES128:!aNULL",
		"TLSv1.2:!kRSA:!aNULL",
		"ECDHE-RSA-AES128-SHA ECDHE-RSA-AES256-SHA",
		"HIGH:!ECDSA",
		"aECDSA",
		"HIGH:!AESGCM:!CHACHA20:!kRSA",
	} {
		out, err := exec.Command(openssl, "ciphers", "-tls1_2", list+":@SECLEVEL=0").Output()
		if err != nil {
			t.Fatalf("%s: %v", list, err)
		}
		var want []string
		for name := range strings.SplitSeq(strings.TrimSpace(string(out)), ":") {
			if _, ours := opensslNames[name]; ours && strings.HasPrefix(name, "ECDHE-") {
				want = append(want, name)
			}
		}
		suites, err := cipherSuites(list)
		var got []string
		for _, id := range suites {
			got = append(got, opensslName(id))
		}
		slices.Sort(want)
		slices.Sort(got)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			t.Errorf("%s\n  gives %q, %v\n  want  %q", list, got, err, want)
		}
	}
}

// A list that leaves nothing is refused, and does not mean everything.
func TestCipherListsThatLeaveNothing(t *testing.T) {
	for _, list := range []string{"NONE", "!ALL", "DHE-RSA-AES256-GCM-SHA384", "HIGH:!ECDHE", "AES128-SHA:!kRSA"} {
		if suites, err := cipherSuites(list); err == nil {
			t.Errorf("%s gives %v", list, suites)
		}
	}
}
