package options

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"dovetail/formats/conf"
)

// SQL is a database server with the queries of a chain's database.
type SQL struct {
	Driver  string      // mysql, pgsql, sqlite
	Servers []SQLServer `set:"mysql_host" by:"dialect"`  // several share the work and stand in for each other
	Path    string      `set:"sqlite_path" by:"dialect"` // of sqlite
	Query   Template    `set:"passdb_sql_query,userdb_sql_query" by:"dialect"`
	Update  Template    `set:"passdb_sql_update_query" by:"dialect"`  // stores credentials
	Iterate Template    `set:"userdb_sql_iterate_query" by:"dialect"` // lists users
}

// SQLServer is one server.
type SQLServer struct {
	Host     string            // or the path of a socket
	Port     uint16            `set:"mysql_port" by:"dialect"` // 0: the server's own
	Database string            `set:"mysql_dbname" by:"dialect"`
	User     string            `set:"mysql_user" by:"dialect"`
	Password string            `set:"mysql_password" by:"dialect"`
	TLS      bool              `set:"mysql_ssl" by:"dialect"`
	Other    map[string]string // words of the connection that only the driver knows; nil: none
}

// Queries of 2.3 if the file has none.
const (
	passwordQuery = "SELECT username, domain, password FROM users WHERE username = '%n' AND domain = '%d'"
	userQuery     = "SELECT home, uid, gid FROM users WHERE username = '%n' AND domain = '%d'"
	iterateQuery  = "SELECT username, domain FROM users"
)

// sql reads the file that 2.3 has these settings in.
func (c *chainReader) sql(path string) error {
	ext, err := readExternal(c.src, path)
	if err != nil {
		return err
	}
	get := func(key, fallback string) Template {
		if v, ok := ext[key]; ok {
			return authTemplate(v)
		}
		return authTemplate(fallback)
	}
	s := &SQL{Driver: ext["driver"], Update: get("update_query", ""), Iterate: get("iterate_query", iterateQuery)}
	if c.kind == "passdb" {
		s.Query, s.Iterate = get("password_query", passwordQuery), Template{}
		c.driven.Scheme = "MD5"
		if scheme := ext["default_pass_scheme"]; scheme != "" {
			c.driven.Scheme = schemeName(scheme)
		}
	} else {
		s.Query, s.Update = get("user_query", userQuery), Template{}
	}
	c.driven.SQL = s
	if s.Driver == "sqlite" {
		s.Path, _, _ = strings.Cut(ext["connect"], " ")
		return nil
	}
	s.Servers = sqlServers(ext["connect"])
	return nil
}

// sqlServers reads "host=a host=b user=u …": what is not a host is true of all.
func sqlServers(connect string) []SQLServer {
	var hosts []string
	var all SQLServer
	for word := range strings.FieldsSeq(connect) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "host", "hostaddr":
			hosts = append(hosts, value)
		case "port":
			n, _ := strconv.ParseUint(value, 10, 16)
			all.Port = uint16(n)
		case "dbname":
			all.Database = value
		case "user":
			all.User = value
		case "password":
			all.Password = value
		default:
			all.other(key, value)
		}
	}
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	var list []SQLServer
	for _, host := range hosts {
		s := all
		s.Host = host
		list = append(list, s)
	}
	return list
}

func (s *SQLServer) other(key, value string) {
	s.TLS = s.TLS || strings.HasPrefix(key, "ssl_")
	if s.Other == nil {
		s.Other = map[string]string{}
	}
	s.Other[key] = value
}

// sql24 reads the same from 2.4's own settings.
func (c *chainReader) sql24() *SQL {
	s := &SQL{Driver: c.text("sql_driver"), Query: Template{Text: c.text(c.kind + "_sql_query")}}
	if c.kind == "passdb" {
		s.Update = Template{Text: c.text("passdb_sql_update_query")}
	} else {
		s.Iterate = Template{Text: c.text("userdb_sql_iterate_query")}
	}
	if s.Driver == "sqlite" {
		s.Path = c.text("sqlite_path")
		return s
	}
	for _, section := range append(c.Sections(s.Driver), c.at.Sections(s.Driver)...) {
		get := func(key string) string {
			v, _ := section.Get(s.Driver + "_" + key)
			return v.Text
		}
		server := SQLServer{Host: section.Name, Database: get("dbname"), User: get("user"), Password: get("password"), TLS: get("ssl") == "yes"}
		server.Port, _ = conf.ParsePort(get("port"))
		for _, p := range section.Items("pgsql_parameters") {
			server.parameter(p.Key, p.Text)
		}
		s.Servers = append(s.Servers, server)
	}
	return s
}

// parameter takes one of libpq's words.
func (s *SQLServer) parameter(key, value string) {
	switch key {
	case "dbname":
		s.Database = value
	case "user":
		s.User = value
	case "password":
		s.Password = value
	case "port":
		n, _ := strconv.ParseUint(value, 10, 16)
		s.Port = uint16(n)
	default:
		s.other(key, value)
	}
}

// readExternal reads a file of settings that is not part of the configuration:
// .conf.ext.
func readExternal(src conf.Source, path string) (map[string]string, error) {
	f, err := src.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	file := conf.Parse(path, string(b), conf.Ext)
	all := map[string]string{}
	for _, l := range file.Lines {
		switch l.Kind {
		case conf.Assign:
			all[l.Key] = l.Value
		case conf.Bad:
			return nil, fmt.Errorf("%s: not a setting", l.Pos)
		}
	}
	return all, nil
}
