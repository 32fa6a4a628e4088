package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

func newConfig() *cobra.Command {
	v := &configVerb{}
	cmd := &cobra.Command{
		Use:   "config [setting or section…]",
		Short: "Print the configuration as doveconf does",
		Long: `Read Dovecot's configuration (1.x, 2.0 to 2.3, or 2.4, whichever it is written
in) and print what is in force, with doveconf's letters and in its form. With
names only these settings or sections are printed: protocols,
service/imap-login/inet_listener/imap/port.

Everything that is wrong goes to standard error, in Dovecot's words, up to what
makes the file unreadable; "dovetail config check" shows all of it at once.
` + exitHelp(exitDone, exitUsage, exitConfig),
		Example: `  dovetail config -n
  dovetail config -n -c /etc/dovecot/dovecot.conf
  dovetail config -f protocol=imap mail_plugins
  dovetail config -h protocols`,
		Args: args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, names []string) error {
			v.print.Names = names
			return v.run(cmd)
		},
	}
	v.flags(cmd)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return v.stop(&usageError{err}, exitDoveconf) })
	cmd.AddCommand(newConfigCheck(), newConfigConvert())
	return cmd
}

// configVerb is what doveconf is told.
type configVerb struct {
	path, dialect             string
	changed, set, all, hidden bool
	expand                    bool
	filters, ignored          []string
	asDoveconf                bool
	print                     config.PrintOptions
}

func (v *configVerb) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Bool("help", false, "help for config") // -h means something else here
	f.BoolVarP(&v.all, "all", "a", false, "print all settings (default)")
	f.BoolVarP(&v.changed, "changed", "n", false, "print settings that differ from their defaults")
	f.BoolVarP(&v.set, "set", "N", false, "print settings that are set, also to their defaults")
	f.BoolVarP(&v.hidden, "hidden", "s", false, "print all settings and those that -a leaves out")
	f.BoolVarP(&v.print.Defaults, "defaults", "d", false, "print as if nothing were set")
	f.BoolVarP(&v.print.Simple, "simple", "S", false, "print path=value lines for programs")
	f.BoolVarP(&v.print.Values, "value", "h", false, "print the value of a setting without its name")
	f.BoolVarP(&v.print.Secrets, "passwords", "P", false, "print passwords and keys, too")
	f.BoolVar(&v.print.Origin, "origin", false, "tell after each line in which file and line it was set")
	f.BoolVarP(&v.expand, "expand", "x", false, "put in what $names and <files stand for")
	f.StringArrayVarP(&v.filters, "filter", "f", nil, "what holds for protocol=`NAME`, local=IP, remote=IP or lname=NAME; can be repeated")
	f.StringArrayVarP(&v.print.Modules, "module", "m", nil, "only settings of this `module`: imap, lmtp, auth…; can be repeated")
	f.BoolP("full", "p", false, "taken and ignored, as files are always read as a whole")
	f.StringArrayVarP(&v.ignored, "option", "o", nil, "taken and ignored, as doveconf does")
	configFlags(cmd, &v.path, &v.dialect)
	f.BoolVar(&v.asDoveconf, "as-doveconf", false, "")
	f.MarkHidden("as-doveconf")
	f.MarkHidden("option")
	f.MarkHidden("full")
}

// configFlags are those of every verb that reads a configuration.
func configFlags(cmd *cobra.Command, path, dialect *string) {
	cmd.Flags().StringVarP(path, "config", "c", defaultConfig(), "the main configuration `file`")
	cmd.Flags().StringVar(dialect, "dialect", "", "read it as 1.x, 2.3 or 2.4 instead of finding out")
}

// defaultConfig is dovecot.conf of the place where the program is installed, or of the system.
func defaultConfig() string {
	const system = "/etc/dovecot/dovecot.conf"
	exe, err := os.Executable()
	if err != nil {
		return system
	}
	near := filepath.Join(filepath.Dir(filepath.Dir(exe)), "etc/dovecot/dovecot.conf")
	if _, err := os.Stat(near); err != nil {
		return system
	}
	return near
}

// loadConfig reads a configuration of this machine.
func loadConfig(ctx context.Context, path, dialect string, expand bool) (*config.Config, *config.Problems, error) {
	debug.SetGCPercent(briefGCPercent)
	o, err := configOptions(dialect, expand)
	if err != nil {
		return nil, nil, err
	}
	c, problems := config.Load(ctx, path, o)
	return c, problems, nil
}

// configOptions are those for configurations of this machine.
func configOptions(dialect string, expand bool) (config.Options, error) {
	o := config.Options{Expand: expand, Getenv: os.Getenv, User: accountExists()}
	// Debian's packages switch each protocol on by a file of its package, and none without.
	if _, err := os.Stat("/usr/share/dovecot/protocols.d"); err == nil {
		o.NoProtocols = true
	}
	switch dialect {
	case "":
	case "1.x":
		o.Dialect = conf.V1
	case "2.3":
		o.Dialect = conf.V23
	case "2.4":
		o.Dialect = conf.V24
	default:
		return o, usagef("--dialect %s: 1.x, 2.3 or 2.4", dialect)
	}
	return o, nil
}

// briefGCPercent is gcPercent of a verb that is done before there is garbage worth collecting: some 16 MB of it.
const briefGCPercent = 400

// accountExists asks the system once for each name.
func accountExists() func(name string) bool {
	known := map[string]bool{}
	return func(name string) bool {
		exists, ok := known[name]
		if !ok {
			_, err := user.Lookup(name)
			exists = err == nil
			known[name] = exists
		}
		return exists
	}
}

func (v *configVerb) run(cmd *cobra.Command) error {
	switch {
	case v.hidden:
		v.print.Scope = config.Everything
	case v.set:
		v.print.Scope = config.Set
	case v.changed:
		v.print.Scope = config.NonDefault
	}
	for _, f := range v.filters {
		if err := v.print.Filter.ParseFilter(cmd.Context(), f); err != nil {
			return v.stop(usagef("%w", err), exitDoveconf)
		}
	}
	c, problems, err := loadConfig(cmd.Context(), v.path, v.dialect, v.expand)
	if err != nil {
		return err
	}
	v.print.Header = header(v.path)
	if v.print.Defaults {
		return v.defaults(cmd, c)
	}
	for _, line := range problems.Stderr(v.print) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", v.name(), line)
	}
	if problems.Fatal() == nil {
		if err := c.Print(cmd.OutOrStdout(), v.print); err != nil {
			return err
		}
	}
	if status := problems.Status(v.print); status != 0 {
		return v.stop(errInvalidConfig, status)
	}
	return nil
}

// defaults prints the defaults of the dialect that a configuration has. Nothing else about it matters.
func (v *configVerb) defaults(cmd *cobra.Command, c *config.Config) error {
	if c == nil {
		c = config.Defaults()
	}
	return c.Print(cmd.OutOrStdout(), v.print)
}

func (v *configVerb) name() string {
	if v.asDoveconf {
		return "doveconf"
	}
	return "dovetail"
}

// stop gives an error the exit code that it has under the name that the program is called by.
func (v *configVerb) stop(err error, status int) error {
	if v.asDoveconf {
		return &statusError{err, status}
	}
	return err
}

// header tells which program printed a configuration, where.
func header(path string) []string {
	lines := []string{"dovetail " + readVersion().Version + ": " + path}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		lines = append(lines, "OS: "+strings.Join([]string{
			unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])}, " "))
	}
	if name, err := os.Hostname(); err == nil {
		lines = append(lines, "Hostname: "+name)
	}
	return lines
}
