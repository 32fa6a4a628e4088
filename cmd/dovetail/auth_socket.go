package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"github.com/spf13/cobra"

	"dovetail/auth"
	"dovetail/auth/socket"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// remote is a running service, ours or Dovecot's, on one of its sockets: a client socket for logins, one for lookups for
// all else.
type remote struct {
	address string
	users   *socket.Users
}

// Login logs in by PLAIN; master, if there is one, as user.
func (s *remote) Login(ctx context.Context, r auth.Request, user, master, password string) (*auth.Reply, error) {
	logins, err := socket.DialLogins(ctx, s.address)
	if err != nil {
		return nil, s.unreachable(err, exitPermission) // as doveadm: nobody has let him in
	}
	defer logins.Close()
	if master == "" {
		master = user
	}
	reply, _, err := logins.Login(ctx, r, "PLAIN", []byte(user+"\x00"+master+"\x00"+password), func(context.Context, []byte) ([]byte, error) {
		return nil, errors.New("passdb expects SASL continuation")
	})
	return reply, err
}

// connected connects to the socket for lookups, which is told apart from one for logins by its greeting.
func (s *remote) connected(ctx context.Context) (*socket.Users, error) {
	if s.users != nil {
		return s.users, nil
	}
	users, err := socket.DialUsers(ctx, s.address)
	if err != nil {
		return nil, s.unreachable(err, exitTryAgain)
	}
	s.users = users
	return users, nil
}

func (s *remote) unreachable(err error, status int) error {
	return &statusError{&unreachableError{fmt.Errorf("Couldn't connect to auth socket %s: %w", s.address, err)}, status}
}

// unreachableError is a service that does not run, or not there.
type unreachableError struct{ error }

func (e *unreachableError) Unwrap() error { return e.error }

// Lookup gives what the passdbs have.
func (s *remote) Lookup(ctx context.Context, r auth.Request, user string) (*auth.Reply, error) {
	users, err := s.connected(ctx)
	if err != nil {
		return nil, err
	}
	fields, err := users.Pass(ctx, r, user)
	if err != nil {
		return nil, err
	}
	return &auth.Reply{OK: true, User: fields.Value("user"), Fields: fields.Without("user")}, nil
}

// User gives what the userdbs have.
func (s *remote) User(ctx context.Context, r auth.Request, user string) (*auth.User, error) {
	users, err := s.connected(ctx)
	if err != nil {
		return nil, err
	}
	return users.User(ctx, r, user)
}

// Users lists users. A mask is not sent: several are for the caller.
func (s *remote) Users(ctx context.Context, r auth.Request, _ ...string) iter.Seq2[string, error] {
	users, err := s.connected(ctx)
	if err != nil {
		return func(yield func(string, error) bool) { yield("", err) }
	}
	return users.All(ctx, r, "")
}

// Close ends the connection.
func (s *remote) Close() error {
	if s.users == nil {
		return nil
	}
	return s.users.Close()
}

func newAuthCache() *cobra.Command {
	cache := &cobra.Command{
		Use:   "cache",
		Short: "What a running service has cached",
		Args:  args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, given []string) error {
			if len(given) > 0 {
				return usagef("no such verb: auth cache %s", given[0])
			}
			return cmd.Help()
		},
	}
	cache.AddCommand(newAuthFlush())
	return cache
}

func newAuthFlush() *cobra.Command {
	var path, dialect, address string
	cmd := &cobra.Command{
		Use:   "flush [flags] [user…]",
		Short: "Forget what is cached of users",
		Long: `Let a running auth service forget what it has cached (auth_cache_size), of these
users or of all, and print how many entries that were. It is asked on its socket
auth-master below base_dir.
` + exitHelp(exitDone, exitUsage, exitTryAgain, exitConfig),
		Example: `  dovetail auth cache flush ann@example.org`,
		Args:    args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, users []string) error {
			if address == "" {
				var err error
				if address, err = masterSocket(cmd.Context(), path, dialect); err != nil {
					return err
				}
			}
			service := &remote{address: address}
			defer service.Close()
			asked, err := service.connected(cmd.Context())
			if err != nil {
				return err
			}
			n, err := asked.Flush(cmd.Context(), users...)
			if err != nil {
				return &statusError{fmt.Errorf("Cache flush failed: %w", err), exitTryAgain}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d cache entries flushed\n", n)
			return nil
		},
	}
	configFlags(cmd, &path, &dialect)
	cmd.Flags().StringVarP(&address, "socket-path", "a", "", "the service's master `socket`")
	return cmd
}

// masterSocket is where the service of a configuration takes orders.
func masterSocket(ctx context.Context, path, dialect string) (string, error) {
	c, _, err := loadConfig(ctx, path, dialect, true)
	if err != nil {
		return "", err
	}
	if c == nil {
		return "", fmt.Errorf("%s: %w", path, errInvalidConfig)
	}
	m, err := options.Read[options.Master](c.For(config.Filter{}))
	return filepath.Join(m.BaseDir, "auth-master"), err
}
