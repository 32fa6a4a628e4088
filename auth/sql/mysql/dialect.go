package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strconv"

	"github.com/go-sql-driver/mysql"

	authsql "dovetail/auth/sql"
)

// Dialect is MySQL's and MariaDB's SQL. Parameters are quoted by the driver, which knows from each answer of the server
// whether \ is special (NO_BACKSLASH_ESCAPES); connections are in utf8mb4, where no second byte of a character can be
// a quote or \, as it can in GBK. "..." is a string: the mode ANSI_QUOTES is not for queries with variables in it.
func Dialect() *authsql.Dialect {
	return &authsql.Dialect{
		Name: "mysql", DoubleQuotes: true, Backticks: true, Hashes: true, Backslash: true, UTF8: true,
		Placeholder: func(int) string { return "?" },
		Concat: func(parts []string) string {
			all := "CONCAT("
			for i, p := range parts {
				if i > 0 {
					all += ", "
				}
				all += p
			}
			return all + ")"
		},
		Run:  authsql.Rows(text),
		Lost: lost,
		Message: func(err error) string {
			if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
				return e.Message
			}
			return err.Error()
		},
	}
}

// text writes a value as the server does; the driver has read numbers.
func text(v any) authsql.Value {
	switch v := v.(type) {
	case []byte:
		return authsql.Value{Text: string(v), Set: true}
	case string:
		return authsql.Value{Text: v, Set: true}
	case int64:
		return authsql.Value{Text: strconv.FormatInt(v, 10), Set: true}
	case uint64:
		return authsql.Value{Text: strconv.FormatUint(v, 10), Set: true}
	case float32:
		return authsql.Value{Text: strconv.FormatFloat(float64(v), 'f', -1, 32), Set: true}
	case float64:
		return authsql.Value{Text: strconv.FormatFloat(v, 'f', -1, 64), Set: true}
	}
	return authsql.Value{}
}

// Errors of a server that stops, and of one that was told to end the connection.
const (
	serverShutdown   = 1053
	connectionKilled = 1927
)

func lost(err error) bool {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number == serverShutdown || e.Number == connectionKilled
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// described is an error of connecting in the words of the server's own client library, which are in everybody's log
// filters and search engines.
type described struct {
	driver.Connector
	server Config
}

func (d described) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := d.Connector.Connect(ctx)
	if err == nil {
		return c, nil
	}
	var number string
	if e, ok := errors.AsType[*net.OpError](err); ok {
		number = errno(e)
	}
	network, address := d.server.address()
	switch {
	case number != "" && network == "unix":
		return nil, errors.New("Can't connect to local server through socket '" + address + "' (" + number + ")")
	case number != "":
		return nil, errors.New("Can't connect to server on '" + d.server.Host + "' (" + number + ")")
	case errors.Is(err, mysql.ErrNoTLS):
		return nil, errors.New("SSL connection error: SSL is required, but the server does not support it")
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return nil, errors.New(e.Message)
	}
	return nil, err
}
