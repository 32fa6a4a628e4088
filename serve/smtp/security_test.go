package smtp

import (
	"crypto/tls"
	"testing"
)

func TestSecurityIsSaidInOpenSSLsWords(t *testing.T) {
	for want, c := range map[string]tls.ConnectionState{
		"TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)":        {Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_256_GCM_SHA384},
		"TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits)":        {Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256},
		"TLSv1.2 with cipher ECDHE-RSA-AES128-GCM-SHA256 (128/128 bits)":   {Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		"TLSv1.2 with cipher ECDHE-ECDSA-CHACHA20-POLY1305 (256/256 bits)": {Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
		"TLSv1 with cipher AES256-SHA (256/256 bits)":                      {Version: tls.VersionTLS10, CipherSuite: tls.TLS_RSA_WITH_AES_256_CBC_SHA},
		"TLSv1.1 with cipher ECDHE-RSA-DES-CBC3-SHA (112/168 bits)":        {Version: tls.VersionTLS11, CipherSuite: tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA},
	} {
		if got := security(&c); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}
