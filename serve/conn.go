package serve

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"dovetail/auth"
	"dovetail/auth/sasl"
	"dovetail/serve/config"
)

// Conn is the connection of a client, in whatever protocol. Reading and writing each are for one goroutine.
type Conn struct {
	Service string // the protocol: "imap"
	Session string // in every line of the log about this connection
	Since   time.Time

	// Local and Remote are the two ends as the client sees them; the Real ones are those of the socket, which are others
	// behind a proxy.
	Local, Remote         netip.AddrPort
	RealLocal, RealRemote netip.AddrPort
	Trusted               bool // from login_trusted_networks

	Client    string      // what the client says of itself, where the site wants to know (imap_id_retain)
	Forwarded auth.Fields // what a trusted client tells of the one that it speaks for: forward_KEY

	In, Out atomic.Int64 // bytes of the protocol so far

	dismissed atomic.Pointer[string]

	socket  net.Conn
	stream  net.Conn // socket, or TLS over it
	era     *era
	release func()               // of the era, when somebody is logged in
	channel *tls.ConnectionState // nil without TLS
	client  clientCert
	proxy   *proxyHeader // what a proxy before us says; nil without one
	raw     *rawlog      // nil: nothing is kept of what is said
}

func newConn(socket net.Conn, service string, e *era, release func()) *Conn {
	c := &Conn{Service: service, Session: newSession(), Since: time.Now(), socket: socket, stream: socket, era: e, release: release}
	c.Local, _ = addrPort(socket.LocalAddr())
	c.Remote, _ = addrPort(socket.RemoteAddr())
	c.RealLocal, c.RealRemote = c.Local, c.Remote
	return c
}

// newSession is not to be guessed: who knows it can find all lines of the log about a client.
func newSession() string {
	var b [12]byte
	rand.Read(b[:])
	return base64.RawStdEncoding.EncodeToString(b[:])
}

func addrPort(a net.Addr) (netip.AddrPort, bool) {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port()), true
}

// filter chooses what holds for the connection: by its ends as the client sees them, and by the name that it asked for.
func (c *Conn) filter() config.Filter {
	f := config.Filter{Protocol: c.Service, Local: prefixOf(c.Local), Remote: prefixOf(c.Remote)}
	f.LocalName = c.localName()
	return f
}

// localName is our name as the client knows it, from TLS.
func (c *Conn) localName() string {
	switch {
	case c.channel != nil:
		return c.channel.ServerName
	case c.proxy != nil:
		return c.proxy.name
	}
	return ""
}

func (c *Conn) proxiedTLS() bool { return c.proxy != nil && c.proxy.tls }

// prefixOf is one address as settings name it.
func prefixOf(a netip.AddrPort) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a.Addr(), a.Addr().BitLen())
}

// View is what the configuration says for the connection: the one that was in force when it came.
func (c *Conn) View() config.View { return c.era.config.For(c.filter()) }

// Auth is the auth service for the connection. It is open as long as the protocol serves.
func (c *Conn) Auth() *auth.Service { return c.era.auth }

// Read gives what the client says.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.stream.Read(p)
	c.In.Add(int64(n))
	if c.raw != nil {
		c.raw.write(&c.raw.in, p[:n])
	}
	return n, err
}

// Write says something to the client.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.stream.Write(p)
	c.Out.Add(int64(n))
	if c.raw != nil {
		c.raw.write(&c.raw.out, p[:n])
	}
	return n, err
}

// SetReadDeadline ends reading that waits then. What was dismissed reads no more, whatever is set.
func (c *Conn) SetReadDeadline(t time.Time) error {
	err := c.socket.SetReadDeadline(t)
	if _, over := c.Dismissed(); over {
		err = c.socket.SetReadDeadline(time.Unix(1, 0))
	}
	return err
}

// SetWriteDeadline is for all writing until another one is set.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.socket.SetWriteDeadline(t) }

// IsTimeout tells whether reading or writing ended because its time was over. A context's end is something else: that of a lock
// which was waited for in vain, for instance.
func IsTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout() && t != context.DeadlineExceeded
}

// Patient writes to the client, and gives up one that takes no piece of what is said for that long.
func (c *Conn) Patient(wait time.Duration) io.Writer { return patient{c, wait} }

type patient struct {
	c    *Conn
	wait time.Duration
}

func (p patient) Write(b []byte) (int, error) {
	p.c.SetWriteDeadline(time.Now().Add(p.wait))
	return p.c.Write(b)
}

// Close ends the connection. With TLS the client is told that this is the end (RFC 8446 section 6.1), and that nobody
// else has cut the connection.
func (c *Conn) Close() error {
	if c.raw != nil {
		c.raw.in.close()
		c.raw.out.close()
	}
	if c.stream != c.socket {
		c.socket.SetWriteDeadline(time.Now().Add(patience))
		c.stream.Close()
	}
	return c.socket.Close()
}

// errTLSTwice is a mistake of the caller.
var errTLSTwice = errors.New("TLS is started already")

// StartTLS does the handshake. What was read before and not used must be dropped by the caller: somebody in the middle
// may have sent it (RFC 2595 section 2.4 and the attack known as STARTTLS command injection).
func (c *Conn) StartTLS(ctx context.Context) error {
	if c.channel != nil {
		return errTLSTwice
	}
	s := tls.Server(c.socket, c.era.certs.server(c.filter(), &c.client))
	if err := s.HandshakeContext(ctx); err != nil {
		return err
	}
	state := s.ConnectionState()
	c.stream, c.channel = s, &state
	return nil
}

// CanStartTLS tells whether STARTTLS is to be offered.
func (c *Conn) CanStartTLS(mode string) bool {
	return mode != "no" && c.channel == nil && !c.proxiedTLS()
}

// TLS is what is known of the channel; nil without one.
func (c *Conn) TLS() *tls.ConnectionState { return c.channel }

// Secured is "TLS", "secured" where nobody else can listen (both ends are one machine, or the network is trusted), or "".
func (c *Conn) Secured() string {
	switch {
	case c.channel != nil || c.proxiedTLS():
		return "TLS"
	case c.Trusted:
		return "secured"
	case c.proxy == nil && c.Local.Addr().IsValid() && c.Local.Addr() == c.Remote.Addr():
		return "secured"
	case !c.Remote.IsValid(): // a unix socket
		return "secured"
	}
	return ""
}

// Request is what authentication is told of the connection; certField is ssl_cert_username_field.
func (c *Conn) Request(certField string) auth.Request {
	r := auth.Request{Service: c.Service, Session: c.Session, Local: c.Local, Remote: c.Remote, RealLocal: c.RealLocal,
		RealRemote: c.RealRemote, Secured: c.Secured(), Trusted: c.Trusted, ValidCert: c.client.valid}
	r.LocalName, r.ClientID, r.Pass = c.localName(), c.Client, slices.Clone(c.Forwarded)
	switch {
	case c.client.valid:
		r.CertUser = c.client.user(certField)
	case c.proxy != nil && c.proxy.certName != "":
		r.CertUser, r.ValidCert = c.proxy.certName, true
	}
	if c.channel != nil {
		r.Bindings = sasl.Bindings(*c.channel, c.client.ours)
	}
	return r
}
