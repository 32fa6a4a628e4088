package auth

import (
	"net/netip"
	"strconv"
	"strings"

	"dovetail/formats/conf/variable"
)

// Request is one login, or one lookup, on its way through the chains. The caller fills in what it knows; User,
// LoginUser, MasterUser and the fields are the Service's.
type Request struct {
	Service   string // the protocol: "imap", "pop3", "smtp", "lmtp", "doveadm"
	Mechanism string // in upper case: "PLAIN"; "" for a lookup
	Requested string // the name as the client gave it

	Local, Remote         netip.AddrPort // of the client's connection, or what a trusted proxy says of it
	RealLocal, RealRemote netip.AddrPort // of the connection itself; zero: the same
	LocalName             string         // the host name that the client asked for (SNI)
	ClientID              string         // what IMAP ID said
	ClientPID, SessionPID int            // processes of the client's and the login's side, for variables
	Session               string         // the same in every line of the log about one connection
	Secured               string         // "TLS", "secured" or ""
	ValidCert             bool           // the client has shown a certificate that we trust
	CertUser              string         // the name in it

	// AuthOnly: the client asks whether the password is right and serves no mail itself (SMTP AUTH). It is told
	// nothing about proxies.
	AuthOnly bool

	// For mechanisms: see sasl.Config.
	Bindings     map[string][]byte           // data of the TLS channel by its type
	PlusOffered  bool                        // the client was told of mechanisms with channel binding
	OwnChallenge func(challenge string) bool // whether this connection was greeted with it (APOP)

	// Trusted: from login_trusted_networks. NoPenalty: earlier failures do not slow this one down.
	Trusted, NoPenalty bool

	User       string // the name that is looked up now
	LoginUser  string // while a master user is verified: who is to be logged in
	MasterUser string // the name of the master user, once verified
	AuthUser   string // whose password was checked, when User is another
	Password   string // in clear, if the mechanism gives it; %{password}
	Number     int    // of the database in its chain: %!

	// Pass are the fields so far of passdbs: %{passdb:KEY}. From a caller they are those that a proxy before us sends
	// along, forward_KEY, and no others.
	Pass  Fields
	Found Fields // fields so far of userdbs: %{userdb:KEY}
}

// Expand fills in a template; a nil template is "". An unknown variable is an error.
func (r *Request) Expand(t *variable.Template) (string, error) { return r.ExpandEscaped(t, nil) }

// ExpandEscaped is Expand with each value escaped for the language that the template is in.
func (r *Request) ExpandEscaped(t *variable.Template, escape func(string) string) (string, error) {
	if t == nil {
		return "", nil
	}
	return t.ExpandEscaped(r.Variable, escape)
}

// Variable is the worth of a variable, by its names in 2.3 and 2.4; it is a variable.Lookup.
func (r *Request) Variable(name string) (string, error) {
	if value, ok := r.variable(name); ok {
		return value, nil
	}
	kind, key, _ := strings.Cut(name, ":")
	fields := r.Pass
	switch kind {
	case "userdb":
		fields = r.Found
	case "passdb":
	default:
		return "", variable.ErrUnknown
	}
	key, fallback, hasFallback := strings.Cut(key, ":")
	value, ok := fields.Get(key)
	if !ok && !hasFallback {
		return "", nil
	}
	if !ok {
		value = fallback
	}
	return value, nil
}

func (r *Request) variable(name string) (string, bool) {
	user, which, isName := r.named(name)
	if isName {
		return part(user, which), true
	}
	switch name {
	case "s", "service", "protocol":
		return r.Service, true
	case "h", "home":
		return "", true
	case "m", "mech", "mechanism":
		return r.Mechanism, true
	case "c", "secured":
		return r.Secured, true
	case "k", "cert":
		if r.ValidCert {
			return "valid", true
		}
		return "", true
	case "w", "password":
		return r.Password, true
	case "!", "passdb_id", "userdb_id", "db":
		return strconv.Itoa(r.Number), true
	case "p", "pid", "client_pid":
		return strconv.Itoa(r.ClientPID), true
	case "session_pid":
		return strconv.Itoa(r.SessionPID), true
	case "session":
		return r.Session, true
	case "local_name":
		return r.LocalName, true
	case "client_id":
		return r.ClientID, true
	}
	return r.address(name)
}

// named tells of which name a variable is a part, and which: user, username, domain, domain_first, domain_last.
func (r *Request) named(name string) (of, which string, ok bool) {
	switch name {
	case "u", "user":
		return r.User, "user", true
	case "n", "username":
		return r.User, "username", true
	case "d", "domain":
		return r.User, "domain", true
	case "domain_first", "domain_last":
		return r.User, name, true
	case "orig_user", "original_user", "requested_username":
		return r.Requested, "user", true
	}
	whose, which, ok := strings.Cut(name, "_")
	if !ok || which != "user" && which != "username" && which != "domain" {
		return "", "", false
	}
	switch whose {
	case "orig", "original":
		return r.Requested, which, true
	case "login":
		return r.LoginUser, which, true
	case "master":
		return r.MasterUser, which, true
	case "auth":
		if r.AuthUser == "" {
			return r.User, which, true
		}
		return r.AuthUser, which, true
	}
	return "", "", false
}

func part(user, which string) string {
	name, domain, _ := strings.Cut(user, "@")
	switch which {
	case "username":
		return name
	case "domain", "domain_first":
		if which == "domain_first" {
			domain, _, _ = strings.Cut(domain, "@")
		}
		return domain
	case "domain_last":
		if at := strings.LastIndexByte(user, '@'); at >= 0 {
			return user[at+1:]
		}
		return ""
	}
	return user
}

func (r *Request) address(name string) (string, bool) {
	at := func(real, usual netip.AddrPort) netip.AddrPort {
		if real.IsValid() {
			return real
		}
		return usual
	}
	switch name {
	case "l", "lip", "local_ip":
		return ip(r.Local), true
	case "r", "rip", "remote_ip":
		return ip(r.Remote), true
	case "a", "lport", "local_port":
		return port(r.Local), true
	case "b", "rport", "remote_port":
		return port(r.Remote), true
	case "real_lip", "real_local_ip":
		return ip(at(r.RealLocal, r.Local)), true
	case "real_rip", "real_remote_ip":
		return ip(at(r.RealRemote, r.Remote)), true
	case "real_lport", "real_local_port":
		return port(at(r.RealLocal, r.Local)), true
	case "real_rport", "real_remote_port":
		return port(at(r.RealRemote, r.Remote)), true
	}
	return "", false
}

func ip(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.Addr().Unmap().String()
}

func port(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return strconv.Itoa(int(a.Port()))
}
