package authconf

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"dovetail/auth"
	"dovetail/auth/sql"
	"dovetail/auth/sql/mysql"
	"dovetail/auth/sql/pgsql"
	"dovetail/auth/sql/sqlite"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config/options"
)

func sqlPass(_ context.Context, s *section) (auth.PassDB, error) {
	o, err := s.sqlOptions()
	if err != nil {
		return nil, err
	}
	return sql.NewPassDB(o)
}

func sqlUser(_ context.Context, s *section) (auth.UserDB, error) {
	o, err := s.sqlOptions()
	if err != nil {
		return nil, err
	}
	return sql.NewUserDB(o)
}

// sqlOptions makes the connections, or finds those that another section has made to the same servers.
func (s *section) sqlOptions() (sql.Options, error) {
	from := s.SQL
	o := sql.Options{BuiltIn: from.BuiltIn}
	if log, err := options.Read[options.Log](s.view); err != nil {
		return o, err
	} else if log.AuthDebug {
		o.Log = s.log // for its queries
	}
	for _, t := range []struct {
		name string
		from options.Template
		to   **variable.Template
	}{{"query", from.Query, &o.Query}, {"update_query", from.Update, &o.Update}, {"iterate_query", from.Iterate, &o.Iterate}} {
		if t.from.Text == "" {
			continue
		}
		var err error
		if *t.to, err = t.from.Parse(); err != nil {
			return o, fmt.Errorf("%s = %s: %w", t.name, t.from.Text, err)
		}
	}
	if o.Query == nil && s.kind == "userdb" {
		return o, errors.New("userdb_sql_query is empty: it is what users are looked up by")
	}
	if o.Query == nil {
		return o, errors.New("passdb_sql_query is empty: it is what passwords are looked up by")
	}
	made, err := share(s.build, fmt.Sprintf("sql %q", []any{from.Driver, from.Connect, from.Servers, from.Path, from.Read}), s.sqlPool)
	o.Pool = made
	return o, err
}

// sqlPool makes the connections of a section.
func (s *section) sqlPool() (*sql.Pool, error) {
	from := s.SQL
	switch from.Driver {
	case "mysql":
		return s.mysqlPool()
	case "pgsql":
		return s.pgsqlPool()
	case "sqlite":
		connector, err := sqlite.Connector(from.Path, from.Read)
		if err != nil {
			return nil, err
		}
		return sql.NewPool(sqlite.Dialect(), []sql.Server{{Database: from.Path, Connector: connector}}, s.poolOptions(0))
	case "":
		return nil, errors.New("sql_driver is not set; there are: mysql pgsql sqlite")
	case "cassandra":
		return nil, errors.New("there is no driver cassandra here: copy the accounts into PostgreSQL or MariaDB")
	}
	return nil, fmt.Errorf("Unknown database driver '%s'; there are: mysql pgsql sqlite", from.Driver)
}

func (s *section) mysqlPool() (*sql.Pool, error) {
	configs, err := mysql.Parse(s.SQL.Connect)
	if s.SQL.Connect == "" {
		configs, err = s.mysqlServers()
	}
	if err != nil {
		return nil, err
	}
	return poolOf(s, mysql.Dialect(), configs, func(c mysql.Config) (sql.Server, int, error) {
		connector, err := c.Connector()
		return sql.Server{Host: c.Host, Database: c.Database, Connector: connector}, c.Connections, err
	})
}

// poolOf makes connections to several servers; server gives one of them and how many connections it is to have.
func poolOf[C any](s *section, d *sql.Dialect, configs []C, server func(C) (sql.Server, int, error)) (*sql.Pool, error) {
	servers, limit := make([]sql.Server, len(configs)), 0
	for i, c := range configs {
		var err error
		if servers[i], limit, err = server(c); err != nil {
			return nil, err
		}
	}
	return sql.NewPool(d, servers, s.poolOptions(limit))
}

// mysqlServers are those of 2.4, whose TLS is that of all clients there.
func (s *section) mysqlServers() ([]mysql.Config, error) {
	tls, err := options.Read[options.TLS](s.view)
	if err != nil {
		return nil, err
	}
	var all []mysql.Config
	for _, from := range s.SQL.Servers {
		var words []string
		for _, key := range slices.Sorted(maps.Keys(from.Other)) {
			words = append(words, key+"="+from.Other[key])
		}
		list, err := mysql.Parse(strings.Join(append(words, "host="+from.Host), " "))
		if err != nil {
			return nil, err
		}
		c := list[0]
		c.User, c.Password, c.Database, c.Port, c.TLS = from.User, from.Password, from.Database, int(from.Port), from.TLS
		if c.TLS && tls.ClientCAFile.Inline != "" {
			return nil, errors.New("ssl_client_ca_file: a database's authority is read from a file, not from the configuration")
		}
		if c.TLS {
			c.CA, c.CAPath = tls.ClientCAFile.Path, tls.ClientCADir
			c.Cert, c.Key, c.AnyHost = tls.ClientCert.Path, tls.ClientKey.Path, !tls.RequireValidCert
		}
		all = append(all, c)
	}
	return all, nil
}

func (s *section) pgsqlPool() (*sql.Pool, error) {
	configs, err := pgsql.Parse(s.SQL.Connect)
	if s.SQL.Connect == "" {
		configs, err = s.pgsqlServers()
	}
	if err != nil {
		return nil, err
	}
	return poolOf(s, pgsql.Dialect(), configs, func(c pgsql.Config) (sql.Server, int, error) {
		connector, err := c.Connector()
		return sql.Server{Host: c.Host, Database: c.Database(), Connector: connector}, c.Connections, err
	})
}

// pgsqlServers are those of 2.4, each with words of its own.
func (s *section) pgsqlServers() ([]pgsql.Config, error) {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var all []pgsql.Config
	for _, from := range s.SQL.Servers {
		words := maps.Clone(from.Other)
		if words == nil {
			words = map[string]string{}
		}
		words["host"], words["dbname"], words["user"], words["password"] = from.Host, from.Database, from.User, from.Password
		if from.Port != 0 {
			words["port"] = strconv.Itoa(int(from.Port))
		}
		var connect strings.Builder
		for _, key := range slices.Sorted(maps.Keys(words)) {
			if words[key] != "" {
				fmt.Fprintf(&connect, "%s='%s' ", key, quote.Replace(words[key]))
			}
		}
		list, err := pgsql.Parse(connect.String())
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// poolOptions bounds connections to each server by what the connect string says, else by the number of lookups that run
// at a time.
func (s *section) poolOptions(limit int) sql.PoolOptions {
	if limit == 0 {
		limit = s.workers()
	}
	return sql.PoolOptions{Connections: limit, Log: s.log}
}
