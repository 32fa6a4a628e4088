package smtp

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// security describes a connection as Dovecot does, with OpenSSL's names (2.3.19, src/lib-ssl-iostream/iostream-openssl.c,
// openssl_iostream_get_security_string): "TLSv1.2 with cipher ECDHE-RSA-AES128-GCM-SHA256 (128/128 bits)".
func security(c *tls.ConnectionState) string {
	version := "TLSv1"
	if minor := c.Version - tls.VersionTLS10; minor > 0 {
		version += fmt.Sprintf(".%d", minor)
	}
	name := tls.CipherSuiteName(c.CipherSuite)
	bits := "256/256"
	switch {
	case strings.Contains(name, "AES_128"):
		bits = "128/128"
	case strings.Contains(name, "3DES"):
		bits = "112/168"
	}
	if c.Version < tls.VersionTLS13 {
		name = opensslName(name)
	}
	return fmt.Sprintf("%s with cipher %s (%s bits)", version, name, bits)
}

// opensslName turns the name of a suite before TLS 1.3 into OpenSSL's.
func opensslName(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "TLS_"), "RSA_WITH_") // RSA alone is not said
	name = strings.NewReplacer("_WITH_", "-", "AES_128_CBC", "AES128", "AES_256_CBC", "AES256", "AES_128", "AES128", "AES_256", "AES256",
		"3DES_EDE_CBC", "DES-CBC3", "POLY1305_SHA256", "POLY1305").Replace(name)
	return strings.ReplaceAll(name, "_", "-")
}
