package ldap

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Server says where a directory is and as whom it is asked.
type Server struct {
	URIs     []string // ldap://host:port, ldaps://host:port, ldapi://path with %2F for /; asked in this order
	DN       string   // of the service; "": nobody
	Password string
	External bool // the service is who its client certificate or its socket says (SASL EXTERNAL, RFC 4422 appendix A)
	StartTLS bool
	TLS      TLS
}

// address is one server.
type address struct {
	uri           string
	network, dial string // "tcp" "host:389", "unix" "/path"
	host          string // that the certificate must name
	tls           bool   // from the start
}

// parseURI reads the addresses that OpenLDAP's library knows; what follows the host, as in RFC 4516, is passed over.
func parseURI(uri string) (address, error) {
	kind, rest, ok := strings.Cut(uri, "://")
	host, _, _ := strings.Cut(rest, "/")
	a := address{uri: uri, network: "tcp"}
	port := "389"
	switch strings.ToLower(kind) {
	case "ldap":
	case "ldaps":
		a.tls, port = true, "636"
	case "ldapi":
		path, err := url.PathUnescape(host)
		if err != nil {
			return a, fmt.Errorf("%s: %w", uri, err)
		}
		if path == "" {
			path = "/var/run/slapd/ldapi" // Debian's and Red Hat's
		}
		a.network, a.dial, a.host = "unix", path, "localhost"
		return a, nil
	default:
		ok = false
	}
	if !ok {
		return a, fmt.Errorf("%s is no address of a directory: write ldap://host, ldaps://host or ldapi://%%2Fpath%%2Fof%%2Fsocket", uri)
	}
	name, given, err := net.SplitHostPort(host)
	switch {
	case err == nil:
		host, port = name, cmp.Or(given, port)
	case strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]"):
		host = host[1 : len(host)-1]
	case strings.ContainsAny(host, ":[]"):
		return a, fmt.Errorf("%s: %w", uri, err)
	}
	a.host = cmp.Or(host, "localhost")
	a.dial = net.JoinHostPort(a.host, port)
	return a, nil
}

// local tells whether nobody can listen on the way to it.
func (a address) local() bool {
	ip, err := netip.ParseAddr(a.host)
	return a.network == "unix" || strings.EqualFold(a.host, "localhost") || err == nil && ip.IsLoopback()
}

// link is one connection.
type link struct {
	*ldap.Conn
	raw  net.Conn
	mux  *mux      // for our own searches; nil after StartTLS, which the library does beneath itself
	used time.Time // when it was last given back
}

// end closes the connection, whatever is under way on it.
func (l *link) end() {
	l.raw.Close() // first, so that nothing waits for a server that does not read
	l.Conn.Close()
}

// Connecting takes no longer than connectTimeout for each server, an answer no longer than answerTimeout: 5 and 60
// seconds as in 2.3.19.1 (db-ldap.h).
const connectTimeout, answerTimeout = 5 * time.Second, time.Minute

// connect makes a connection to the first server that answers. The error names all that do not.
func (d *Directory) connect(ctx context.Context, ready func(*link) error) (*link, error) {
	var errs []error
	for _, a := range d.addresses {
		l, err := d.connectTo(ctx, a, ready)
		if err == nil || len(d.addresses) == 1 || errors.Is(err, errService) {
			return l, err
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	return nil, failure(err, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
}

func (d *Directory) connectTo(ctx context.Context, a address, ready func(*link) error) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, d.connecting)
	defer cancel()
	down := func(err error) error { return failure(err, "Can't connect to server: %s: %v", a.uri, err) }
	raw, err := (&net.Dialer{}).DialContext(ctx, a.network, a.dial)
	if err != nil {
		return nil, down(err)
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	if a.tls {
		secured := tls.Client(raw, d.config(a))
		if err := secured.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, down(err)
		}
		raw = secured
	}
	l := &link{raw: raw}
	if !d.server.StartTLS {
		l.mux = newMux(raw)
		raw = l.mux
	}
	l.Conn = ldap.NewConn(raw, a.tls)
	l.Start()
	if d.server.StartTLS {
		if err := l.StartTLS(d.config(a)); err != nil {
			l.end()
			return nil, failure(err, "Can't connect to server: %s: ldap_start_tls_s() failed: %v", a.uri, err)
		}
	}
	if ready != nil {
		err = ready(l)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		l.end()
		if lost(err) {
			err = down(err)
		}
		return nil, err
	}
	return l, nil
}

// bindService makes a connection the service's.
func (d *Directory) bindService(l *link) error {
	var err error
	switch {
	case d.server.External:
		err = l.ExternalBind()
	case d.server.DN == "":
		return nil // as everybody is before a bind (RFC 4511 section 4.2.1)
	case d.server.Password == "":
		err = l.UnauthenticatedBind(d.server.DN) // as Dovecot does; servers allow it or not
	default:
		err = l.Bind(d.server.DN, d.server.Password)
	}
	if err == nil || lost(err) {
		return err
	}
	dn := d.server.DN
	if dn == "" {
		dn = "(none)"
	}
	return failure(errService, "binding failed (dn %s): %s", dn, reason(err))
}

// errService is why nothing can be asked: a server that was reached does not want the service.
var errService = errors.New("the service may not bind")

// answer is the code of a server's answer, or of a request that could not be made; ok is false where the connection
// is at fault. An error that wraps an answer is not one: it is of an earlier request.
func answer(err error) (code uint16, ok bool) {
	result, ok := err.(*ldap.Error)
	if !ok || result.ResultCode == ldap.ErrorNetwork {
		return 0, false
	}
	return result.ResultCode, true
}

// lost tells whether what the library gave is an error of the connection.
func lost(err error) bool {
	_, ok := answer(err)
	return err != nil && !ok && !errors.Is(err, errService)
}

// warnClear says once which servers are sent passwords that others can read on the way.
func (d *Directory) warnClear(what string, log *slog.Logger) {
	for _, a := range d.addresses {
		if !a.tls && !d.server.StartTLS && !a.local() && log != nil {
			log.Warn(fmt.Sprintf("ldap: %s in clear to %s: use ldaps://, or tls = yes", what, a.uri))
		}
	}
}
