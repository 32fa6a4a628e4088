package socket

import (
	"net/netip"
	"strconv"

	"dovetail/auth"
)

// parameters are the key=value words that say what a login or a lookup is about. Their names and meaning are those of
// auth_request_import_info and auth_request_import_auth in 2.3.19.1 (auth-request-fields.c); 2.4 calls the service
// "protocol". What is unknown is for somebody else and ignored, and so is an address that is none.
type parameters struct {
	auth.Request
	service bool // it was named
	finalOK bool // "final-resp-ok": data may come along with OK

	lip, rip, realLip, realRip         netip.Addr
	lport, rport, realLport, realRport uint16
}

// lookup takes what lookups and logins may say; false: it is not known.
func (p *parameters) lookup(key, value string) bool {
	switch key {
	case "service", "protocol":
		p.Service, p.service = value, true
	case "session":
		p.Session = value
	case "local_name":
		p.LocalName = value
	case "client_id":
		p.ClientID = value
	case "lip":
		address(&p.lip, value)
	case "rip":
		address(&p.rip, value)
	case "real_lip":
		address(&p.realLip, value)
	case "real_rip":
		address(&p.realRip, value)
	case "lport":
		port(&p.lport, value)
	case "rport":
		port(&p.rport, value)
	case "real_lport":
		port(&p.realLport, value)
	case "real_rport":
		port(&p.realRport, value)
	case "forward_fields":
		for _, w := range words(value) {
			key, value := keyed(w)
			p.Pass = p.Pass.Set("forward_"+key, value)
		}
	case "debug":
	default:
		return false
	}
	return true
}

// login takes what a login may say beside that.
func (p *parameters) login(key, value string) {
	if p.lookup(key, value) {
		return
	}
	switch key {
	case "secured":
		p.Secured = "secured"
		if value == "tls" {
			p.Secured = "TLS"
		}
	case "final-resp-ok":
		p.finalOK = true
	case "no-penalty":
		p.NoPenalty = true
	case "valid-client-cert":
		p.ValidCert = true
	case "cert_username":
		p.CertUser = value
	}
}

// request puts addresses and ports together.
func (p *parameters) request() auth.Request {
	r := p.Request
	r.Local, r.Remote = netip.AddrPortFrom(p.lip, p.lport), netip.AddrPortFrom(p.rip, p.rport)
	if p.realLip.IsValid() || p.realLport != 0 {
		r.RealLocal = netip.AddrPortFrom(or(p.realLip, p.lip), or(p.realLport, p.lport))
	}
	if p.realRip.IsValid() || p.realRport != 0 {
		r.RealRemote = netip.AddrPortFrom(or(p.realRip, p.rip), or(p.realRport, p.rport))
	}
	return r
}

func or[T comparable](a, otherwise T) T {
	var none T
	if a == none {
		return otherwise
	}
	return a
}

func address(to *netip.Addr, text string) {
	if a, err := netip.ParseAddr(text); err == nil {
		*to = a
	}
}

func port(to *uint16, text string) {
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		*to = uint16(n)
	}
}

// appendLookup writes what a Request says of a lookup, in the order of Dovecot's auth_user_info_export.
func appendLookup(line []byte, r *auth.Request) []byte {
	return appendPlace(appendWord(line, "service", r.Service), r)
}

func appendPlace(line []byte, r *auth.Request) []byte {
	text := func(key, value string) {
		if value != "" {
			line = appendWord(line, key, value)
		}
	}
	text("session", r.Session)
	text("local_name", r.LocalName)
	for _, a := range []struct {
		ip, port string
		is, not  netip.AddrPort
	}{
		{"lip", "lport", r.Local, netip.AddrPort{}},
		{"rip", "rport", r.Remote, netip.AddrPort{}},
		{"real_rip", "real_rport", r.RealRemote, r.Remote},
		{"real_lip", "real_lport", r.RealLocal, r.Local},
	} {
		if a.is.Addr().IsValid() && a.is.Addr() != a.not.Addr() {
			text(a.ip, a.is.Addr().Unmap().String())
		}
		if a.is.Port() != 0 && a.is.Port() != a.not.Port() {
			text(a.port, strconv.Itoa(int(a.is.Port())))
		}
	}
	return line
}

// appendLogin writes what a Request says of a login, in the order of Dovecot's auth_server_send_new_request.
func appendLogin(line []byte, r *auth.Request) []byte {
	line = appendWord(line, "service", r.Service)
	line = append(line, "\tfinal-resp-ok"...)
	switch r.Secured {
	case "":
	case "TLS":
		line = append(line, "\tsecured=tls"...)
	default:
		line = append(line, "\tsecured"...)
	}
	if r.NoPenalty {
		line = append(line, "\tno-penalty"...)
	}
	if r.ValidCert {
		line = append(line, "\tvalid-client-cert"...)
	}
	if r.CertUser != "" {
		line = appendWord(line, "cert_username", r.CertUser)
	}
	if r.ClientID != "" {
		line = appendWord(line, "client_id", r.ClientID)
	}
	return appendPlace(line, r)
}
