package pgsql

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	authsql "dovetail/auth/sql"
)

// Config is one server, in libpq's words.
type Config struct {
	Host        string // or the folder of a socket; "": libpq's own
	Words       []Word
	Connections int // maxconns; 0: what the service allows
}

// Word is one setting of a connection.
type Word struct{ Key, Value string }

// connectTimeout is Dovecot's (sql-api-private.h, SQL_CONNECT_TIMEOUT_SECS), unless connect_timeout says less.
const connectTimeout = 5 * time.Second

// known are the words of libpq 15 that mean something here. ignored are of no use to this driver and harmless.
var (
	known = words("host hostaddr port dbname user password passfile connect_timeout client_encoding options application_name sslmode sslrootcert " +
		"sslcert sslkey sslpassword sslsni target_session_attrs service krbsrvname channel_binding ssl_min_protocol_version maxconns")
	ignored = words("fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout gssencmode gsslib " +
		"sslcompression replication load_balance_hosts")
)

func words(s string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(s) {
		all[w] = true
	}
	return all
}

// Parse reads Dovecot's connect setting: libpq's key=value words, where host may be there several times. One Config comes
// for each host.
func Parse(connect string) ([]Config, error) {
	all, err := split(connect)
	if err != nil {
		return nil, fmt.Errorf("pgsql: %w", err)
	}
	var c Config
	var hosts []string
	for _, w := range all {
		switch {
		case w.Key == "host":
			hosts = append(hosts, w.Value)
		case w.Key == "maxconns":
			if c.Connections, err = strconv.Atoi(w.Value); err != nil || c.Connections < 0 {
				return nil, fmt.Errorf("pgsql: Invalid value for maxconns: %s", w.Value)
			}
		case ignored[w.Key]:
		case !known[w.Key]:
			return nil, fmt.Errorf("pgsql: Unknown connect string: %s", w.Key)
		default:
			c.Words = append(c.Words, w)
		}
	}
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	var list []Config
	for _, host := range hosts {
		one := c
		one.Host = host
		list = append(list, one)
	}
	return list, nil
}

// split reads key=value words: blanks may be around "=", a value with blanks is in '…', \ hides the next character
// (PostgreSQL 15 documentation, 34.1.1.1).
func split(s string) ([]Word, error) {
	var all []Word
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		key, rest, ok := strings.Cut(s, "=")
		key, rest = strings.TrimSpace(key), strings.TrimLeft(rest, " \t")
		if !ok || key == "" || strings.ContainsAny(key, " \t'") {
			return nil, fmt.Errorf("Missing value in connect string: %s", strings.Fields(key + " ?")[0])
		}
		quoted := strings.HasPrefix(rest, "'")
		if quoted {
			rest = rest[1:]
		}
		var value strings.Builder
		ended := !quoted
		i := 0
		for ; i < len(rest); i++ {
			c := rest[i]
			if quoted && c == '\'' {
				ended = true
				i++
				break
			}
			if !quoted && (c == ' ' || c == '\t') {
				break
			}
			if c == '\\' && i+1 < len(rest) {
				i++
				c = rest[i]
			}
			value.WriteByte(c)
		}
		if !ended {
			return nil, errors.New("Unterminated quoted string in connect string")
		}
		all = append(all, Word{key, value.String()})
		s = rest[i:]
	}
	return all, nil
}

// get gives the last value of a word.
func (c Config) get(key string) string {
	value := ""
	for _, w := range c.Words {
		if w.Key == key {
			value = w.Value
		}
	}
	return value
}

// Database is the name of the database, for the log.
func (c Config) Database() string {
	if name := c.get("dbname"); name != "" {
		return name
	}
	return c.get("user")
}

// Connector makes connections of it. Files of certificates are read now.
func (c Config) Connector() (driver.Connector, error) {
	var text strings.Builder
	host, addr := c.Host, c.get("hostaddr")
	if host == "" {
		host = addr
	}
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	add := func(key, value string) { fmt.Fprintf(&text, "%s='%s' ", key, escape.Replace(value)) }
	if host != "" {
		add("host", host)
	}
	for _, w := range c.Words {
		if w.Key != "hostaddr" && w.Key != "ssl_min_protocol_version" {
			add(w.Key, w.Value)
		}
	}
	config, err := pgx.ParseConfig(text.String())
	if err != nil {
		return nil, fmt.Errorf("pgsql: %s", reason(err))
	}
	if addr != "" && addr != host {
		config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{addr}, nil }
	}
	if config.ConnectTimeout == 0 || config.ConnectTimeout > connectTimeout {
		config.ConnectTimeout = connectTimeout
	}
	config.RuntimeParams["client_encoding"] = "UTF8"
	if c.get("application_name") == "" {
		config.RuntimeParams["application_name"] = "dovetail"
	}
	if err := c.tls(config); err != nil {
		return nil, fmt.Errorf("pgsql: %w", err)
	}
	return described{stdlib.GetConnector(*config), config.Host, config.Port}, nil
}

// reason is what the driver dislikes in the words, without the words: the password is among them.
func reason(err error) string {
	if e, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		if inner := errors.Unwrap(e); inner != nil {
			return inner.Error()
		}
	}
	text := err.Error()
	if i := strings.LastIndex(text, "`"); i >= 0 {
		text = strings.TrimLeft(text[i+1:], ": ")
	}
	return text
}

var versions = map[string]uint16{"": tls.VersionTLS12, "TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}

// tls completes what sslmode asks for: verify-full accepts what libpq accepts.
func (c Config) tls(config *pgx.ConnConfig) error {
	version, ok := versions[c.get("ssl_min_protocol_version")]
	if !ok {
		return fmt.Errorf("invalid ssl_min_protocol_version value: %q", c.get("ssl_min_protocol_version"))
	}
	all := []*tls.Config{config.TLSConfig}
	for _, f := range config.Fallbacks {
		all = append(all, f.TLSConfig)
	}
	for _, t := range all {
		if t == nil {
			continue
		}
		t.MinVersion = version
		if c.get("sslmode") == "verify-full" {
			authsql.Certificates(t, t.RootCAs, bare(config.Host))
		}
	}
	return nil
}

// bare is a host without a zone or brackets.
func bare(host string) string {
	if ip := net.ParseIP(strings.Trim(host, "[]")); ip != nil {
		return ip.String()
	}
	return host
}
