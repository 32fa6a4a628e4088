package authconf

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"dovetail/auth"
	"dovetail/formats/conf"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// maker makes the databases of one driver; a nil function: it has none of that kind. A database that is an io.Closer is
// closed by the service, maybe more than once.
type maker struct {
	pass func(context.Context, *section) (auth.PassDB, error)
	user func(context.Context, *section) (auth.UserDB, error)
}

// makers has every driver by its name in a configuration.
var makers = map[string]maker{
	"checkpassword": {checkPasswordPass, checkPasswordUser},
	"ldap":          {ldapPass, ldapUser},
	"oauth2":        {oauth2Pass, nil},
	"pam":           {pamPass, nil},
	"passwd":        {passwdPass, passwdUser},
	"passwd-file":   {passwdFilePass, passwdFileUser},
	"prefetch":      {nil, prefetchUser},
	"shadow":        {shadowPass, nil},
	"sql":           {sqlPass, sqlUser},
	"static":        {staticPass, staticUser},
	"vpopmail":      {vpopmailPass, vpopmailUser},
}

// section is one passdb or userdb { } as its maker gets it.
type section struct {
	*build
	options.Driven
	kind   string   // "passdb" or "userdb"
	driver string   // its name in makers
	pos    conf.Pos // where it stands
	at     config.SectionView
	alone  bool // there is no other userdb

	// fields are those of the section. They are set by the chain when the database has answered; a maker whose
	// database makes them itself, because they hold what only it knows (%{ldap:…}), takes them away.
	fields    []options.Field
	importAll bool // what the database gives beside them is wanted, too
}

// absent are drivers that Dovecot has or had and this program has not, with what to do.
var absent = map[string]string{
	"dict":    "copy the accounts into a passwd-file or an SQL table",
	"lua":     "a script's work can be done by passdb checkpassword, or by a query of passdb sql",
	"bsdauth": "it is of OpenBSD's libc; use passwd-file",
	"sia":     "it is of Tru64; use pam or passwd-file",
	"nss":     "use userdb passwd, which asks the name service switch",
	"gssapi":  "it is a mechanism and no database",
}

// maker finds what makes the section's database.
func (s *section) maker() (maker, error) {
	m, ok := makers[s.driver]
	switch instead := absent[s.driver]; {
	case ok:
		return m, nil
	case instead != "":
		return m, fmt.Errorf("there is no driver %s here: %s", s.driver, instead)
	case s.driver == "":
		return m, fmt.Errorf("no driver; there are: %s", drivers(s.kind))
	}
	return m, fmt.Errorf("Unknown %s driver '%s'; there are: %s", s.kind, s.driver, drivers(s.kind))
}

// pass makes the passdb of the section. The error names the section.
func (s *section) pass(ctx context.Context) (auth.PassDB, error) {
	m, err := s.maker()
	if err == nil && m.pass == nil {
		err = fmt.Errorf("%s is no driver of a passdb; there are: %s", s.driver, drivers(s.kind))
	}
	if err != nil {
		return nil, s.wrap(err)
	}
	db, err := m.pass(ctx, s)
	return db, s.wrap(err)
}

// user makes the userdb of the section. The error names the section.
func (s *section) user(ctx context.Context) (auth.UserDB, error) {
	m, err := s.maker()
	if err == nil && m.user == nil {
		err = fmt.Errorf("%s is no driver of a userdb; there are: %s", s.driver, drivers(s.kind))
	}
	if err != nil {
		return nil, s.wrap(err)
	}
	db, err := m.user(ctx, s)
	return db, s.wrap(err)
}

func (s *section) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s %s: %w", s.pos, s.kind, s.driver, hint(err))
}

// drivers lists those of a kind.
func drivers(kind string) string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(makers)), func(name string) bool {
		return kind == "passdb" && makers[name].pass == nil || kind == "userdb" && makers[name].user == nil
	})
	return strings.Join(names, " ")
}
