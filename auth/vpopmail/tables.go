package vpopmail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Tables is vpopmail's database. Its layout is one of two: one table vpopmail with the column pw_domain, or one table for
// each domain, named as the domain with "_" for "." and "-".
//
//	pw_name pw_domain pw_passwd pw_uid pw_gid pw_gecos pw_dir pw_shell pw_clear_passwd
//
// are the fields of a line of vpasswd; pw_gid are the flags, pw_shell the quota. Builds that keep no clear passwords have
// no pw_clear_passwd. Beside them are aliasdomains(alias, domain), limits(domain, …), valias(alias, domain, valias_line),
// of which only the number of addresses is asked, and, not read here, lastauth, dir_control and ip_alias_map.
type Tables struct {
	db       *sql.DB
	columns  map[string][]string // of every table of the database
	OneTable bool

	known map[string]map[string]width // of columns of the tables asked for so far
}

// mainTable holds all domains in the layout of one table.
const mainTable = "vpopmail"

// OpenTables finds out the layout. An empty database has none; it counts as one table.
func OpenTables(ctx context.Context, db *sql.DB) (*Tables, error) {
	t := &Tables{db: db}
	err := t.refresh(ctx)
	t.OneTable = slices.Contains(t.columns[mainTable], "pw_domain") || len(t.domainTables()) == 0
	return t, err
}

// refresh reads the names of all tables and columns.
func (t *Tables) refresh(ctx context.Context) error {
	t.columns, t.known = map[string][]string{}, nil
	rows, err := t.db.QueryContext(ctx,
		"SELECT table_name, LOWER(column_name) FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return err
		}
		t.columns[table] = append(t.columns[table], column)
	}
	return rows.Err()
}

// domainTables are the tables that look like those of one domain.
func (t *Tables) domainTables() (names []string) {
	for name, columns := range t.columns {
		if slices.Contains(columns, "pw_name") && slices.Contains(columns, "pw_passwd") && !slices.Contains(columns, "pw_domain") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TableName is the table of a domain in the layout of one for each.
func TableName(domain string) string { return strings.NewReplacer(".", "_", "-", "_").Replace(domain) }

// table finds the table of a domain as it is spelled; "" when there is none.
func (t *Tables) table(domain string) string {
	want := TableName(domain)
	for name := range t.columns {
		if strings.EqualFold(name, want) {
			return name
		}
	}
	return ""
}

// safeName is what may stand in a statement as the name of a table: values are bound, names cannot be.
var safeName = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

func quoteTable(name string) (string, error) {
	if !safeName.MatchString(name) {
		return "", fmt.Errorf("%q cannot be the name of a table", name)
	}
	return "`" + name + "`", nil
}

// Domains gives the real domains that have accounts. known are those of users/assign, which alone can tell whose table
// example_com is; for others the folders of the accounts are asked, and when they do not tell either, it is a problem.
func (t *Tables) Domains(ctx context.Context, known []Domain) (names []string, problems []Problem, err error) {
	if !t.OneTable {
		return t.domainsOfTables(ctx, known)
	}
	if t.columns[mainTable] == nil {
		return nil, nil, nil
	}
	rows, err := t.db.QueryContext(ctx, "SELECT DISTINCT pw_domain FROM `vpopmail` ORDER BY pw_domain")
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, nil, err
		}
		names = append(names, name)
	}
	return names, nil, rows.Err()
}

func (t *Tables) domainsOfTables(ctx context.Context, known []Domain) (names []string, problems []Problem, err error) {
	byTable := map[string]string{}
	for _, d := range known {
		byTable[TableName(d.Real)] = d.Real
	}
	for _, table := range t.domainTables() {
		name := byTable[strings.ToLower(table)]
		if name == "" {
			if name, err = t.guess(ctx, table); err != nil {
				return nil, nil, err
			}
		}
		if name == "" {
			name = strings.ReplaceAll(table, "_", ".")
			problems = append(problems, Problem{Path: table, What: "no line of users/assign says whose table this is; taken for " + name})
		}
		names = append(names, name)
	}
	return names, problems, nil
}

// guess looks for a folder among those of the accounts that is named as a domain of this table would be.
func (t *Tables) guess(ctx context.Context, table string) (string, error) {
	quoted, err := quoteTable(table)
	if err != nil {
		return "", err
	}
	rows, err := t.db.QueryContext(ctx, "SELECT COALESCE(pw_dir, '') FROM "+quoted)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		var dir string
		if err := rows.Scan(&dir); err != nil {
			return "", err
		}
		for part := range strings.SplitSeq(filepath.Dir(dir), "/") {
			if strings.Contains(part, ".") && TableName(strings.ToLower(part)) == strings.ToLower(table) {
				return strings.ToLower(part), nil
			}
		}
	}
	return "", rows.Err()
}

// Accounts gives the accounts of a domain, sorted by name; none for a domain that has no table.
func (t *Tables) Accounts(ctx context.Context, domain string) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		rows, end, err := t.query(ctx, domain, "")
		if err != nil {
			yield(Account{}, err)
			return
		}
		if rows != nil {
			defer end()
			scan(rows, domain, yield)
		}
	}
}

// query asks for the accounts of a domain under a condition; rows is nil for a domain that has no table.
func (t *Tables) query(ctx context.Context, domain, condition string, values ...any) (rows *sql.Rows, end func() error, err error) {
	table := mainTable
	if !t.OneTable {
		table = t.table(domain)
	}
	columns := t.columns[table]
	if columns == nil {
		return nil, nil, nil
	}
	var where []string
	if condition != "" {
		where = append(where, condition)
	}
	if t.OneTable {
		where, values = append(where, "pw_domain = ?"), append(values, domain)
	}
	quoted, err := quoteTable(table)
	if err != nil {
		return nil, nil, err
	}
	clear, only := "''", ""
	if slices.Contains(columns, "pw_clear_passwd") {
		clear = "COALESCE(pw_clear_passwd, '')"
	}
	if len(where) > 0 {
		only = " WHERE " + strings.Join(where, " AND ")
	}
	rows, err = t.db.QueryContext(ctx, "SELECT pw_name, COALESCE(pw_passwd, ''), COALESCE(pw_uid, 0), COALESCE(pw_gid, 0), COALESCE(pw_gecos, ''), "+
		"COALESCE(pw_dir, ''), COALESCE(pw_shell, ''), "+clear+" FROM "+quoted+only+" ORDER BY pw_name", values...)
	if err != nil {
		return nil, nil, err
	}
	return rows, rows.Close, nil
}

func scan(rows *sql.Rows, domain string, yield func(Account, error) bool) {
	for rows.Next() {
		a, flags := Account{Domain: domain}, int64(0)
		err := rows.Scan(&a.Name, &a.Hash, &a.PwUID, &flags, &a.Gecos, &a.Dir, &a.Quota, &a.Clear)
		a.Flags = Flags(flags)
		if !yield(a, err) || err != nil {
			return
		}
	}
	if err := rows.Err(); err != nil {
		yield(Account{}, err)
	}
}

// Aliases gives other names of domains, each with the real one.
func (t *Tables) Aliases(ctx context.Context) (aliases [][2]string, err error) {
	if t.columns["aliasdomains"] == nil {
		return nil, nil
	}
	rows, err := t.db.QueryContext(ctx, "SELECT alias, domain FROM aliasdomains ORDER BY alias")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a [2]string
		if err := rows.Scan(&a[0], &a[1]); err != nil {
			return nil, err
		}
		aliases = append(aliases, a)
	}
	return aliases, rows.Err()
}

// Forwards counts the addresses of a domain that are no accounts, in the table valias.
func (t *Tables) Forwards(ctx context.Context, domain string) (n int, err error) {
	if t.columns["valias"] == nil {
		return 0, nil
	}
	err = t.db.QueryRowContext(ctx, "SELECT COUNT(DISTINCT alias) FROM valias WHERE domain = ?", domain).Scan(&n)
	return n, err
}

// Limits gives what is switched off for a whole domain.
func (t *Tables) Limits(ctx context.Context, domain string) (l Limits, err error) {
	for _, column := range t.columns["limits"] {
		flag := limitWords[column]
		if flag == 0 {
			continue
		}
		var set sql.NullInt64
		// The column is one of limitWords: no name from outside gets into the statement.
		err := t.db.QueryRowContext(ctx, "SELECT "+column+" FROM `limits` WHERE domain = ?", domain).Scan(&set)
		if err == sql.ErrNoRows {
			return Limits{}, nil
		}
		if err != nil {
			return Limits{}, err
		}
		if set.Int64 != 0 {
			l.Flags |= flag
		}
	}
	return l, nil
}

// Account gives one account of a real domain. ErrNoAccount: there is none of that name.
func (t *Tables) Account(ctx context.Context, domain, name string) (a Account, err error) {
	err = ErrNoAccount
	scanned := func(found Account, e error) bool {
		a, err = found, e
		return false
	}
	rows, end, err2 := t.query(ctx, domain, "pw_name = ?", name)
	if err2 != nil || rows == nil {
		return a, errors.Join(err2, noAccount(err2))
	}
	defer end()
	scan(rows, domain, scanned)
	return a, err
}

// Real gives the real domain that a name is an alias of; "" for none.
func (t *Tables) Real(ctx context.Context, alias string) (domain string, err error) {
	if t.columns["aliasdomains"] == nil {
		return "", nil
	}
	err = t.db.QueryRowContext(ctx, "SELECT domain FROM aliasdomains WHERE alias = ?", alias).Scan(&domain)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return domain, err
}

// LastAuth notes that a user has logged in, and by what: a service or an address.
func (t *Tables) LastAuth(ctx context.Context, domain, name, by string, when int64) error {
	if t.columns["lastauth"] == nil {
		return nil
	}
	_, err := t.db.ExecContext(ctx, "REPLACE INTO lastauth (user, domain, remote_ip, timestamp) VALUES (?, ?, ?, ?)", name, domain, by, when)
	return err
}
