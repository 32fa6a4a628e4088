package accounts

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"dovetail/auth/sql/mysql"
	"dovetail/auth/vpopmail"
)

// defaultID is the user and group that vpopmail is installed with, for domains that users/assign does not name.
const defaultID = 89

// readMySQL reads vpopmail's database. Who owns the mail of a domain stands in users/assign only.
func (l *List) readMySQL(ctx context.Context, p Place) error {
	server, _, err := vpopmail.ReadServers(p.at(p.Path))
	if err != nil {
		return err
	}
	db, err := connect(ctx, server)
	if err != nil {
		return err
	}
	defer db.Close()
	tables, err := openTables(ctx, db, p)
	if err != nil {
		return err
	}
	assigned, err := l.assigned(p)
	if err != nil {
		return err
	}
	real := realDomains(assigned)
	names, problems, err := tables.Domains(ctx, real)
	if err != nil {
		return err
	}
	l.problems(problems)
	for _, name := range names {
		if err := l.readTable(ctx, tables, p, l.owner(p, real, name)); err != nil {
			return fmt.Errorf("%s: domain %s: %w", p.Path, name, err)
		}
	}
	return l.readAliases(ctx, tables, assigned)
}

func connect(ctx context.Context, s mysql.Server) (*sql.DB, error) {
	db, err := mysql.Open(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	return db, nil
}

// openTables finds out the layout; the key "tables" says it for a database that is empty or has both.
func openTables(ctx context.Context, db *sql.DB, p Place) (*vpopmail.Tables, error) {
	t, err := vpopmail.OpenTables(ctx, db)
	if err != nil {
		return nil, err
	}
	switch p.Keys["tables"] {
	case "one":
		t.OneTable = true
	case "domain":
		t.OneTable = false
	case "":
	default:
		return nil, fmt.Errorf("%s: %w: tables=one or tables=domain", p, ErrPlace)
	}
	return t, nil
}

// owner gives the domain as users/assign has it.
func (l *List) owner(p Place, real []vpopmail.Domain, name string) vpopmail.Domain {
	if i := slices.IndexFunc(real, func(d vpopmail.Domain) bool { return d.Name == name }); i >= 0 {
		return real[i]
	}
	l.remark(Note, "", fmt.Sprintf("domain %s: not in %s, so its mail is taken to belong to %d:%d",
		name, cmp.Or(p.Keys["assign"], usersDir+"/cdb"), defaultID, defaultID))
	return vpopmail.Domain{Name: name, Real: name, UID: defaultID, GID: defaultID}
}

func (l *List) readTable(ctx context.Context, t *vpopmail.Tables, p Place, d vpopmail.Domain) error {
	limits, err := t.Limits(ctx, d.Name)
	if err != nil {
		return err
	}
	forwards, err := t.Forwards(ctx, d.Name)
	if err != nil {
		return err
	}
	l.forwards(d, forwards)
	for a, err := range t.Accounts(ctx, d.Name) {
		if err != nil {
			return err
		}
		l.addVpopmail(p, d, limits, a)
	}
	return nil
}

// readAliases joins the names of domains that the database has with those of users/assign.
func (l *List) readAliases(ctx context.Context, t *vpopmail.Tables, assigned []vpopmail.Domain) error {
	pairs, err := t.Aliases(ctx)
	if err != nil {
		return err
	}
	for _, d := range assigned {
		if d.Alias() {
			l.Aliases = append(l.Aliases, Alias{d.Name, d.Real})
		}
	}
	for _, pair := range pairs {
		a := Alias{pair[0], pair[1]}
		i := slices.IndexFunc(l.Aliases, func(x Alias) bool { return x.Name == a.Name })
		switch {
		case i < 0:
			l.Aliases = append(l.Aliases, a)
		case l.Aliases[i] != a:
			l.remark(Damage, "", fmt.Sprintf("%s is another name of %s in users/assign, which counts, and of %s in the database", a.Name, l.Aliases[i].Real, a.Real))
		}
	}
	return nil
}
