package serve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"dovetail/serve/config/options"
)

// haproxy reads the header that a proxy sends first (PROXY protocol, versions 1 and 2, of HAProxy's
// doc/proxy-protocol.txt). It is read byte by byte, so that nothing of what follows is lost; that is at most some 200
// bytes for version 1 and its announced length for version 2. Errors are Dovecot's texts (2.3.19,
// src/lib-master/master-service-haproxy.c).
func (s *Server) haproxy(c *Conn, login options.Login) error {
	from := ipText(c.RealRemote)
	if !within(c.RealRemote.Addr(), login.HAProxyTrustedNetworks) {
		return fmt.Errorf("Client not trusted (rip=%s)", from)
	}
	c.socket.SetReadDeadline(time.Now().Add(login.HAProxyTimeout))
	defer c.socket.SetReadDeadline(time.Time{})
	h, err := readProxyHeader(c.socket)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("Client timed out (rip=%s)", from)
	case errors.Is(err, errProxy):
		return fmt.Errorf("Client disconnected: Failed to read valid HAproxy data (rip=%s)", from)
	case err != nil:
		return fmt.Errorf("Client disconnected (rip=%s): %w", from, err)
	}
	if h.remote.IsValid() {
		c.Remote, c.Local = h.remote, h.local
	}
	c.proxy = &h
	return nil
}

// proxyHeader is what a proxy tells; without addresses the connection is its own (a health check).
type proxyHeader struct {
	remote, local netip.AddrPort
	tls           bool   // between the client and the proxy
	name          string // of us that the client asked the proxy for
	certName      string // common name in the client's certificate, which the proxy has found good
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
	if v4 := f[1] == "TCP4"; err1 != nil || err2 != nil || remote.Addr().Is4() != v4 || local.Addr().Is4() != v4 {
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
	return netip.AddrPortFrom(a, uint16(n)), err
}

// unixNames is how long the two addresses of unix sockets are in version 2.
const unixNames = 216

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
	size := 0
	switch family, transport := head[1]>>4, head[1]&15; {
	case head[1] == 0: // not known to the proxy: the socket's addresses hold
		return h, h.fields(body)
	case transport != 1: // no stream
		return h, errProxy
	case family == 1:
		size = 4
	case family == 2:
		size = 16
	case family == 3 && len(body) >= unixNames:
		return h, h.fields(body[unixNames:])
	default:
		return h, errProxy
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

// Fields of version 2 (section 2.2). The one of TLS begins with five bytes, what the client has and how its certificate was
// found (0: good), and has fields of its own.
const (
	fieldAuthority  = 0x02
	fieldTLS        = 0x20
	fieldCommonName = 0x22
	clientTLS       = 0x01
	clientShown     = 0x02 | 0x04 // shown on this connection, or earlier in the session
	headTLS         = 5
)

func (h *proxyHeader) fields(rest []byte) error {
	return eachField(rest, func(kind byte, value []byte) error {
		switch {
		case kind == fieldAuthority:
			h.name = printable(string(value))
		case kind != fieldTLS:
		case len(value) < headTLS:
			return errProxy
		default:
			h.tls = value[0]&clientTLS != 0
			good := value[0]&clientShown != 0 && binary.BigEndian.Uint32(value[1:]) == 0
			return eachField(value[headTLS:], func(kind byte, value []byte) error {
				if kind == fieldCommonName && good {
					h.certName = string(value)
				}
				return nil
			})
		}
		return nil
	})
}

// eachField goes through fields of type, length and value.
func eachField(rest []byte, do func(kind byte, value []byte) error) error {
	for len(rest) > 0 {
		if len(rest) < 3 {
			return errProxy
		}
		end := 3 + int(binary.BigEndian.Uint16(rest[1:]))
		if len(rest) < end {
			return errProxy
		}
		if err := do(rest[0], rest[3:end]); err != nil {
			return err
		}
		rest = rest[end:]
	}
	return nil
}
