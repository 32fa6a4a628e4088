package config

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"dovetail/formats/conf"
)

// Filter says for which connections settings hold, or of which connection they
// are wanted. Zero fields match everything, or are not known.
type Filter struct {
	Protocol  string       // imap; in a configuration also !imap
	LocalName string       // name of us that the client asked for; in a configuration with "*" for one label, several with blanks
	Local     netip.Prefix // our address
	Remote    netip.Prefix // the client's address
}

// filtered is a filter section with what it sets.
type filtered struct {
	Filter
	*tree
	pos conf.Pos
}

// ParseFilter reads one KEY=VALUE of doveconf -f into the filter: protocol,
// service, local, remote, lname.
func (f *Filter) ParseFilter(ctx context.Context, arg string) (err error) {
	key, value, _ := strings.Cut(arg, "=")
	switch key {
	case "protocol", "service":
		f.Protocol = value
	case "lname":
		f.LocalName = value
	case "local":
		if f.Local, err = Lookup(nil).net(ctx, value); err != nil {
			return fmt.Errorf("local filter: %w", err)
		}
	case "remote":
		if f.Remote, err = Lookup(nil).net(ctx, value); err != nil {
			return fmt.Errorf("remote filter: %w", err)
		}
	default:
		return fmt.Errorf("Unknown filter argument: %s", arg)
	}
	return nil
}

// Lookup gives the addresses of a host; nil asks the system.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// net reads ADDRESS, ADDRESS/BITS, HOST or HOST/BITS.
func (l Lookup) net(ctx context.Context, value string) (netip.Prefix, error) {
	host, mask, masked := strings.Cut(value, "/")
	addr, err := parseAddr(host)
	if err != nil {
		if l == nil {
			l = systemLookup
		}
		addrs, err := l(ctx, host)
		if err != nil || len(addrs) == 0 {
			return netip.Prefix{}, fmt.Errorf("gethostbyname(%s) failed: %s", host, "Name or service not known")
		}
		addr = addrs[0].Unmap()
	}
	bits := addr.BitLen()
	if masked {
		if bits, err = strconv.Atoi(mask); err != nil || bits < 0 || bits > addr.BitLen() {
			return netip.Prefix{}, fmt.Errorf("Invalid network mask: %s", mask)
		}
	}
	return netip.PrefixFrom(addr, bits), nil
}

func systemLookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

func parseAddr(s string) (netip.Addr, error) { return netip.ParseAddr(strings.Trim(s, "[]")) }

// same tells whether two filter sections are one: names compare without case.
func (f Filter) same(g Filter) bool {
	return f.Protocol == g.Protocol && f.Local == g.Local && f.Remote == g.Remote &&
		strings.EqualFold(f.LocalName, g.LocalName)
}

// covers tells whether settings of the filter hold for the connection.
func (f Filter) covers(c Filter) bool {
	return f.coversProtocol(c) && f.coversRest(c)
}

func (f Filter) coversProtocol(c Filter) bool {
	if f.Protocol == "" {
		return true
	}
	if not, ok := strings.CutPrefix(f.Protocol, "!"); ok {
		return c.Protocol != "" && c.Protocol != not
	}
	return c.Protocol == f.Protocol
}

func (f Filter) coversRest(c Filter) bool {
	return (f.LocalName == "" || c.LocalName != "" && nameMatches(f.LocalName, c.LocalName)) &&
		inNet(f.Local, c.Local) && inNet(f.Remote, c.Remote)
}

// inNet tells whether want is not set, or contains have. A prefix of no bits
// is like none, as in Dovecot.
func inNet(want, have netip.Prefix) bool {
	return want.Bits() <= 0 || have.IsValid() && have.Bits() > 0 && want.Contains(have.Addr())
}

// nameMatches compares a host name with names separated by blanks.
func nameMatches(patterns, name string) bool {
	for p := range strings.SplitSeq(patterns, " ") {
		if nameMatchesOne(strings.ToLower(p), strings.ToLower(name)) {
			return true
		}
	}
	return false
}

// nameMatchesOne lets the first label of the pattern be "*", for exactly one
// label.
func nameMatchesOne(pattern, name string) bool {
	if rest, ok := strings.CutPrefix(pattern, "*."); ok {
		_, after, _ := strings.Cut(name, ".")
		return after == rest
	}
	return pattern == name
}

// compare orders filters from the least specific to the most: a local name
// weighs most, then our network, then the client's, then the protocol.
func (f Filter) compare(g Filter) int {
	named := func(s string) int {
		if s == "" {
			return 0
		}
		return 1
	}
	bits := func(p netip.Prefix) int { return max(p.Bits(), 0) }
	for _, d := range []int{
		named(f.LocalName) - named(g.LocalName), bits(f.Local) - bits(g.Local),
		bits(f.Remote) - bits(g.Remote), named(f.Protocol) - named(g.Protocol),
	} {
		if d != 0 {
			return d
		}
	}
	return 0
}

// nest makes the filter of a section inside one with filter f. The text of the
// error is Dovecot 2.3's.
func (f Filter) nest(ctx context.Context, l Lookup, kind, value string) (Filter, error) {
	in := f
	refuse := func(better string) error {
		outer := "protocol"
		switch {
		case f.Remote.Bits() > 0:
			outer = "remote"
		case f.Protocol == "":
			outer = "local_name"
		}
		return fmt.Errorf("%s { %s { .. } } not allowed (use %s { %s { .. } } instead)", outer, kind, better, outer)
	}
	var err error
	switch kind {
	case "protocol":
		if f.Protocol != "" {
			return in, fmt.Errorf("Nested protocol { protocol { .. } } block not allowed")
		}
		in.Protocol = value
	case "local":
		if f.Remote.Bits() > 0 || f.Protocol != "" || f.LocalName != "" {
			return in, refuse(kind)
		}
		in.Local, err = l.inside(ctx, kind, value, f.Local)
	case "local_name":
		if f.Remote.Bits() > 0 || f.Protocol != "" {
			return in, refuse(kind)
		}
		in.LocalName = value
	case "remote":
		if f.Protocol != "" {
			return in, fmt.Errorf("protocol { remote { .. } } not allowed (use remote { protocol { .. } } instead)")
		}
		in.Remote, err = l.inside(ctx, kind, value, f.Remote)
	}
	return in, err
}

// inside reads a network that must lie in another one.
func (l Lookup) inside(ctx context.Context, kind, value string, outer netip.Prefix) (netip.Prefix, error) {
	p, err := l.net(ctx, value)
	if err == nil && outer.Bits() > 0 && (outer.Bits() > p.Bits() || !outer.Contains(p.Addr())) {
		err = fmt.Errorf("%[1]s net1 { %[1]s net2 { .. } } requires net2 to be inside net1", kind)
	}
	return p, err
}

func isFilter(kind string) bool {
	return kind == "protocol" || kind == "local" || kind == "local_name" || kind == "remote"
}
