// Package pgsql is PostgreSQL for package auth/sql. It is the only place that knows the driver.
//
// Queries go in the extended protocol without names, parameters and answers as text: so the server tells the types of
// parameters from where they stand, as it does for quoted strings, columns look as they do in psql, and a pooler in front
// of the server, which may change servers between statements, is no matter.
package pgsql

import (
	"context"
	dbsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	authsql "dovetail/auth/sql"
)

// Dialect is PostgreSQL's SQL. In the places where no parameter can stand, a value with \ in it is written as E'…', which
// does not depend on standard_conforming_strings.
func Dialect() *authsql.Dialect {
	return &authsql.Dialect{
		Name: "pgsql", Dollars: true, Escape: true, UTF8: true,
		Placeholder: func(n int) string { return "$" + strconv.Itoa(n) + " " },
		Concat: func(parts []string) string {
			for i, p := range parts {
				if strings.HasPrefix(p, "$") {
					parts[i] = strings.TrimSpace(p) + "::text"
				}
			}
			return "(" + strings.Join(parts, " || ") + ")"
		},
		Run:      run,
		Rejected: rejected,
		Lost:     lost,
		Message: func(err error) string {
			if e, ok := errors.AsType[*pgconn.PgError](err); ok {
				return e.Severity + ":  " + e.Message
			}
			return err.Error()
		},
	}
}

func run(ctx context.Context, c *dbsql.Conn, statement string, args []string, each func(authsql.Row) bool) error {
	return c.Raw(func(raw any) error {
		conn := raw.(*stdlib.Conn).Conn().PgConn()
		if len(args) > 0 {
			values := make([][]byte, len(args))
			for i, a := range args {
				values[i] = []byte(a)
			}
			return read(conn.ExecParams(ctx, statement, values, nil, nil, nil), each)
		}
		results := conn.Exec(ctx, statement)
		var err error
		if results.NextResult() { // of several statements the first one's, as Dovecot does
			err = read(results.ResultReader(), each)
		}
		return errors.Join(err, results.Close())
	})
}

func read(r *pgconn.ResultReader, each func(authsql.Row) bool) error {
	row := authsql.Row{}
	for more := true; r.NextRow() && more; {
		if row.Columns == nil {
			for _, f := range r.FieldDescriptions() {
				row.Columns = append(row.Columns, f.Name)
			}
			row.Values = make([]authsql.Value, len(row.Columns))
		}
		for i, v := range r.Values() {
			row.Values[i] = authsql.Value{Text: string(v), Set: v != nil}
		}
		more = each(row)
	}
	_, err := r.Close()
	return err
}

// rejected: class 42 is what the server does not understand or know in a statement, such as date $1.
func rejected(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && strings.HasPrefix(e.Code, "42")
}

// lost: class 57P is a server that stops, 08 a broken connection.
func lost(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(e.Code, "57P") || strings.HasPrefix(e.Code, "08")
	}
	_, network := errors.AsType[net.Error](err)
	return network || pgconn.SafeToRetry(err) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// described is an error of connecting without the driver's introduction.
type described struct {
	driver.Connector
	host string
	port uint16
}

func (d described) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := d.Connector.Connect(ctx)
	if err == nil {
		return c, nil
	}
	at := fmt.Sprintf("connection to server at %q, port %d failed: ", d.host, d.port)
	if strings.HasPrefix(d.host, "/") {
		at = fmt.Sprintf("connection to server on socket %q failed: ", d.host+"/.s.PGSQL."+strconv.Itoa(int(d.port)))
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return nil, errors.New(at + e.Severity + ":  " + e.Message)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Err != nil {
		return nil, errors.New(at + e.Err.Error())
	}
	if e, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		err = e.Unwrap()
	}
	return nil, errors.New(at + strings.Join(strings.Fields(err.Error()), " "))
}
