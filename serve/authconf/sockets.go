package authconf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"dovetail/auth"
	"dovetail/auth/socket"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// Sockets are the listeners of "service auth", open but not yet served: whoever starts a service opens them first and
// knows then that nothing is in the way.
type Sockets struct {
	open        []listener
	connections int
	log         *slog.Logger
}

type listener struct {
	net.Listener
	kind socket.Kind
	name string
}

// Listen opens all listeners that a configuration has for the auth service: those it names and those that are there
// without it, below base_dir, whose folders are made. One in a folder that does not exist is left out with a warning, as
// the queue of an MTA that is not installed. Any other error closes all again.
func Listen(ctx context.Context, c *config.Config, log *slog.Logger) (*Sockets, error) {
	if log == nil {
		log = slog.Default()
	}
	v := c.For(config.Filter{})
	services, err := options.ReadServices(v)
	if err != nil {
		return nil, err
	}
	m, err := options.Read[options.Master](v)
	if err != nil {
		return nil, err
	}
	s := &Sockets{log: log}
	for _, service := range services {
		if service.Name != "auth" {
			continue
		}
		s.connections = int(service.ClientLimit)
		if err := s.listen(ctx, service, m); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if len(s.open) == 0 {
		return nil, errors.New("service auth has no listeners: all have mode or port 0, or folders that do not exist")
	}
	return s, nil
}

func (s *Sockets) listen(ctx context.Context, service options.Service, m options.Master) error {
	for _, l := range service.Unix {
		if err := s.file(l, m); err != nil {
			return fmt.Errorf("service auth: unix_listener %s: %w", l.Path, hint(err))
		}
	}
	for _, l := range service.Inet {
		if l.TLS || l.HAProxy {
			return fmt.Errorf("service auth: inet_listener %s: the auth protocol is spoken without TLS and without HAProxy's header; take out ssl and haproxy", l.Name)
		}
		for _, address := range l.Addresses {
			open, err := socket.ListenInet(ctx, address, l.Port)
			if err != nil {
				return fmt.Errorf("service auth: inet_listener %s: %w", l.Name, hint(err))
			}
			s.open = append(s.open, listener{open, socket.KindNamed(l.Type, l.Name), l.Name})
		}
	}
	return nil
}

// file opens one socket in the file system.
func (s *Sockets) file(l options.Socket, m options.Master) error {
	f := socket.File{Path: l.Path, Mode: fs.FileMode(l.Mode)}
	var err error
	if f.UID, err = id(l.User, lookupUID); err != nil {
		return err
	}
	if f.GID, err = id(l.Group, lookupGID); err != nil {
		return err
	}
	folder := filepath.Dir(l.Path)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		if folder != m.BaseDir && !strings.HasPrefix(folder, m.BaseDir+"/") {
			s.log.Warn(fmt.Sprintf("service auth: unix_listener %s: the folder %s does not exist; there is no such socket now", l.Path, folder))
			return nil
		}
		if err := makeFolder(folder, m); err != nil {
			return err
		}
	}
	open, err := socket.ListenFile(f)
	if err != nil {
		return err
	}
	s.open = append(s.open, listener{open, socket.KindNamed(l.Type, l.Path), l.Path})
	return nil
}

// makeFolder makes base_dir, or one in it for login processes, which are chrooted there: nobody else may enter (seen with
// 2.3.19.1: login and token-login have mode 0750 and the group of default_login_user).
func makeFolder(folder string, m options.Master) error {
	if err := os.MkdirAll(m.BaseDir, 0o755); err != nil {
		return err
	}
	if folder == m.BaseDir {
		return nil
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	login, err := user.Lookup(m.DefaultLoginUser)
	if err != nil || os.Geteuid() != 0 {
		return nil // its group may enter, which is the one of whoever starts the service
	}
	gid, err := strconv.Atoi(login.Gid)
	if err != nil {
		return err
	}
	return os.Lchown(folder, -1, gid)
}

// id gives the number of a user or group, -1 for none named.
func id(name string, lookup func(string) (string, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	text, err := lookup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

func lookupUID(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func lookupGID(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}

// Serve answers on all of them with a service, until ctx is done; then it closes them and waits for the connections.
func (s *Sockets) Serve(ctx context.Context, service *auth.Service) error {
	server := &socket.Server{Auth: service, Log: s.log, Connections: s.connections}
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range s.open {
		g.Go(func() error { return server.Serve(ctx, l.Listener, l.kind, l.name) })
	}
	return g.Wait()
}

// Close closes listeners that are not to be served.
func (s *Sockets) Close() error {
	var errs []error
	for _, l := range s.open {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// Names tells where it is listened, for the log.
func (s *Sockets) Names() (names []string) {
	for _, l := range s.open {
		name := l.name
		if l.Addr().Network() != "unix" {
			name = l.Addr().String()
		}
		names = append(names, name+" ("+l.kind.String()+")")
	}
	return names
}
