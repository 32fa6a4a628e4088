// Package sql finds accounts in a database that is asked in SQL: MySQL or MariaDB, PostgreSQL, SQLite. The folders below
// know the drivers; what is asked, and what answers mean, is here.
//
//	password_query   one row; its columns are fields, "password" or "password_noscheme" among them
//	user_query       its first row; columns are fields
//	iterate_query    a row per user: column user (the first), or username and maybe domain
//	update_query     stores a new password, which is %{password} in it
//
// NULL is a field that is not there. A query may end with ";". A row with the wrong password may as well not be there: a
// query that compares %{password} itself gives NULL for password and something for nopassword.
//
// Variables of a query never become SQL. In quotes, the whole string becomes a parameter, which the driver binds or,
// MySQL's, quotes by the rules that the server just told it (NO_BACKSLASH_ESCAPES). Where PostgreSQL and SQLite take no
// parameter (date '%{x}'), the value is quoted here. Outside of quotes, and in quotes around names, values must be
// plain words (letters, digits and _ . : @ + - but no "--"); with any other the account is not found. Dovecot puts
// in what there is. 2.x escapes values before modifiers see them, so that there the hash of o'brien is that of o\'brien:
// here it is that of the name, as in 2.4.
//
// Texts of errors are those of Dovecot 2.3.19.1 (passdb-sql.c, userdb-sql.c, driver-mysql.c, driver-sqlpool.c).
//
// A Pool has connections to one or more servers, which share the work and stand in for each other. One that cannot be
// reached is left alone for 1, 5, and then always 25 seconds; meanwhile lookups fail at once unless another server is
// there. Dovecot's pauses grow to half an hour.
//
// Dovecot's update_query has a default and counts no rows; here there is no default, so nothing is ever written unless
// the query is set, and a query that changes no row has succeeded as there: what its rows are is the site's affair.
package sql

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// Options are the queries of one database.
type Options struct {
	Pool *Pool
	Name string       // in lines of the log; "": sql
	Log  *slog.Logger // of queries, at debug, without passwords; nil: none

	Query   *variable.Template // password_query or user_query
	Update  *variable.Template // of a passdb; nil: passwords cannot be changed
	Iterate *variable.Template // of a userdb; nil: users cannot be listed
	BuiltIn string             // the text of Query if no file has one: errors tell of it
}

// database is what both kinds have in common.
type database struct {
	pool    *Pool
	name    string
	log     *slog.Logger
	query   *query
	builtIn string
}

func (o Options) database() (database, error) {
	d := database{pool: o.Pool, name: o.Name, log: o.Log, builtIn: o.BuiltIn}
	if d.name == "" {
		d.name = "sql"
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if o.Pool == nil || o.Query == nil {
		return d, errors.New("sql: no query")
	}
	var err error
	d.query, err = compile(o.Query, o.Pool.dialect)
	return d, err
}

// Close ends the connections, also of others that use the same pool.
func (d *database) Close() error { return d.pool.Close() }

// CacheKey has the variables of the query.
func (d *database) CacheKey() []string { return d.query.variables }

// ask runs a query for a request and gives its rows to each until that says no.
func (d *database) ask(ctx context.Context, q *query, r *auth.Request, what, label string, each func(Row) bool) error {
	if d.log.Enabled(ctx, slog.LevelDebug) {
		d.log.DebugContext(ctx, d.prefix(r)+label+q.shown(r))
	}
	s, err := q.statement(r)
	if refusal, ok := errors.AsType[*auth.Refusal](err); ok {
		return refusal
	}
	if err != nil {
		return &auth.Refusal{Err: err, Text: "Failed to expand " + what + ": " + err.Error(), Level: slog.LevelError}
	}
	if err = d.pool.run(ctx, q, s, each); err != nil {
		err = &answer{err, q.hide(r, q.dialect.Message(err))}
	}
	return err
}

// answer is an error in the server's words.
type answer struct {
	err  error
	text string
}

func (a *answer) Error() string { return a.text }
func (a *answer) Unwrap() error { return a.err }

// prefix is how a line about a request begins.
func (d *database) prefix(r *auth.Request) string {
	var b strings.Builder
	b.WriteString(d.name + "(" + r.User)
	if r.Remote.IsValid() {
		b.WriteString("," + r.Remote.Addr().Unmap().String())
	}
	if r.Session != "" {
		b.WriteString(",<" + r.Session + ">")
	}
	b.WriteString("): ")
	return b.String()
}

// failed tells that the server would not or could not answer.
func (d *database) failed(what string, err error) error {
	if refusal, ok := errors.AsType[*auth.Refusal](err); ok {
		return refusal
	}
	text := what + " failed: " + err.Error()
	if d.builtIn != "" {
		text += " (using built-in default query: " + d.builtIn + ")"
	}
	return &auth.Refusal{Err: err, Text: text, Level: slog.LevelError}
}

// errQuery is why a query's answer is no use, which is a failure of the database.
var errQuery = errors.New("the query does not give what it should")

// PassDB finds passwords. It is a Setter with an update query.
type PassDB struct {
	database
	update *query
}

// NewPassDB makes a PassDB. An error is a query that cannot be asked safely.
func NewPassDB(o Options) (*PassDB, error) {
	d, err := o.database()
	if err != nil {
		return nil, fmt.Errorf("password_query: %w", err)
	}
	db := &PassDB{database: d}
	if o.Update != nil {
		if db.update, err = compile(o.Update, o.Pool.dialect); err != nil {
			return nil, fmt.Errorf("update_query: %w", err)
		}
	}
	return db, nil
}

// Find gives the columns of the one row of the user.
func (db *PassDB) Find(ctx context.Context, r *auth.Request) (auth.Fields, error) {
	var fields auth.Fields
	rows, column := 0, false
	err := db.ask(ctx, db.query, r, "password_query", "query: ", func(row Row) bool {
		if rows++; rows == 1 {
			fields, column = row.fields(), row.has("password") || row.has("password_noscheme")
		}
		return rows < 2
	})
	broken := func(text string) (auth.Fields, error) {
		return nil, &auth.Refusal{Err: errQuery, Text: text, Level: slog.LevelError}
	}
	switch {
	case err != nil:
		return nil, db.failed("Password query", err)
	case rows == 0:
		return nil, auth.ErrUnknown
	case !column:
		return broken("Password query must return a field named 'password'")
	case rows > 1:
		return broken("Password query returned multiple matches")
	}
	return fields, nil
}

// Set stores a password, with its {SCHEME}, by the update query: it is %{password} there, and old is %{passdb:password},
// with which the query can make sure that no other program has changed it since it was looked at, a moment before. That a
// row was changed is not checked.
func (db *PassDB) Set(ctx context.Context, r *auth.Request, old, stored string) error {
	if db.update == nil {
		return fmt.Errorf("%w: there is no update_query", auth.ErrNoSet)
	}
	fields, err := db.Find(ctx, r)
	switch {
	case err != nil:
		return err
	case fields.Value("password") != old:
		return auth.ErrChanged
	}
	changed := *r
	changed.Password, changed.Pass = stored, r.Pass.Set("password", old)
	if err := db.ask(ctx, db.update, &changed, "update_query", "query: ", func(Row) bool { return true }); err != nil {
		return db.failed("Set credentials query", err)
	}
	return nil
}

// UserDB finds users.
type UserDB struct {
	database
	iterate *query
}

// NewUserDB makes a UserDB. An error is a query that cannot be asked safely.
func NewUserDB(o Options) (*UserDB, error) {
	d, err := o.database()
	if err != nil {
		return nil, fmt.Errorf("user_query: %w", err)
	}
	db := &UserDB{database: d}
	if o.Iterate != nil {
		if db.iterate, err = compile(o.Iterate, o.Pool.dialect); err != nil {
			return nil, fmt.Errorf("iterate_query: %w", err)
		}
	}
	return db, nil
}

// Find gives the columns of the user's first row.
func (db *UserDB) Find(ctx context.Context, r *auth.Request) (auth.Fields, error) {
	var fields auth.Fields
	found := false
	err := db.ask(ctx, db.query, r, "user_query", "", func(row Row) bool {
		fields, found = row.fields(), true
		return false
	})
	switch {
	case err != nil:
		return nil, db.failed("User query", err)
	case !found:
		return nil, auth.ErrUnknown
	}
	return fields, nil
}

// Users gives all names in the order of the answer. The answer is taken whole before the first name is given, so that
// who is given one can look it up in the same pool.
func (db *UserDB) Users(ctx context.Context, r *auth.Request) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if db.iterate == nil {
			yield("", auth.ErrNoList)
			return
		}
		var names []string
		var broken error
		err := db.ask(ctx, db.iterate, r, "iterate_query", "", func(row Row) bool {
			name, err := row.user()
			if err != nil {
				broken = &auth.Refusal{Err: errQuery, Text: err.Error(), Level: slog.LevelError}
				return false
			}
			names = append(names, name)
			return true
		})
		if err != nil {
			broken = db.failed("Iterate query", err)
		}
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
		if broken != nil {
			yield("", broken)
		}
	}
}
