package sql

import (
	"context"
	dbsql "database/sql"
	"errors"
	"slices"

	"dovetail/auth"
)

// Row is one row of an answer, all values as the server writes them.
type Row struct {
	Columns []string
	Values  []Value
}

// Value is a text, or NULL.
type Value struct {
	Text string
	Set  bool // it is not NULL
}

// fields are the columns that have a name and a value; of two with one name the later counts.
func (r Row) fields() auth.Fields {
	var all auth.Fields
	for i, name := range r.Columns {
		if v := r.Values[i]; name != "" && v.Set {
			all = all.Set(name, v.Text)
		}
	}
	return all
}

func (r Row) has(column string) bool { return slices.Contains(r.Columns, column) }

// user is the name in a row of iterate_query. Dovecot sees a column user only if it is the first one
// (userdb-sql.c, userdb_sql_iterate_get_user); here it counts elsewhere if there is no column username.
func (r Row) user() (string, error) {
	at := slices.Index(r.Columns, "user")
	if name := slices.Index(r.Columns, "username"); at != 0 && name >= 0 {
		at = name
	}
	switch {
	case at < 0:
		return "", errors.New("sql: Iterate query didn't return 'user' field")
	case !r.Values[at].Set:
		return "", errors.New("sql: Iterate query returned NULL user")
	}
	user := r.Values[at].Text
	if domain := slices.Index(r.Columns, "domain"); r.Columns[at] == "username" && domain >= 0 && r.Values[domain].Set {
		user += "@" + r.Values[domain].Text
	}
	return user, nil
}

// Rows asks through database/sql, for drivers whose values text makes texts of: it is a Dialect's Run.
func Rows(text func(any) Value) func(context.Context, *dbsql.Conn, string, []string, func(Row) bool) error {
	return func(ctx context.Context, c *dbsql.Conn, statement string, args []string, each func(Row) bool) error {
		bound := make([]any, len(args))
		for i, a := range args {
			bound[i] = a
		}
		rows, err := c.QueryContext(ctx, statement, bound...)
		if err != nil {
			return err
		}
		defer rows.Close()
		row := Row{}
		if row.Columns, err = rows.Columns(); err != nil {
			return err
		}
		row.Values = make([]Value, len(row.Columns))
		cells := make([]any, len(row.Columns))
		into := make([]any, len(row.Columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				return err
			}
			for i, cell := range cells {
				row.Values[i] = text(cell)
			}
			if !each(row) {
				return rows.Close()
			}
		}
		return rows.Err()
	}
}
