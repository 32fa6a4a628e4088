package settings

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// listener is one address and port; the zero address is every address.
type listener struct {
	addr netip.Addr
	port int
}

// Names of services in /etc/services that a PORT may be written with.
var ports = map[string]int{"imap": 143, "imap2": 143, "imaps": 993, "pop3": 110, "pop-3": 110, "pop3s": 995}

func (s *server) start() value {
	return s.env[map[string]string{"imap": "IMAPDSTART", "pop3": "POP3DSTART"}[s.protocol]]
}
func (s *server) startTLS() value {
	return s.env[map[string]string{"imap": "IMAPDSSLSTART", "pop3": "POP3DSSLSTART"}[s.protocol]]
}

// plainOn tells whether the daemon without TLS is started. Without a word about it Courier's own scripts start nothing,
// but the sites that start daemons in another way have no such word.
func (s *server) plainOn() bool {
	v := s.start()
	return s.plainFile && (v.Setting == nil || v.on())
}

func (s *server) tlsOn() bool {
	v := s.startTLS()
	return s.tlsFile && (v.Setting == nil || v.on())
}

// listeners sets protocols, addresses, ports and how many clients may connect.
func (r *run) listeners() {
	var names []string
	var values []value
	for _, s := range r.servers() {
		names = append(names, s.protocol)
		values = append(values, s.start(), s.startTLS())
	}
	r.top.set("protocols", strings.Join(names, " "), from(values...))
	for _, s := range []*server{r.imap, r.pop3} {
		if s.plainFile || s.tlsFile {
			r.listen(s)
		}
	}
	for _, s := range r.servers() {
		r.limits(s)
	}
}

func (r *run) listen(s *server) {
	plain, tls := s.protocol, s.protocol+"s"
	s.start().carried("protocols", "")
	s.startTLS().carried("service "+s.protocol+"-login { inet_listener "+tls+" }", "")
	usual := map[string]int{"imap": 143, "pop3": 110}[s.protocol]
	r.place(s, plain, s.plainOn(), s.plain["ADDRESS"], s.plain["PORT"], usual)
	usual = map[string]int{"imap": 993, "pop3": 995}[s.protocol]
	r.place(s, tls, s.tlsOn(), s.tls["SSLADDRESS"], s.tls["SSLPORT"], usual)
	r.arguments(s)
}

// place makes the inet_listeners of one daemon: one for each port.
func (r *run) place(s *server, name string, on bool, address, port value, usual int) {
	service := "service " + s.protocol + "-login"
	if !on {
		if slices.Contains(r.servers(), s) {
			r.top.block(service).block("inet_listener "+name).set("port", "0", "not started")
		}
		address.notNeeded("this daemon is not started")
		port.notNeeded("this daemon is not started")
		return
	}
	listeners := readPorts(address, port, usual)
	address.carried(service+" { inet_listener { address } }", "")
	port.carried(service+" { inet_listener { port } }", "")
	if len(listeners) == 0 {
		r.top.block(service).block("inet_listener "+name).set("port", "0", "no port of Courier's could be taken over")
	}
	for i, same := range byPort(listeners) {
		head := "inet_listener " + name
		if i > 0 {
			head += strconv.Itoa(i + 1)
		}
		b := r.top.block(service).block(head)
		if addresses := same.addresses(); addresses != "" {
			b.set("address", addresses, from(address))
		}
		b.set("port", strconv.Itoa(same[0].port), from(port))
		if strings.HasSuffix(name, "s") {
			b.set("ssl", "yes")
		}
	}
}

// readPorts reads a port list: numbers or address.port, where ADDRESS stands for a missing address and 0 for any.
func readPorts(address, port value, usual int) []listener {
	var any netip.Addr
	if address.text != "" && address.text != "0" {
		addr, err := netip.ParseAddr(address.text)
		if err != nil {
			address.lost(fmt.Sprintf("%q is no address: this listener stays closed", address.text))
			return nil
		}
		any = addr
	}
	if strings.Trim(port.text, " ,\t") == "" {
		return []listener{{any, usual}}
	}
	var all []listener
	for _, item := range strings.FieldsFunc(port.text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		l, ok := readPort(item, any)
		if !ok {
			port.lost(fmt.Sprintf("%q is neither a port nor address.port", item))
			continue
		}
		if !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	return all
}

func readPort(item string, any netip.Addr) (listener, bool) {
	l := listener{addr: any}
	name := item
	if dot := strings.LastIndexByte(item, '.'); dot >= 0 {
		name = item[dot+1:]
		l.addr = netip.Addr{}
		if host := strings.Trim(item[:dot], "[]"); host != "0" {
			addr, err := netip.ParseAddr(host)
			if err != nil {
				return l, false
			}
			l.addr = addr
		}
	}
	if l.port = ports[name]; l.port == 0 {
		n, err := strconv.ParseUint(name, 10, 16)
		if err != nil || n == 0 {
			return l, false
		}
		l.port = int(n)
	}
	return l, true
}

// samePort are the listeners of one port.
type samePort []listener

func byPort(all []listener) []samePort {
	var groups []samePort
	for _, l := range all {
		i := slices.IndexFunc(groups, func(g samePort) bool { return g[0].port == l.port })
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], l)
	}
	return groups
}

// addresses gives the value of address, "" for all.
func (g samePort) addresses() string {
	var list []string
	for _, l := range g {
		if !l.addr.IsValid() {
			return ""
		}
		list = append(list, l.addr.String())
	}
	return strings.Join(list, ", ")
}

// limits sets how many clients may be connected. The two daemons of a protocol counted apart.
func (r *run) limits(s *server) {
	most, places := s.sum("MAXDAEMONS")
	if most > 0 {
		why := "the plain and the TLS daemon counted apart, Dovecot counts them together"
		note := from(places...)
		r.top.block("service "+s.protocol).set("process_limit", strconv.Itoa(most), note)
		r.top.block("service "+s.protocol+"-login").set("process_limit", strconv.Itoa(most), note)
		for _, v := range places {
			v.carried("service "+s.protocol+" { process_limit }", why)
			v.carried("service "+s.protocol+"-login { process_limit }", why)
		}
		r.room(s, most)
	}
	if most, places = s.sum("MAXPERIP"); most > 0 {
		why := "Courier counted the connections of an address; Dovecot counts those of a user from an address"
		r.per(s, "mail_max_userip_connections", strconv.Itoa(most), from(places...), why)
		for _, v := range places {
			v.carried("protocol "+s.protocol+" { mail_max_userip_connections }", why)
		}
	}
}

// sum adds the values that the started daemons of a protocol have of a limit.
func (s *server) sum(name string) (int, []value) {
	total := 0
	var places []value
	for _, daemon := range []struct {
		on bool
		of view
	}{{s.plainOn(), s.plain}, {s.tlsOn(), s.tls}} {
		v := daemon.of[name]
		if !daemon.on || v.Setting == nil {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(v.text))
		if err != nil || n < 1 || n > 1<<20 {
			v.lost(fmt.Sprintf("%q is no number of connections", v.text))
			continue
		}
		total += n
		places = append(places, v)
	}
	return total, places
}

// room lets the processes that all connections go through take as many as the login processes may bring: where they
// cannot, Dovecot warns at the start. 1000 is what they have without a word.
func (r *run) room(s *server, most int) {
	both := most
	for _, other := range r.servers() {
		if other != s {
			n, _ := other.sum("MAXDAEMONS")
			both += n
		}
	}
	if limit := 2*both + 200; limit > 1000 {
		for _, service := range []string{"auth", "anvil", "stats"} {
			r.top.block("service "+service).set("client_limit", strconv.Itoa(limit), "room for all of the processes above")
		}
	}
}

// arguments looks at the options of couriertcpd and courierlogger.
func (r *run) arguments(s *server) {
	quiet := []string{"-nodnslookup", "-noidentlookup", "-dnslookup", "-identlookup", "-listen", "-pid", "-stderr", "-stderrlogger",
		"-stderrloggername", "-warn", "-user", "-group", "-name", "-start", "-restart", "-stop", "-droproot", "-respawn"}
	for _, v := range []value{s.plain["TCPDOPTS"], s.tls["TCPDOPTS"], s.plain["LOGGEROPTS"], s.tls["SSLLOGGEROPTS"]} {
		for _, option := range strings.Fields(v.text) {
			name, arg, _ := strings.Cut(option, "=")
			switch {
			case slices.Contains(quiet, name):
				v.notNeeded("Dovecot does neither need nor have these")
			case name == "-facility" && plainText(arg):
				r.top.set("syslog_facility", quoted(arg), from(v))
				v.carried("syslog_facility", "")
			default:
				v.lost(fmt.Sprintf("Dovecot has nothing like the option %s", name))
			}
		}
	}
}
