package sasl

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
)

// Bindings gives the data of a TLS channel for Config, for what its version allows:
//
//	tls-exporter          RFC 9266: keying material; TLS 1.3, and 1.2 with extended master secret
//	tls-unique            RFC 5929: the first Finished message; up to TLS 1.2, and not for resumed sessions
//	tls-server-end-point  RFC 5929: a hash of the server's certificate; leaf may be nil
//
// leaf is the certificate that this server showed.
func Bindings(state tls.ConnectionState, leaf *x509.Certificate) map[string][]byte {
	all := map[string][]byte{}
	if !state.HandshakeComplete {
		return all
	}
	// An error means that the master secret is not tied to this channel (RFC 9266 section 3).
	if data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err == nil {
		all["tls-exporter"] = data
	}
	if state.Version < tls.VersionTLS13 && len(state.TLSUnique) > 0 {
		all["tls-unique"] = state.TLSUnique
	}
	if leaf != nil {
		h := endPointHash(leaf.SignatureAlgorithm).New()
		h.Write(leaf.Raw)
		all["tls-server-end-point"] = h.Sum(nil)
	}
	return all
}

// endPointHash is the hash of the certificate's signature; SHA-256 where that is MD5, SHA-1 or none (RFC 5929 section
// 4.1).
func endPointHash(a x509.SignatureAlgorithm) crypto.Hash {
	switch a {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		return crypto.SHA512
	}
	return crypto.SHA256
}
