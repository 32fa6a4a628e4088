package sql

import (
	"context"
	dbsql "database/sql"
	"strings"
)

// Dialect is what a kind of server has of its own. The folders below have one each.
type Dialect struct {
	Name string // mysql, pgsql, sqlite

	DoubleQuotes bool // "…" is a string, not a name
	Backticks    bool // `…` is a name
	Hashes       bool // # begins a comment, and -- does only before a blank
	Dollars      bool // $tag$…$tag$ is a string
	Backslash    bool // \ hides the next character of a string
	Escape       bool // E'…' is a string with \ whatever the server's settings are
	UTF8         bool // what is not UTF-8 cannot be in a string

	Placeholder func(n int) string          // for the nth parameter, from 1
	Concat      func(parts []string) string // the sum of strings, each of them SQL

	// Run sends one statement over a connection and gives rows until each says no, or there are no more.
	Run func(ctx context.Context, c *dbsql.Conn, statement string, args []string, each func(Row) bool) error
	// Rejected tells whether the error may come from a parameter in a place that takes none; nil: never. The
	// statement is then tried without parameters.
	Rejected func(error) bool
	// Lost tells whether the connection has gone, so that another one may answer.
	Lost func(error) bool
	// Message is what the server said, as its own client library would give it.
	Message func(error) string
}

// escape makes a value a part of a string between quotes.
func (d *Dialect) escape(v string, quote byte, escapes bool) string {
	if d.Backslash {
		return backslashed.Replace(v)
	}
	if escapes {
		v = strings.ReplaceAll(v, `\`, `\\`)
	}
	return strings.ReplaceAll(v, string(quote), string([]byte{quote, quote}))
}

// backslashed writes as mysql_real_escape_string does.
var backslashed = strings.NewReplacer("\x00", `\0`, "\n", `\n`, "\r", `\r`, `\`, `\\`, `'`, `\'`, `"`, `\"`, "\x1a", `\Z`)
