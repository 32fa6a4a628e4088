// Package authconf makes an auth.Service of a loaded configuration: it is the one place that knows both the settings
// and the databases.
//
//	Build(ctx, c, src, log)     the service with all its chains, ready to be asked
//	makers                      one table: what makes the databases of each driver
//
// A driver's file here turns its options (serve/config/options) into those of its package below auth: passwdfile.go,
// sql.go, ldap.go. What two sections have in common, such as connections to one server, is made once: see share.
//
// passdb and userdb sections inside "protocol X { }" hold for X alone, before those outside; other settings there
// (auth_username_format of lmtp) hold for it, too. So each such protocol has a service of its own behind the common
// one, as in Dovecot 2.3.19 (src/auth/auth.c): the one of its name, else the first "protocol !Y { }".
//
// Errors name the file and line of the section that is at fault, and what to do.
package authconf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"dovetail/auth"
	"dovetail/auth/passwd"
	"dovetail/formats/conf"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// Build makes the service of a configuration that was loaded with Expand. The source has the files that drivers are told
// of, nil the machine's; what databases themselves read is the machine's. The service is to be closed. An error is for
// the operator: nothing has been started then.
func Build(ctx context.Context, c *config.Config, src conf.Source, log *slog.Logger) (*auth.Service, error) {
	if src == nil {
		src = conf.OS{}
	}
	if log == nil {
		log = slog.Default()
	}
	b := &build{src: src, log: log, opened: map[string]any{}}
	s, err := b.service(ctx, c.For(config.Filter{}))
	if err != nil {
		return nil, err
	}
	for _, protocol := range protocols(c) {
		own, err := b.service(ctx, c.For(of(protocol)))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("protocol %s: %w", protocol, err), s.Close())
		}
		s.Divert(protocol, own)
	}
	b.load()
	return s, nil
}

// protocols are those that have settings of their own, as they stand there: "lmtp", "!lmtp".
func protocols(c *config.Config) (list []string) {
	seen := map[string]bool{"": true}
	for _, f := range c.Filters() {
		if !seen[f.Protocol] {
			seen[f.Protocol] = true
			list = append(list, f.Protocol)
		}
	}
	return list
}

// of is the filter that gives what holds for a protocol; for "!lmtp", what holds for any other.
func of(protocol string) config.Filter {
	if strings.HasPrefix(protocol, "!") {
		return config.Filter{Protocol: "other than " + protocol[1:]}
	}
	return config.Filter{Protocol: protocol}
}

// build is what is made once for all chains of a configuration.
type build struct {
	src    conf.Source
	log    *slog.Logger
	opened map[string]any // by share's keys

	view config.View // of the chains that are being made
}

// service makes the chains of one view.
func (b *build) service(ctx context.Context, v config.View) (*auth.Service, error) {
	b.view = v
	o, err := b.options()
	if err != nil {
		return nil, err
	}
	pass, err := b.passdbs(ctx)
	if err != nil {
		return nil, err
	}
	o.OpenIDConfiguration = openID(pass)
	users, err := b.userdbs(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.serve(o.Mechanisms, pass); err != nil {
		return nil, err
	}
	return auth.New(o, pass, users)
}

// options are the rules around the databases.
func (b *build) options() (o auth.Options, err error) {
	rules, err1 := options.Read[options.AuthRules](b.view)
	users, err2 := options.Read[options.Users](b.view)
	log, err3 := options.Read[options.Log](b.view)
	if err := errors.Join(err1, err2, err3); err != nil {
		return o, err
	}
	o = auth.Options{
		DefaultRealm: rules.DefaultRealm, Chars: rules.UsernameChars, Translation: rules.UsernameTranslation,
		MasterSeparator: rules.MasterUserSeparator, Anonymous: rules.AnonymousUsername, Realms: rules.Realms, Mechanisms: upper(rules.Mechanisms),
		AllowWeak: rules.AllowWeakSchemes, UsernameFromCert: rules.SSLUsernameFromCert, RequireCert: rules.SSLRequireClientCert,
		FailureDelay: rules.FailureDelay, InternalFailureDelay: rules.InternalFailureDelay,
		CacheSize: rules.CacheSize, CacheTTL: rules.CacheTTL, CacheNegativeTTL: rules.CacheNegativeTTL,
		Verbose: log.AuthVerbose || log.AuthDebug, Debug: log.AuthDebug, VerbosePasswords: rules.VerbosePasswords,
		FirstUID: users.FirstValidUID, LastUID: users.LastValidUID, FirstGID: users.FirstValidGID, LastGID: users.LastValidGID,
		Accounts: passwd.NewAccounts(passwd.Options{Workers: b.workers()}),
		Log:      b.log,
	}
	if rules.UsernameFormat.Text != "" {
		if o.Format, err = rules.UsernameFormat.Parse(); err != nil {
			return o, fmt.Errorf("%s: auth_username_format: %w", b.at("auth_username_format"), err)
		}
	}
	if name, err := os.Hostname(); err == nil {
		o.ServerName = name
	}
	return o, nil
}

// at tells where a setting stands.
func (b *build) at(setting string) conf.Pos {
	v, _ := b.view.Get(setting)
	return v.Pos
}

func upper(words []string) (list []string) {
	for _, w := range words {
		list = append(list, strings.ToUpper(w))
	}
	return list
}

// share gives what was made under this key for another section of the same configuration, or makes it. The key tells
// all on which it depends, the type of T and the driver among it.
func share[T any](b *build, key string, create func() (T, error)) (T, error) {
	if have, ok := b.opened[key].(T); ok {
		return have, nil
	}
	made, err := create()
	if err == nil {
		b.opened[key] = made
	}
	return made, err
}

// hint adds what to do about a file that cannot be read to an error about it.
func hint(err error) error {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return fmt.Errorf("%w: it is for root alone; start as root, or give the user with id %d the right to read it", err, os.Geteuid())
	}
	return err
}
