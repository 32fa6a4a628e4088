package options

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"dovetail/formats/conf"
)

// SQL is a database server with the queries of a chain's database.
type SQL struct {
	Driver  string      // mysql, pgsql, sqlite
	Connect string      // what 2.3 has of mysql and pgsql, in the words of their libraries; "": Servers has it
	Servers []SQLServer `set:"mysql_host,pgsql_host" by:"dialect"` // several share the work and stand in for each other
	Path    string      `set:"sqlite_path" by:"dialect"`           // of sqlite
	Read    bool        `set:"sqlite_readonly" by:"dialect"`       // and nothing else, of sqlite
	BuiltIn string      // Query as 2.3 has it when the file has none
	Query   Template    `set:"passdb_sql_query,userdb_sql_query" by:"dialect"`
	Update  Template    `set:"passdb_sql_update_query" by:"dialect"`  // stores credentials
	Iterate Template    `set:"userdb_sql_iterate_query" by:"dialect"` // lists users
}

// SQLServer is one server.
type SQLServer struct {
	Host     string // or the path of a socket
	Port     uint16 `set:"mysql_port" by:"dialect"` // 0: the server's own
	Database string `set:"mysql_dbname" by:"dialect"`
	User     string `set:"mysql_user" by:"dialect"`
	Password string `set:"mysql_password" by:"dialect"`
	TLS      bool   `set:"mysql_ssl" by:"dialect"`
	// Other are words of the connection that only the driver knows, spelled as in 2.3; nil: none.
	Other map[string]string `set:"mysql_client_flags,mysql_connect_timeout,mysql_connection_limit,mysql_option_file,mysql_option_group,mysql_read_timeout,mysql_write_timeout,pgsql_connection_limit,pgsql_parameters" by:"dialect"`
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
	for _, key := range []string{"driver", "connect"} {
		if ext[key] == "" {
			return fmt.Errorf("sql: %s not set in configuration file %s", map[string]string{"driver": "driver", "connect": "connect string"}[key], path)
		}
	}
	s := &SQL{Driver: ext["driver"]}
	get := func(key, fallback string) Template {
		if v, ok := ext[key]; ok {
			return authTemplate(v)
		}
		if strings.HasPrefix(key, map[string]string{"passdb": "password", "userdb": "user"}[c.kind]) {
			s.BuiltIn = fallback
		}
		return authTemplate(fallback)
	}
	s.Update, s.Iterate = get("update_query", ""), get("iterate_query", iterateQuery)
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
	s.Connect, s.Servers = ext["connect"], sqlServers(ext["connect"])
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
		s.Path, s.Read = c.text("sqlite_path"), c.text("sqlite_readonly") == "yes"
		return s
	}
	for _, section := range append(c.Sections(s.Driver), c.at.Sections(s.Driver)...) {
		get := func(key string) string {
			v, _ := section.Get(s.Driver + "_" + key)
			return v.Text
		}
		server := SQLServer{Host: section.Name, Database: get("dbname"), User: get("user"), Password: get("password"), TLS: get("ssl") == "yes"}
		server.Port, _ = conf.ParsePort(get("port"))
		server.words24(func(key string) string { // what nobody has written is up to the driver
			if v, _ := section.Get(s.Driver + "_" + key); v.Pos.File != "" {
				return v.Text
			}
			return ""
		})
		for _, p := range section.Items("pgsql_parameters") {
			server.parameter(p.Key, p.Text)
		}
		s.Servers = append(s.Servers, server)
	}
	return s
}

// words24 reads what 2.4 has settings for and 2.3 words.
func (s *SQLServer) words24(get func(string) string) {
	for _, key := range []string{"client_flags", "option_file", "option_group"} {
		if v := get(key); v != "" && v != "0" {
			s.other(key, v)
		}
	}
	for _, key := range []string{"connect_timeout", "read_timeout", "write_timeout"} {
		if d, err := conf.ParseTime(get(key), conf.V24); err == nil && d >= time.Second {
			s.other(key, strconv.Itoa(int(d/time.Second)))
		}
	}
	if n, err := strconv.Atoi(get("connection_limit")); err == nil {
		s.other("maxconns", strconv.Itoa(n))
	}
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
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s: %d bytes are no file of settings", path, info.Size())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(b, []byte("\ufeff")) {
		return nil, fmt.Errorf("%s:1: begins with a byte order mark\nsave it as UTF-8 without one", path)
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
