package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"dovetail/auth"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

var errEnding = errors.New("the server is ending")

// Reload puts a configuration in the place of the one that is in force, with its certificates, read anew, with an auth
// service, which the server then owns, and with its ports: those that are open stay so, others are opened or closed. It
// is all in force for connections from the same moment on. Those that are there stay: who is not logged in yet goes on
// with what held when he came.
//
// After an error everything is as before.
func (s *Server) Reload(ctx context.Context, c *config.Config, service *auth.Service) error {
	services, err := options.ReadServices(c.For(config.Filter{}))
	if err != nil {
		return err
	}
	old, release := s.eras.hold()
	defer release()
	o := opening{open: old.ports}
	if err := o.all(ctx, services, s.serves); err != nil {
		return err
	}
	e, err := s.prepare(c, o.list)
	if err != nil {
		o.undo()
		return err
	}
	e.auth = service
	if !s.eras.begin(e) {
		o.undo()
		return errEnding
	}
	for _, err := range o.settle() {
		s.log.Error("master: " + err.Error())
	}
	return s.hand(ctx, o.made)
}

func (s *Server) serves(protocol string) bool { return s.protocols[protocol] != nil }

// hand gives new ports to Run.
func (s *Server) hand(ctx context.Context, ports []net.Listener) error {
	for i, p := range ports {
		select {
		case s.fresh <- p:
		case <-s.over:
			return closeAll(ports[i:])
		case <-ctx.Done():
			return closeAll(ports[i:])
		}
	}
	return nil
}

func closeAll(ports []net.Listener) error {
	var errs []error
	for _, p := range ports {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// prepare makes an era without an auth service. What is wrong with certificates that everybody gets is an error; of
// those for names, which others can do without, it is logged.
func (s *Server) prepare(c *config.Config, listeners []Listener) (*era, error) {
	e := &era{config: c, certs: newCertificates(c, s.src), ports: map[net.Listener]Listener{}}
	var protocols []string
	s.warnCleartext(c, listeners)
	for _, l := range listeners {
		e.ports[l.Listener] = l
		f := config.Filter{Protocol: l.Protocol}
		o, err := options.Read[options.TLS](c.For(f))
		if err != nil {
			return nil, err
		}
		if o.Mode == "no" || !l.TLS && !o.Cert.Set() {
			continue
		}
		if _, _, err := e.certs.of(f); err != nil {
			return nil, fmt.Errorf("%s-login: %w", l.Protocol, placed(err, c.For(f)))
		}
		if !slices.Contains(protocols, l.Protocol) {
			protocols = append(protocols, l.Protocol)
			s.warnKey(o)
		}
	}
	for _, protocol := range protocols {
		s.checkNames(e, protocol)
	}
	return e, nil
}

// checkNames logs what is wrong with certificates for names and addresses of their own.
func (s *Server) checkNames(e *era, protocol string) {
	said := map[string]bool{}
	for _, f := range e.config.Filters() {
		if f.Protocol != "" && f.Protocol != protocol {
			continue
		}
		f.Protocol = protocol
		for _, name := range sampleNames(f.LocalName) {
			f.LocalName = name
			_, _, err := e.certs.of(f)
			if err == nil || said[err.Error()] {
				continue
			}
			said[err.Error()] = true
			where := name
			if where == "" {
				where = "local or remote addresses"
			}
			s.log.Error(fmt.Sprintf("%s-login: TLS of %s: %v", protocol, where, placed(err, e.config.For(f))))
		}
	}
}

// sampleNames gives a name for each of those that a section is for: for "*.example.org" one that it fits.
func sampleNames(list string) []string {
	names := strings.Fields(list)
	for i, name := range names {
		names[i] = strings.Replace(name, "*", "any", 1)
	}
	if names == nil {
		return []string{""}
	}
	return names
}
