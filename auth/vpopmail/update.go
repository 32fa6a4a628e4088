package vpopmail

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The columns of a table of accounts, as wide as vpopmail's own or wider. They are VARCHAR, because a CHAR column gives
// blanks at the end of a password back as nothing, and compare bytes, as vpopmail does.
const (
	columnDomain = "pw_domain varchar(96) NOT NULL, "
	columns      = "pw_name varchar(64) NOT NULL, %spw_passwd varchar(128), pw_uid int, pw_gid int, pw_gecos varchar(128), pw_dir varchar(255), " +
		"pw_shell varchar(64), pw_clear_passwd varchar(128), PRIMARY KEY (pw_name%s)"
	options = " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
)

// AliasTable makes the table of other names of domains.
const AliasTable = "CREATE TABLE IF NOT EXISTS `aliasdomains` (alias varchar(100) NOT NULL, domain varchar(100) NOT NULL, PRIMARY KEY (alias))" + options

// CreateTable is the statement that makes the table of a domain, or the one for all domains when domain is "".
func CreateTable(domain string) (string, error) {
	if domain == "" {
		return "CREATE TABLE IF NOT EXISTS `" + mainTable + "` (" + fmt.Sprintf(columns, columnDomain, ",pw_domain") + ")" + options, nil
	}
	quoted, err := quoteTable(TableName(domain))
	if err != nil {
		return "", err
	}
	return "CREATE TABLE IF NOT EXISTS " + quoted + " (" + fmt.Sprintf(columns, "", "") + ")" + options, nil
}

// Change is what makes a table say of one account what it should.
type Change struct {
	Account Account
	Delete  bool // it is not to be there
}

// Update makes all changes in one transaction, making tables that are missing first. A server whose tables know no
// transactions (MyISAM) keeps those made before an error.
func (t *Tables) Update(ctx context.Context, changes []Change, aliases [][2]string) error {
	if err := t.create(ctx, changes, len(aliases) > 0); err != nil {
		return err
	}
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	for _, c := range changes {
		if err := t.change(ctx, tx, c); err != nil {
			return fmt.Errorf("%s: %w", c.Account.Address(), err)
		}
	}
	for _, a := range aliases {
		if _, err := tx.ExecContext(ctx, "REPLACE INTO aliasdomains (alias, domain) VALUES (?, ?)", a[0], a[1]); err != nil {
			return fmt.Errorf("alias domain %s: %w", a[0], err)
		}
	}
	return tx.Commit()
}

func (t *Tables) create(ctx context.Context, changes []Change, aliases bool) error {
	if aliases {
		if _, err := t.db.ExecContext(ctx, AliasTable); err != nil {
			return err
		}
	}
	made := map[string]bool{}
	for _, c := range changes {
		domain := ""
		if !t.OneTable {
			domain = c.Account.Domain
		}
		if made[domain] || domain == "" && t.columns[mainTable] != nil || domain != "" && t.table(domain) != "" {
			continue
		}
		made[domain] = true
		statement, err := CreateTable(domain)
		if err != nil {
			return err
		}
		if _, err := t.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return t.refresh(ctx)
}

// change writes or deletes one row. All columns are named, so that others, of other builds, keep their values.
func (t *Tables) change(ctx context.Context, tx *sql.Tx, c Change) error {
	a := c.Account
	table, names, values := mainTable, []string{"pw_name", "pw_domain"}, []any{a.Name, a.Domain}
	if !t.OneTable {
		table, names, values = t.table(a.Domain), names[:1], values[:1]
	}
	quoted, err := quoteTable(table)
	if err != nil {
		return err
	}
	if c.Delete {
		_, err := tx.ExecContext(ctx, "DELETE FROM "+quoted+" WHERE "+strings.Join(names, " = ? AND ")+" = ?", values...)
		return err
	}
	key := len(names)
	names = append(names, "pw_passwd", "pw_uid", "pw_gid", "pw_gecos", "pw_dir", "pw_shell")
	values = append(values, a.Hash, a.PwUID, int64(a.Flags), a.Gecos, a.Dir, a.Quota)
	if t.HasClear(a.Domain) {
		names, values = append(names, "pw_clear_passwd"), append(values, a.Clear)
	}
	update := make([]string, 0, len(names))
	for _, n := range names[key:] {
		update = append(update, n+" = VALUES("+n+")")
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(names)), ", ")
	_, err = tx.ExecContext(ctx, "INSERT INTO "+quoted+" ("+strings.Join(names, ", ")+") VALUES ("+marks+") ON DUPLICATE KEY UPDATE "+
		strings.Join(update, ", "), values...)
	return err
}

// HasClear tells whether the domain's table keeps passwords in clear text, or would when it is made.
func (t *Tables) HasClear(domain string) bool {
	columns := t.tableColumns(domain)
	return columns == nil || slices.Contains(columns, "pw_clear_passwd")
}

func (t *Tables) tableColumns(domain string) []string {
	if t.OneTable {
		return t.columns[mainTable]
	}
	return t.columns[t.table(domain)]
}

// Fits names the first field that the domain's table cannot hold as it is, "" when it can hold all: too long, not UTF-8,
// or with blanks at the end, which a CHAR column gives back as nothing.
func (t *Tables) Fits(ctx context.Context, a Account) (field string, err error) {
	widths, err := t.widths(ctx, a.Domain)
	if err != nil {
		return "", err
	}
	for _, f := range []struct{ column, value string }{
		{"pw_name", a.Name}, {"pw_domain", a.Domain}, {"pw_passwd", a.Hash}, {"pw_gecos", a.Gecos}, {"pw_dir", a.Dir}, {"pw_shell", a.Quota},
		{"pw_clear_passwd", a.Clear},
	} {
		w, known := widths[f.column]
		blanks := w.char && strings.HasSuffix(f.value, " ")
		if known && (utf8.RuneCountInString(f.value) > w.runes || !utf8.ValidString(f.value) || blanks) {
			return f.column, nil
		}
	}
	return "", nil
}

type width struct {
	runes int
	char  bool
}

// widths are those of the domain's table, or of one that CreateTable makes.
func (t *Tables) widths(ctx context.Context, domain string) (map[string]width, error) {
	table := mainTable
	if !t.OneTable {
		table = t.table(domain)
	}
	if t.known == nil {
		t.known = map[string]map[string]width{}
	}
	if w := t.known[table]; w != nil {
		return w, nil
	}
	if t.columns[table] == nil {
		return map[string]width{"pw_name": {64, false}, "pw_domain": {96, false}, "pw_passwd": {128, false}, "pw_gecos": {128, false},
			"pw_dir": {255, false}, "pw_shell": {64, false}, "pw_clear_passwd": {128, false}}, nil
	}
	rows, err := t.db.QueryContext(ctx, "SELECT LOWER(column_name), LOWER(data_type), COALESCE(character_maximum_length, 0) "+
		"FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?", table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string]width{}
	for rows.Next() {
		var name, kind string
		var w width
		if err := rows.Scan(&name, &kind, &w.runes); err != nil {
			return nil, err
		}
		w.char = kind == "char"
		found[name] = w
	}
	t.known[table] = found
	return found, rows.Err()
}

// Has tells whether the domain has a table.
func (t *Tables) Has(domain string) bool { return t.tableColumns(domain) != nil }
