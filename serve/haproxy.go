package serve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"dovetail/serve/config/options"
)

// haproxy reads the header that a proxy sends first (PROXY protocol, versions 1 and 2, of HAProxy's
// doc/proxy-protocol.txt). It is read byte by byte, so that nothing of what follows is lost; that is at most some 200
// bytes for version 1 and its announced length for version 2.
func (s *Server) haproxy(c *Conn, login options.Login) error {
	if !within(c.RealRemote.Addr(), login.HAProxyTrustedNetworks) {
		return fmt.Errorf("Client not trusted (rip=%s)", ipText(c.RealRemote))
	}
	c.socket.SetReadDeadline(time.Now().Add(login.HAProxyTimeout))
	defer c.socket.SetReadDeadline(time.Time{})
	h, err := readProxyHeader(c.socket)
	if err != nil {
		return err
	}
	if h.remote.IsValid() {
		c.Remote, c.Local = h.remote, h.local
	}
	c.proxied = h.tls
	return nil
}

// proxyHeader is what a proxy tells; without addresses the connection is its own (a health check).
type proxyHeader struct {
	remote, local netip.AddrPort
	tls           bool
}

const signature2 = "\r\n\r\n\x00\r\nQUIT\n"

var errProxy = errors.New("not a PROXY header")

func readProxyHeader(r io.Reader) (proxyHeader, error) {
	var start [12]byte
	if _, err := io.ReadFull(r, start[:1]); err != nil {
		return proxyHeader{}, err
	}
	if start[0] == 'P' {
		return readProxy1(r)
	}
	if _, err := io.ReadFull(r, start[1:]); err != nil {
		return proxyHeader{}, err
	}
	if string(start[:]) != signature2 {
		return proxyHeader{}, errProxy
	}
	return readProxy2(r)
}

// maxProxy1 is the longest line of version 1, with its end.
const maxProxy1 = 107

// readProxy1 reads "PROXY TCP4 192.0.2.1 198.51.100.2 4711 143", whose first byte was read.
func readProxy1(r io.Reader) (proxyHeader, error) {
	line := []byte("P")
	for one := make([]byte, 1); !strings.HasSuffix(string(line), "\r\n"); line = append(line, one[0]) {
		if len(line) == maxProxy1 {
			return proxyHeader{}, errProxy
		}
		if _, err := io.ReadFull(r, one); err != nil {
			return proxyHeader{}, err
		}
	}
	f := strings.Split(strings.TrimSuffix(string(line), "\r\n"), " ")
	switch {
	case len(f) >= 2 && f[0] == "PROXY" && f[1] == "UNKNOWN":
		return proxyHeader{}, nil
	case len(f) != 6 || f[0] != "PROXY" || f[1] != "TCP4" && f[1] != "TCP6":
		return proxyHeader{}, errProxy
	}
	remote, err1 := parseEnd(f[2], f[4])
	local, err2 := parseEnd(f[3], f[5])
	if err := errors.Join(err1, err2); err != nil {
		return proxyHeader{}, errProxy
	}
	return proxyHeader{remote: remote, local: local}, nil
}

func parseEnd(address, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), err
}

// readProxy2 reads what follows the signature: version and command, family, length, addresses, and fields of type,
// length, value.
func readProxy2(r io.Reader) (h proxyHeader, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return h, err
	}
	if head[0]>>4 != 2 || head[0]&15 > 1 {
		return h, errProxy
	}
	body := make([]byte, binary.BigEndian.Uint16(head[2:]))
	if _, err := io.ReadFull(r, body); err != nil {
		return h, err
	}
	if head[0]&15 == 0 { // LOCAL
		return h, nil
	}
	size := map[byte]int{0x11: 4, 0x21: 16}[head[1]]
	if size == 0 {
		return h, nil // another family: the socket's addresses hold
	}
	if len(body) < 2*size+4 {
		return h, errProxy
	}
	remote, _ := netip.AddrFromSlice(body[:size])
	local, _ := netip.AddrFromSlice(body[size : 2*size])
	ports := body[2*size:]
	h.remote = netip.AddrPortFrom(remote.Unmap(), binary.BigEndian.Uint16(ports))
	h.local = netip.AddrPortFrom(local.Unmap(), binary.BigEndian.Uint16(ports[2:]))
	return h, h.fields(ports[4:])
}

// The field that tells of TLS between the client and the proxy: PP2_TYPE_SSL, whose first byte has PP2_CLIENT_SSL.
const (
	fieldTLS  = 0x20
	clientTLS = 0x01
)

func (h *proxyHeader) fields(rest []byte) error {
	for len(rest) > 0 {
		if len(rest) < 3 {
			return errProxy
		}
		size := int(binary.BigEndian.Uint16(rest[1:]))
		if len(rest) < 3+size {
			return errProxy
		}
		if rest[0] == fieldTLS && size > 0 {
			h.tls = rest[3]&clientTLS != 0
		}
		rest = rest[3+size:]
	}
	return nil
}
