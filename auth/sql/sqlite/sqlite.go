// Package sqlite is SQLite for package auth/sql. It is the only place that knows the driver.
//
// A file that is not there is not made, other than by Dovecot, whose empty new file answers "no such table". Who locks the
// file for more than a second makes lookups fail, as there (driver-sqlite.c, sqlite_busy_timeout).
package sqlite

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"

	authsql "dovetail/auth/sql"
)

// Dialect is SQLite's SQL.
func Dialect() *authsql.Dialect {
	return &authsql.Dialect{
		Name: "sqlite", Backticks: true,
		Placeholder: func(int) string { return "?" },
		Concat:      func(parts []string) string { return "(" + strings.Join(parts, " || ") + ")" },
		Run:         authsql.Rows(text),
		Rejected:    rejected,
		Lost:        func(error) bool { return false },
		Message:     message,
	}
}

// Connector opens a file. readOnly: nothing is written, not even by update_query.
func Connector(path string, readOnly bool) (driver.Connector, error) {
	if path == "" || strings.HasPrefix(path, ":") {
		return nil, errors.New("sqlite: no path of a file")
	}
	mode := "rw" // which SQLite takes as ro where the file is not to be written
	if readOnly {
		mode = "ro"
	}
	at := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: "mode=" + mode + "&_pragma=busy_timeout(1000)"}
	c, err := sqlite.NewConnector(at.String())
	if err != nil {
		return nil, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	return c, nil
}

// text writes a value as sqlite3_column_text does. The driver has made times of texts in columns for them.
func text(v any) authsql.Value {
	switch v := v.(type) {
	case string:
		return authsql.Value{Text: v, Set: true}
	case []byte:
		return authsql.Value{Text: string(v), Set: true}
	case int64:
		return authsql.Value{Text: strconv.FormatInt(v, 10), Set: true}
	case bool:
		return authsql.Value{Text: map[bool]string{false: "0", true: "1"}[v], Set: true}
	case float64:
		s := strconv.FormatFloat(v, 'g', 15, 64)
		if digits, exponent, ok := strings.Cut(s, "e"); !strings.ContainsAny(s, ".IN") && ok {
			s = digits + ".0e" + exponent
		} else if !strings.ContainsAny(s, ".IN") {
			s += ".0"
		}
		return authsql.Value{Text: s, Set: true}
	case time.Time:
		s := v.Format("2006-01-02 15:04:05.999999999")
		return authsql.Value{Text: strings.TrimSuffix(s, " 00:00:00"), Set: true}
	}
	return authsql.Value{}
}

// rejected: SQLITE_ERROR is a statement that is not understood.
func rejected(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == 1
}

// message is what sqlite3_errmsg gives, without the driver's name and number of the error.
func message(err error) string {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err.Error()
	}
	text := strings.TrimSuffix(e.Error(), " ("+strconv.Itoa(e.Code())+")")
	return strings.TrimPrefix(text, "SQL logic error: ")
}
