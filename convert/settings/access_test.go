package settings

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestNetworksOfAnAccessFile(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"10", "10.0.0.0/8"}, {"192.168", "192.168.0.0/16"}, {"192.168.7.", "192.168.7.0/24"}, {"192.0.2.66", "192.0.2.66/32"},
		{"10.1.2.3/8", "10.0.0.0/8"}, {"2001:db8::/32", "2001:db8::/32"}, {"::1", "::1/128"}, {"*", "0.0.0.0/0 ::/0"},
		{"", ""}, {"300", ""}, {"1.2.3.4.5", ""}, {"mail.example.com", ""}, {"1.2.3.4/40", ""}, {"fe80::1%eth0", ""},
	} {
		var got []string
		for _, p := range netblock(tc.line) {
			got = append(got, p.String())
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%q: got %v, want %q", tc.line, got, tc.want)
		}
	}
}

// The list of allowed networks says of every address what the longest network of the access file says.
func TestAllowedNetworksAreThoseOfTheLongestMatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	address := func() netip.Addr {
		return netip.AddrFrom4([4]byte{byte(rng.IntN(2) * 128), byte(rng.IntN(4)), byte(rng.IntN(2)), byte(rng.IntN(256))})
	}
	for range 300 {
		var networks []network
		seen := map[netip.Prefix]bool{}
		for range rng.IntN(6) {
			p := netip.PrefixFrom(address(), rng.IntN(33)).Masked()
			if !seen[p] {
				seen[p] = true
				networks = append(networks, network{p, rng.IntN(2) == 0})
			}
		}
		allowed := allowedOf(networks)
		for range 200 {
			a := address()
			want, longest := true, -1
			for _, n := range networks {
				if n.prefix.Contains(a) && n.prefix.Bits() > longest {
					want, longest = n.allow, n.prefix.Bits()
				}
			}
			if got := slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(a) }); got != want {
				t.Fatalf("%v: %s allowed %v, want %v by %v", networks, a, got, want, allowed)
			}
		}
	}
}

func TestAccessIsForIMAPOnly(t *testing.T) {
	files := site("imapd", "IMAPACCESSFILE=/etc/courier/imapaccess")
	files["imapaccess/default"] = "192.0.2.66\tdeny\n*\tallow\n"
	if r := convert(t, folder(t, files)); r.Complete() || strings.Contains(squeezed(r.Files[0].Text), "allow_nets") {
		t.Errorf("IMAP's list would hold for POP3:\n%s", squeezed(r.Files[0].Text))
	}
	files["pop3d"], files["pop3d-ssl"] = "POP3DSTART=NO\n", "POP3DSSLSTART=NO\n"
	files["imapaccess/default"] = "# our own\n10\tallow\n*\tdeny\n"
	if r := convert(t, folder(t, files)); !strings.Contains(squeezed(r.Files[0].Text), "default_fields = allow_nets=10.0.0.0/8\n") || !r.Complete() {
		t.Errorf("IMAP's own list:\n%s", squeezed(r.Files[0].Text))
	}
}

func TestServicesThatStartCourierThemselves(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"exec softlimit -m 64000000 tcpserver -v -R -H -l 0 -c 60 -x /etc/tcp/143.cdb 0 143 /usr/lib/courier/imaplogin /usr/bin/imapd Maildir", "address 0, port 143, with at most 60 connections"},
		{"tcpserver -c20 192.0.2.1 pop3 courierpop3login courierpop3d", "address 192.0.2.1, port pop3, with at most 20 connections"},
		{"tcpserver 0 110 courierpop3login", "with at most 40 connections"},
		{"tcpserver 0 110 qmail-popup", ""}, {"# tcpserver 0 143 imaplogin", ""}, {"couriertcpd 143 imaplogin", ""}, {"tcpserver imaplogin", ""}, {"tcpserver -c", ""}, {"", ""},
	} {
		if got := tcpserver(strings.Fields(tc.line)); tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%q: got %q, want %q", tc.line, got, tc.want)
		}
	}
}
