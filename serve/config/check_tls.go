package config

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"dovetail/formats/conf"
)

// tls checks what the modules of Dovecot check, and then what its login
// processes find out when they start.
func (k *checker) tls() {
	if k.text("ssl") == "no" {
		return
	}
	if k.on("ssl_verify_client_cert") && k.text("ssl_ca") == "" {
		k.fail(k.pos("ssl_verify_client_cert"), "ssl_verify_client_cert set, but ssl_ca not")
	}
	for w := range strings.FieldsFuncSeq(k.text("ssl_options"), func(c rune) bool { return c == ',' || c == ' ' }) {
		if !slices.Contains([]string{"compression", "no_compression", "no_ticket"}, lower(w)) {
			k.fail(k.pos("ssl_options"), "ssl_options: unknown flag: '"+w+"'")
		}
	}
	if k.global {
		k.certificateSet()
	}
	if v := k.filter.root.set["ssl_cert"]; v != nil && v.Text != "" {
		k.certificate(v)
	}
}

// logins are the protocols that are served and that people log in to.
func (k *checker) logins() (protocols []string) {
	served := strings.Fields(k.text("protocols"))
	for _, s := range k.services() {
		if p := s.text("protocol"); s.text("type") == "login" && slices.Contains(served, p) {
			protocols = append(protocols, p)
		}
	}
	return protocols
}

// certificateSet: each protocol needs one, which may be its own.
func (k *checker) certificateSet() {
	for _, key := range []string{"ssl_cert", "ssl_key"} {
		lacks := func(protocol string) bool {
			name := key
			if k.c.Dialect == conf.V24 {
				name = strings.Replace(key, "ssl_", "ssl_server_", 1) + "_file"
			}
			v, _ := k.c.Get(Filter{Protocol: protocol}, name)
			return v.Text == ""
		}
		if k.text(key) == "" && slices.ContainsFunc(k.logins(), lacks) {
			k.atStart(k.pos("ssl"), "ssl enabled, but "+key+" not set", key+" = </path/to/file.pem, or ssl = no")
		}
	}
}

// atStart adds an error that Dovecot's processes meet only when they start.
func (k *checker) atStart(pos conf.Pos, text, instead string) {
	if k.said[text] {
		return
	}
	k.said[text] = true
	if pos.File == "" {
		pos.File = k.c.Path
	}
	k.problems.add(&Problem{Severity: AtStart, Pos: pos, Text: text, Instead: instead})
}

// certificate checks the text of a certificate, if it is known.
func (k *checker) certificate(v *Value) {
	if v.Form == conf.FromFile && strings.HasPrefix(v.Text, "<") {
		return // not read
	}
	der, rest := pem.Decode([]byte(v.Text))
	for der != nil && der.Type != "CERTIFICATE" { // the key may be in the same file, and before it
		der, rest = pem.Decode(rest)
	}
	if der == nil {
		text := "There is no valid PEM certificate."
		if v.Form != conf.FromFile {
			text += " (You probably forgot '<' from ssl_cert=<" + v.Text + ")"
		}
		k.atStart(v.Pos, text, "ssl_cert = </path/to/file.pem")
		return
	}
	c, err := x509.ParseCertificate(der.Bytes)
	if err != nil {
		k.atStart(v.Pos, "ssl_cert cannot be read: "+err.Error(), "")
		return
	}
	now := k.o.Now
	if now == nil {
		now = time.Now
	}
	if now().After(c.NotAfter) {
		k.note(v.Pos, "the certificate expired on "+c.NotAfter.Format(time.DateOnly), "clients refuse the connection", "")
	}
	names := strings.Fields(k.filter.LocalName)
	if host := k.text("hostname"); len(names) == 0 && host != "" {
		names = []string{host}
	}
	for _, name := range names {
		if c.VerifyHostname(strings.Replace(name, "*", "x", 1)) != nil && c.Subject.CommonName != name {
			k.note(v.Pos, "the certificate is not for "+name, "clients warn or refuse the connection", "")
		}
	}
}
