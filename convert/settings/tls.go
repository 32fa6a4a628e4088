package settings

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// startTLSName and requiredName are the switches of each protocol.
var (
	startTLSName = map[string]string{"imap": "IMAPDSTARTTLS", "pop3": "POP3_STARTTLS"}
	requiredName = map[string]string{"imap": "IMAP_TLS_REQUIRED", "pop3": "POP3_TLS_REQUIRED"}
)

// tls sets what concerns encryption, for each protocol.
func (r *run) tls() {
	var with []*server
	for _, s := range r.servers() {
		if r.offerTLS(s) {
			with = append(with, s)
			r.certificate(s)
			r.protocols(s)
			r.ciphers(s)
			r.clientCertificates(s)
		}
	}
	r.virtualHosts(with)
}

// offerTLS sets whether there is TLS at all and whether passwords need it.
func (r *run) offerTLS(s *server) bool {
	start, required := s.env[startTLSName[s.protocol]], s.env[requiredName[s.protocol]]
	offered := s.plainOn() && s.tlsFile && start.on()
	ssl, plaintext := "no", "no"
	notes := []string{from(start, s.startTLS())}
	switch {
	case required.on() && (offered || s.tlsOn()):
		ssl, plaintext = "required", "yes"
		notes = []string{from(required)}
	case offered:
		ssl = "yes"
	case s.tlsOn():
		ssl = "yes"
		notes = append(notes, "Courier had no STARTTLS on the port without TLS; Dovecot offers it there as well")
	}
	start.carried("ssl", "")
	required.carried("ssl", "")
	required.carried("disable_plaintext_auth", "")
	r.per(s, "ssl", ssl, notes...)
	notes = []string{from(required)}
	if plaintext == "no" {
		notes = append(notes, "Courier took passwords without TLS as well")
	}
	r.per(s, "disable_plaintext_auth", plaintext, notes...)
	return ssl != "no"
}

// certificate sets certificate and key, also those of single names and addresses.
func (r *run) certificate(s *server) {
	cert, key := s.env["TLS_CERTFILE"], s.env["TLS_PRIVATE_KEYFILE"]
	switch {
	case cert.Setting == nil || cert.text == "":
		r.problem(s.file+"-ssl", 0, "TLS is on, but no TLS_CERTFILE is set: set ssl_cert and ssl_key by hand")
		return
	case !filePath(cert.text):
		cert.lost("such a path cannot stand in a setting of Dovecot")
		return
	case key.text != "" && !filePath(key.text):
		key.lost("such a path cannot stand in a setting of Dovecot")
		return
	}
	note, keyFile := from(cert), key.text
	if keyFile == "" {
		keyFile = cert.text
		r.per(s, "ssl_key", "<"+keyFile, note+" holds certificate and key")
		cert.carried("ssl_key", "the file holds certificate and key, which Dovecot takes from one file too")
	} else {
		r.per(s, "ssl_key", "<"+keyFile, from(key))
		key.carried("ssl_key", "")
	}
	r.per(s, "ssl_cert", "<"+cert.text, note)
	cert.carried("ssl_cert", "")
	r.lookAtKey(s, keyFile)
}

// lookAtKey warns where this machine's file has no key. On another machine there is nothing to look at.
func (r *run) lookAtKey(s *server, path string) {
	pem, err := readRegular(path)
	switch {
	case os.IsNotExist(err):
		r.hint("%s does not exist on this machine: it must be there before Dovecot starts", printable(path))
	case err == nil && !bytes.Contains(pem, []byte("PRIVATE KEY-----")):
		r.problem(s.file+"-ssl", 0, "%s holds no private key: set ssl_key by hand", printable(path))
	}
}

// virtualHosts finds certificates of single names and addresses: FILE.NAME and FILE.ADDRESS beside TLS_CERTFILE. Dovecot
// 2.3.19 takes them only where the protocols have one certificate: where a certificate of a protocol and one of a name are
// both possible, its login processes stop with "Conflict in setting ssl_cert".
func (r *run) virtualHosts(servers []*server) {
	for _, s := range servers {
		cert, key := s.env["TLS_CERTFILE"], s.env["TLS_PRIVATE_KEYFILE"]
		if !filePath(cert.text) || key.text != "" && !filePath(key.text) {
			continue
		}
		suffixes := beside(cert.text, filepath.Join(r.Courier.dir, filepath.Base(cert.text)))
		if len(suffixes) > 0 && slices.ContainsFunc(servers, func(o *server) bool { return o.env["TLS_CERTFILE"].text != cert.text }) {
			cert.lost("the certificates of single names beside it (" + strings.Join(suffixes, " ") +
				"): Dovecot takes them only if IMAP and POP3 have the same TLS_CERTFILE")
			continue
		}
		for _, suffix := range suffixes {
			r.virtualHost(suffix, cert, key)
		}
	}
}

func (r *run) virtualHost(suffix string, cert, key value) {
	head := "local_name " + suffix
	if _, err := netip.ParseAddr(suffix); err == nil {
		head = "local " + suffix
	}
	keyFile := cert.text + "." + suffix
	if key.text != "" {
		keyFile = key.text + "." + suffix
	}
	b := r.top.block(head)
	b.set("ssl_cert", "<"+cert.text+"."+suffix, from(cert)+" and the file beside it")
	b.set("ssl_key", "<"+keyFile)
	cert.carried(head+" { ssl_cert }", "")
}

// beside lists what follows the dot in the names of files that begin with one of the paths: names and addresses only.
func beside(paths ...string) []string {
	var found []string
	for _, path := range paths {
		entries, _ := os.ReadDir(filepath.Dir(path)) // no folder, no certificates
		for _, e := range entries {
			suffix, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+".")
			if ok && hostName(suffix) && !slices.Contains(found, suffix) {
				found = append(found, suffix)
			}
		}
	}
	slices.Sort(found)
	return found
}

func hostName(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return strings.Contains(name, ".") && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-.") == "" &&
		!slices.Contains([]string{".bak", ".old", ".orig", ".dist", ".new"}, filepath.Ext(name))
}

// versions are the names that Courier has had for versions of TLS. What OpenSSL no longer has begins at TLSv1.
var versions = map[string]string{"SSL2": "TLSv1", "SSL3": "TLSv1", "SSL23": "TLSv1", "SSLV23": "TLSv1", "SSLV3": "TLSv1",
	"TLS1": "TLSv1", "TLSV1": "TLSv1", "TLSV1.0": "TLSv1", "TLS1_1": "TLSv1.1", "TLSV1.1": "TLSv1.1",
	"TLS1_2": "TLSv1.2", "TLSV1.2": "TLSv1.2", "TLS1_3": "TLSv1.3", "TLSV1.3": "TLSv1.3"}

// protocols sets the lowest version of TLS: the lower of those for the TLS port and for STARTTLS.
func (r *run) protocols(s *server) {
	lowest, source := "", value{}
	for _, name := range []string{"TLS_PROTOCOL", "TLS_STARTTLS_PROTOCOL"} {
		v := s.env[name]
		if v.Setting == nil || v.text == "" {
			continue
		}
		version, known := versions[strings.ToUpper(strings.TrimRight(v.text, "+"))]
		if !known {
			v.lost("this version of TLS is not known here: set ssl_min_protocol by hand")
			continue
		}
		v.carried("ssl_min_protocol", "Dovecot has one lowest version for both kinds of port, and no highest")
		if lowest == "" || version < lowest {
			lowest, source = version, v
		}
	}
	if lowest == "" {
		r.per(s, "ssl_min_protocol", "TLSv1", "Courier's default; without a word Dovecot would refuse clients older than TLSv1.2")
		return
	}
	r.per(s, "ssl_min_protocol", lowest, from(source))
}

func (r *run) ciphers(s *server) {
	list, priority := s.env["TLS_CIPHER_LIST"], s.env["TLS_PRIORITY"]
	switch {
	case list.text == "":
		list.notNeeded("empty: OpenSSL's own list")
	case !plainText(list.text):
		list.lost("unprintable characters")
	default:
		r.per(s, "ssl_cipher_list", quoted(list.text), from(list))
		list.carried("ssl_cipher_list", "")
	}
	if priority.text == "" || priority.text == "NORMAL" {
		priority.notNeeded("GnuTLS's default; Dovecot uses OpenSSL")
	} else {
		priority.lost("in GnuTLS's language; Dovecot uses OpenSSL: set ssl_cipher_list and ssl_min_protocol by hand")
	}
	for _, dh := range []value{s.env["TLS_DHCERTFILE"], s.env["TLS_DHPARAMS"]} {
		switch {
		case dh.text == "":
			dh.notNeeded("empty")
		case !filePath(dh.text):
			dh.lost("such a path cannot stand in a setting of Dovecot")
		default:
			r.per(s, "ssl_dh", "<"+dh.text, from(dh))
			dh.carried("ssl_dh", "")
		}
	}
}

// clientCertificates sets what clients have to show.
func (r *run) clientCertificates(s *server) {
	verify, trust, external := s.env["TLS_VERIFYPEER"], s.env["TLS_TRUSTCERTS"], s.env["TLS_EXTERNAL"]
	wanted := strings.ToUpper(verify.text)
	if wanted != "PEER" && wanted != "REQUIREPEER" {
		verify.notNeeded("clients show no certificates")
		trust.notNeeded("only for certificates of clients, which are not asked for")
		external.lost("works only with TLS_VERIFYPEER")
		return
	}
	info, err := os.Stat(trust.text)
	switch {
	case trust.text == "" || !filePath(trust.text):
		verify.lost("without TLS_TRUSTCERTS nothing can be verified")
		return
	case err == nil && info.IsDir():
		trust.lost("a directory: Dovecot wants one file with all authorities; put them into one and set ssl_ca")
		verify.lost("needs ssl_ca, see TLS_TRUSTCERTS")
		return
	}
	r.per(s, "ssl_ca", "<"+trust.text, from(trust))
	trust.carried("ssl_ca", "")
	r.per(s, "ssl_verify_client_cert", "yes", from(verify))
	verify.carried("ssl_verify_client_cert", "")
	r.per(s, "ssl_require_crl", "no", "Courier looked at no revocation lists")
	if wanted == "REQUIREPEER" {
		r.per(s, "auth_ssl_require_client_cert", "yes", from(verify))
		verify.carried("auth_ssl_require_client_cert", "Dovecot refuses the login, Courier refused the connection")
	}
	r.external(s, external)
}

// external lets the name in the certificate be the login name.
func (r *run) external(s *server, v value) {
	field, known := map[string]string{"emailaddress": "emailAddress", "cn": "commonName", "commonname": "commonName", "uid": "UID"}[strings.ToLower(v.text)]
	switch {
	case v.text == "":
		v.notNeeded("empty")
	case !known:
		v.lost("this part of a certificate's subject is not known here: set ssl_cert_username_field by hand")
	default:
		r.per(s, "ssl_cert_username_field", field, from(v))
		r.per(s, "auth_ssl_username_from_cert", "yes", from(v))
		v.carried("ssl_cert_username_field", "the login still asks for a password; passwordless logins need auth_mechanisms = external and a passdb for them")
	}
}
