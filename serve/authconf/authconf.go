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
// one.
//
// Errors name the file and line of the section that is at fault, and what to do.
package authconf

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// build is what is made once for all chains of a configuration.
type build struct {
	src    conf.Source
	log    *slog.Logger
	view   config.View
	opened map[string]any // by share's keys
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
