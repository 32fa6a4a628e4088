package settings

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// network is one line of an access file of couriertcpd.
type network struct {
	prefix netip.Prefix
	allow  bool
}

var everywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// allowedNets gives the networks that IMAP may be used from: nil for all. The lines of an access file are
//
//	NETWORK TAB allow|deny[,VARIABLE=VALUE...]         NETWORK: 10, 192.168.0, 192.0.2.66, 10.0.0.0/8, 2001:db8::/32 or *
//
// of which the longest network that holds an address counts; where none does, the address is allowed (couriertcpd(1)).
func (r *run) allowedNets() ([]netip.Prefix, value) {
	v := r.imap.plain["IMAPACCESSFILE"]
	if !r.imap.plainOn() {
		v = r.imap.tls["IMAPACCESSFILE"]
	}
	if v.text == "" {
		v.notNeeded("empty")
		return nil, v
	}
	var networks []network
	for _, file := range r.accessFiles(v.text) {
		networks = append(networks, r.readAccess(v, file)...)
	}
	if !slices.ContainsFunc(networks, func(n network) bool { return !n.allow }) {
		v.notNeeded("every address is allowed")
		return nil, v
	}
	allowed := allowedOf(networks)
	if len(allowed) > 500 {
		v.lost("too many networks for one setting: use a firewall")
		return nil, v
	}
	if len(r.servers()) > 1 { // a colon ends a list inside %{if;...} of Dovecot 2.3.19, so IPv6 cannot stand there
		v.lost("POP3 has no such list, and one of Dovecot's would hold for both: keep out the denied addresses with a firewall")
		return nil, v
	}
	if len(allowed) == 0 {
		v.lost("no address at all is allowed")
	}
	return allowed, v
}

// accessFiles finds the text of an access file: it may be a directory whose files are joined. What is compiled from
// them (.dat) is not read.
func (r *run) accessFiles(path string) []string {
	for _, try := range []string{filepath.Join(r.Courier.dir, filepath.Base(path)), path} {
		info, err := os.Stat(try)
		if err != nil {
			continue
		}
		if !info.IsDir() {
			return []string{try}
		}
		entries, err := os.ReadDir(try)
		if err != nil {
			r.problem(filepath.Base(path), 0, "cannot be read: %v", err)
			return nil
		}
		var files []string
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") && !strings.HasSuffix(e.Name(), "~") {
				files = append(files, filepath.Join(try, e.Name()))
			}
		}
		return files
	}
	return nil
}

func (r *run) readAccess(v value, path string) []network {
	name, err := filepath.Rel(r.Courier.dir, path)
	if err != nil || strings.HasPrefix(name, "..") {
		name = path
	}
	text, err := readRegular(path)
	if err != nil {
		r.problem(name, 0, "cannot be read: %v", err)
		return nil
	}
	var networks []network
	at := 0
	for line := range strings.Lines(string(text)) {
		at++
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			continue
		}
		where, what, _ := strings.Cut(line, "\t")
		verdict, extra, _ := strings.Cut(what, ",")
		prefixes := netblock(strings.TrimSpace(where))
		if verdict = strings.TrimSpace(verdict); len(prefixes) == 0 || verdict != "allow" && verdict != "deny" {
			r.problem(name, at, "%.60q is not NETWORK TAB allow or deny", line)
			continue
		}
		if extra != "" {
			r.problem(name, at, "variables for one network (%.60q) have no counterpart", extra)
		}
		for _, p := range prefixes {
			networks = append(networks, network{p, verdict == "allow"})
		}
	}
	return networks
}

// netblock reads the network of an access file: whole octets from the left, or the usual notation.
func netblock(s string) []netip.Prefix {
	if s == "*" {
		return everywhere
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return []netip.Prefix{p.Masked()}
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
	}
	octets := strings.Split(strings.TrimSuffix(s, "."), ".")
	if len(octets) > 3 {
		return nil
	}
	a, err := netip.ParseAddr(strings.Join(append(octets, "0", "0", "0")[:4], "."))
	if err != nil || !a.Is4() {
		return nil
	}
	return []netip.Prefix{netip.PrefixFrom(a, 8*len(octets))}
}

// allowedOf gives the smallest list of networks that holds exactly the allowed addresses.
func allowedOf(networks []network) []netip.Prefix {
	var allowed []netip.Prefix
	for _, all := range everywhere {
		allowed = append(allowed, allowedIn(all, true, networks)...)
	}
	return allowed
}

// allowedIn splits a network until each part is wholly allowed or denied. verdict is that of the networks around it.
func allowedIn(part netip.Prefix, verdict bool, networks []network) []netip.Prefix {
	var inside []network
	for _, n := range networks {
		switch {
		case n.prefix == part:
			verdict = n.allow
		case part.Overlaps(n.prefix) && n.prefix.Bits() > part.Bits():
			inside = append(inside, n)
		}
	}
	if !slices.ContainsFunc(inside, func(n network) bool { return n.allow != verdict }) {
		if verdict {
			return []netip.Prefix{part}
		}
		return nil
	}
	low, high := halves(part)
	return append(allowedIn(low, verdict, inside), allowedIn(high, verdict, inside)...)
}

func halves(p netip.Prefix) (low, high netip.Prefix) {
	bits := p.Bits()
	b := p.Addr().AsSlice()
	low = netip.PrefixFrom(p.Addr(), bits+1)
	b[bits/8] |= 0x80 >> (bits % 8)
	upper, _ := netip.AddrFromSlice(b)
	return low, netip.PrefixFrom(upper, bits+1)
}
