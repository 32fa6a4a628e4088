package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dovetail/auth"
	"dovetail/serve/authconf"
	"dovetail/serve/config"
)

func newAuth() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "auth",
		Short: "Try passwords and look up users, as doveadm auth does",
		Long: `Ask the databases of a Dovecot configuration. There are two kinds of them:

  passdb   may he log in: knows passwords, and what comes with a login
  userdb   where is his mail and who owns it: uid, gid, home, settings

A login asks the passdbs and then the userdbs; delivery asks the userdbs alone.
"auth test" and "auth lookup" ask the first, "dovetail user" the second.

The databases are asked by this program itself, as it reads the configuration:
nothing has to run, but it needs the rights that the service would have. Why
something is refused goes to standard error, if the configuration has
auth_verbose = yes. With -a a running service is asked, be it ours or Dovecot's.`,
		Args: args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, given []string) error {
			if len(given) > 0 {
				return usagef("no such verb: auth %s", given[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(newAuthTest(), newAuthLookup(), newAuthSchemes(), newAuthCache(), newAuthServe())
	return cmd
}

// authVerb is what all verbs are told that ask for users.
type authVerb struct {
	config, dialect, socket string
	info                    []string
}

func (v *authVerb) flags(cmd *cobra.Command) {
	configFlags(cmd, &v.config, &v.dialect)
	cmd.Flags().StringVarP(&v.socket, "socket-path", "a", "", "ask the running service on this `socket`, ours or Dovecot's")
	cmd.Flags().StringArrayVarP(&v.info, "auth-info", "x", nil,
		"what the login is to look like, as `KEY=VALUE`: service, session, rip, lip, rport, lport, local_name, real_rip…; can be repeated")
}

// request is what -x tells of the login.
func (v *authVerb) request() (auth.Request, error) {
	r := auth.Request{Service: "doveadm"}
	ports := map[*netip.AddrPort]uint16{}
	for _, word := range v.info {
		key, value, _ := strings.Cut(word, "=")
		place, isIP, isPort := endpoint(&r, key)
		switch {
		case key == "service":
			r.Service = value
		case key == "session":
			r.Session = value
		case key == "local_name":
			r.LocalName = value
		case isIP:
			ip, err := netip.ParseAddr(value)
			if err != nil {
				return r, &statusError{fmt.Errorf("%s: Invalid ip", key), exitTryAgain}
			}
			*place = netip.AddrPortFrom(ip, place.Port())
		case isPort:
			port, err := strconv.ParseUint(value, 10, 16)
			if err != nil || port == 0 {
				return r, &statusError{fmt.Errorf("%s: Invalid port number", key), exitTryAgain}
			}
			ports[place] = uint16(port)
		}
	}
	for place, port := range ports {
		*place = netip.AddrPortFrom(place.Addr(), port)
	}
	return r, nil
}

// endpoint gives the address that a word of -x is about.
func endpoint(r *auth.Request, key string) (place *netip.AddrPort, isIP, isPort bool) {
	at := map[string]*netip.AddrPort{"lip": &r.Local, "rip": &r.Remote, "real_lip": &r.RealLocal, "real_rip": &r.RealRemote}
	if place = at[key]; place != nil {
		return place, true, false
	}
	if name, ok := strings.CutSuffix(key, "port"); ok {
		if place = at[name+"ip"]; place != nil {
			return place, false, true
		}
	}
	return nil, false, false
}

// authority answers, be it a service of this program or a running one.
type authority interface {
	Login(ctx context.Context, r auth.Request, user, master, password string) (*auth.Reply, error)
	Lookup(ctx context.Context, r auth.Request, user string) (*auth.Reply, error)
	User(ctx context.Context, r auth.Request, user string) (*auth.User, error)
	Users(ctx context.Context, r auth.Request, masks ...string) iter.Seq2[string, error]
	Close() error
}

// open makes the service of the configuration, or asks for a running one.
func (v *authVerb) open(cmd *cobra.Command) (authority, error) {
	hide()
	if v.socket != "" {
		return &remote{address: v.socket}, nil
	}
	c, err := v.load(cmd)
	if err != nil {
		return nil, err
	}
	service, err := authconf.Build(cmd.Context(), c, nil, slog.New(stderrLog{cmd.ErrOrStderr()}))
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "Fatal:", err)
		return nil, errInvalidConfig
	}
	return own{service}, nil
}

// load reads the configuration.
func (v *authVerb) load(cmd *cobra.Command) (*config.Config, error) {
	c, problems, err := loadConfig(cmd.Context(), v.config, v.dialect, true)
	if err != nil {
		return nil, err
	}
	if p := problems.Fatal(); p != nil {
		return nil, cannotRead(cmd, p)
	}
	return c, nil
}

// cannotRead says where a configuration ends to be one, as doveconf does, and what would be right there.
func cannotRead(cmd *cobra.Command, p *config.Problem) error {
	fmt.Fprintln(cmd.ErrOrStderr(), "Fatal:", p)
	if p.Instead != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "    instead:", p.Instead)
	}
	return errInvalidConfig
}

// own is a service of this program.
type own struct{ *auth.Service }

// Login logs in by PLAIN; master, if there is one, as user.
func (s own) Login(ctx context.Context, r auth.Request, user, master, password string) (*auth.Reply, error) {
	if master == "" {
		master = user
	}
	x, err := s.Begin(r, "PLAIN")
	if errors.Is(err, auth.ErrMechanism) {
		return s.Service.Login(ctx, r, user, password), nil // the site only has others
	}
	if err != nil {
		return nil, err
	}
	_, reply := x.Step(ctx, []byte(user+"\x00"+master+"\x00"+password))
	if reply == nil {
		return nil, errors.New("passdb expects SASL continuation")
	}
	return reply, nil
}

// stderrLog writes what the service has to say as Dovecot's tools do: "Error: text".
type stderrLog struct{ to io.Writer }

func (l stderrLog) Enabled(context.Context, slog.Level) bool { return true }

func (l stderrLog) Handle(_ context.Context, r slog.Record) error {
	level := "Debug"
	switch {
	case r.Level >= slog.LevelError:
		level = "Error"
	case r.Level >= slog.LevelWarn:
		level = "Warning"
	case r.Level >= slog.LevelInfo:
		level = "Info"
	}
	_, err := fmt.Fprintf(l.to, "%s: %s\n", level, logLine(r.Message))
	return err
}

func (l stderrLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l stderrLog) WithGroup(string) slog.Handler      { return l }

// answer is what a lookup has found, in the words of doveadm.
type answer struct {
	kind, asked string // "passdb", "userdb"; the name that was asked for
	fields      auth.Fields
}

// print shows all fields, or the value of one.
func (a answer) print(out io.Writer, field string) {
	if field != "" {
		if value, ok := a.fields.Get(field); ok {
			fmt.Fprintln(out, value)
		}
		return
	}
	fmt.Fprintf(out, "%s: %s\n", a.kind, a.asked)
	for _, f := range a.fields {
		if f.Value == "" {
			fmt.Fprintf(out, "  %-10s\n", f.Key)
			continue
		}
		fmt.Fprintf(out, "  %-10s: %s\n", f.Key, f.Value)
	}
}

// lookupStatus is the exit code of a lookup that gave nothing, and tells of it: on standard error if standard output is
// for a value.
func lookupStatus(cmd *cobra.Command, kind, user string, quiet bool, err error) int {
	if !errors.Is(err, auth.ErrUnknown) && !errors.Is(err, auth.ErrDisabled) && !errors.Is(err, auth.ErrExpired) {
		why := ""
		if !errors.Is(err, auth.ErrTemporary) { // whose reason is in the log
			why = ": " + err.Error()
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Error: %s lookup failed for %s%s\n", kind, user, why)
		return exitTryAgain
	}
	out := cmd.OutOrStdout()
	if quiet {
		out = cmd.ErrOrStderr()
	}
	fmt.Fprintf(out, "%s lookup: user %s doesn't exist\n", kind, user)
	return exitNoUser
}

// ended gives an error for an exit code when all is said.
func ended(status int) error {
	if status == exitDone {
		return nil
	}
	return &statusError{errSaid, status}
}

var errSaid = errors.New("what there is to say is said")
