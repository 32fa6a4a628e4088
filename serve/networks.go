package serve

import (
	"net/netip"
	"strings"
)

// within tells whether an address is in one of the networks: "10.0.0.0/8", "::1", "192.0.2.1".
func within(a netip.Addr, networks []string) bool {
	a = a.Unmap()
	for _, n := range networks {
		if p, err := netip.ParsePrefix(n); err == nil && p.Contains(a) {
			return true
		}
		if one, err := netip.ParseAddr(strings.Trim(n, "[]")); err == nil && one.Unmap() == a {
			return true
		}
	}
	return false
}

func ipText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.Addr().String()
}
