package auth

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// resolveTimeout is how long the name of a proxy's host is looked up, unless the field proxy_timeout says so.
const resolveTimeout = 10 * time.Second

// proxy decides what a login with the field proxy or proxy_maybe does, and finds the address behind its field host
// (Dovecot 2.3.19, src/auth/auth-request.c auth_request_proxy_finish). proxy_maybe becomes proxy, unless the host is
// this one and the port the one that the client has connected to: then there is no proxy at all.
func (a *attempt) proxy(ctx context.Context) error {
	maybe := a.r.Pass.Has("proxy_maybe")
	if a.r.AuthOnly || !maybe && !a.r.Pass.Has("proxy") {
		return nil
	}
	host, ok := a.r.Pass.Get("host")
	if !ok {
		// A director may know the host; it is told where the client is.
		if a.r.Local.IsValid() {
			a.r.Pass = a.r.Pass.Set("lip", ip(a.r.Local)).Set("lport", port(a.r.Local))
		}
		a.proxyIf(true)
		return nil
	}
	addrs, err := a.addresses(ctx, host)
	if err != nil {
		return err
	}
	a.proxyIf(!maybe || !slices.ContainsFunc(addrs, a.isSelf) || !a.isOwnPort())
	return nil
}

// addresses are those of the host: the name may be one, or the field hostip has it, or it is looked up.
func (a *attempt) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	if text, ok := a.r.Pass.Get("hostip"); ok {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("Invalid hostip in passdb: %s", sanitize(text, 64))
		}
		return []netip.Addr{addr}, nil
	}
	timeout := resolveTimeout
	if secs, err := strconv.ParseUint(a.r.Pass.Value("proxy_timeout"), 10, 16); err == nil {
		timeout = time.Duration(secs) * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("DNS lookup for %s failed: %w", sanitize(host, 128), err)
	}
	a.r.Pass = a.r.Pass.Set("hostip", addrs[0].Unmap().String())
	return addrs, nil
}

// isSelf tells whether an address is one of this host.
func (a *attempt) isSelf(addr netip.Addr) bool {
	local := a.r.RealLocal
	if !local.IsValid() {
		local = a.r.Local
	}
	addr = addr.Unmap()
	return addr == local.Addr().Unmap() || slices.ContainsFunc(a.s.o.ProxySelf, func(own netip.Addr) bool { return own.Unmap() == addr })
}

// isOwnPort tells whether the field port is the one that the client has connected to.
func (a *attempt) isOwnPort() bool {
	text, ok := a.r.Pass.Get("port")
	return !ok || text == port(a.r.Local)
}

// proxyIf puts the field proxy in the place of proxy_maybe, or takes away all that speaks of a proxy.
func (a *attempt) proxyIf(yes bool) {
	switch always := a.r.Pass.Has("proxy_always"); {
	case yes:
		if a.r.Pass.Has("proxy_maybe") {
			a.r.Pass = a.r.Pass.Without("proxy_maybe").Set("proxy", "")
		}
	default:
		a.noProxy()
		if always {
			a.r.Pass = a.r.Pass.Set("proxy", "")
		}
	}
}

// noProxy takes away the fields of proxies.
func (a *attempt) noProxy() {
	a.r.Pass = a.r.Pass.Without("proxy", "proxy_maybe", "proxy_always", "host", "port", "destuser")
}
