package mysql

import (
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	authsql "dovetail/auth/sql"
)

// Config is all that Dovecot can be told of a server.
type Config struct {
	Server
	Flags                   uint32 // client_flags of the protocol; of use are those below
	Connect, Read, Write    time.Duration
	OptionFile, OptionGroup string
	CA, CAPath              string // files of authorities; with one of them TLS is required
	Cert, Key               string // of the client
	Cipher                  string // in OpenSSL's spelling
	AnyHost                 bool   // the certificate may be for another host: ssl_verify_server_cert=no
	Connections             int    // maxconns; 0: what the service allows
	TLS                     bool   // required even without CA and CAPath: of an authority that the system trusts
}

// client_flags that make a difference here (mysql_com.h). Others are set or not needed, as is CLIENT_MULTI_RESULTS.
const (
	flagFoundRows       = 1 << 1
	flagTLS             = 1 << 11
	flagMultiStatements = 1 << 16
)

// Defaults of driver-mysql.c and sql-api-private.h.
const (
	connectTimeout = 5 * time.Second
	answerTimeout  = 30 * time.Second
)

// Parse reads the words of Dovecot's connect setting: one Config for each host. All hold for each of them.
func Parse(connect string) ([]Config, error) {
	all := Config{Connect: connectTimeout, Read: answerTimeout, Write: answerTimeout}
	var hosts []string
	for word := range strings.FieldsSeq(connect) {
		key, value, ok := strings.Cut(word, "=")
		switch {
		case !ok:
			return nil, fmt.Errorf("mysql: Missing value in connect string: %s", key)
		case key == "host" || key == "hostaddr":
			hosts = append(hosts, value)
		default:
			if err := all.word(key, value); err != nil {
				return nil, fmt.Errorf("mysql: %w", err)
			}
		}
	}
	if len(hosts) == 0 && all.OptionFile == "" {
		return nil, errors.New("mysql: No hosts given in connect string")
	}
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	var list []Config
	for _, host := range hosts {
		one := all
		one.Host = host
		list = append(list, one)
	}
	return list, nil
}

// word takes one of the settings that all hosts have in common. The texts are those of Dovecot 2.3.19.1.
func (c *Config) word(key, value string) error {
	switch key {
	case "user":
		c.User = value
	case "password":
		c.Password = value
	case "dbname":
		c.Database = value
	case "option_file":
		c.OptionFile = value
	case "option_group":
		c.OptionGroup = value
	case "ssl_ca":
		c.CA = value
	case "ssl_ca_path":
		c.CAPath = value
	case "ssl_cert":
		c.Cert = value
	case "ssl_key":
		c.Key = value
	case "ssl_cipher":
		c.Cipher = value
	case "ssl_verify_server_cert":
		if value != "yes" && value != "no" {
			return fmt.Errorf("Invalid boolean: %s", value)
		}
		c.AnyHost = value == "no"
	default:
		return c.number(key, value)
	}
	return nil
}

func (c *Config) number(key, value string) error {
	n, err := strconv.ParseUint(value, 10, 32)
	bad := func(what string) error { return fmt.Errorf("Invalid %s: %s", what, value) }
	seconds := func(to *time.Duration) error {
		if err != nil {
			return bad(key)
		}
		*to = time.Duration(n) * time.Second
		return nil
	}
	switch key {
	case "port":
		if err != nil || n == 0 || n > 65535 {
			return bad("port number")
		}
		c.Port = int(n)
	case "client_flags":
		if err != nil {
			return bad("client flags")
		}
		c.Flags = uint32(n)
	case "maxconns":
		if err != nil {
			return fmt.Errorf("Invalid value for maxconns: %s", value)
		}
		c.Connections = int(n)
	case "connect_timeout":
		return seconds(&c.Connect)
	case "read_timeout":
		return seconds(&c.Read)
	case "write_timeout":
		return seconds(&c.Write)
	default:
		return fmt.Errorf("Unknown connect string: %s", key)
	}
	return nil
}

// Connector makes connections of it. Files are read now. An error names what is wrong with them.
func (c Config) Connector() (driver.Connector, error) {
	if c.OptionFile != "" {
		if err := c.options(); err != nil {
			return nil, err
		}
	}
	config := mysql.NewConfig()
	config.Net, config.Addr = c.address()
	config.User, config.Passwd, config.DBName = c.User, c.Password, c.Database
	config.Timeout, config.ReadTimeout, config.WriteTimeout = c.Connect, c.Read, c.Write
	config.InterpolateParams = true
	config.ClientFoundRows = c.Flags&flagFoundRows != 0
	config.MultiStatements = c.Flags&flagMultiStatements != 0
	config.Logger = &mysql.NopLogger{} // errors come back; they are not for standard error too
	if err := config.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, err
	}
	if c.TLS || c.CA != "" || c.CAPath != "" || c.Flags&flagTLS != 0 {
		var err error
		if config.TLS, err = c.tls(); err != nil {
			return nil, fmt.Errorf("mysql: %w", err)
		}
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return described{connector, c}, nil
}

// tls has the checks that ssl_ca asks for. The name is that of host=; of a socket it is localhost.
func (c Config) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: suites(c.Cipher)}
	if c.Cert != "" || c.Key != "" {
		key := c.Key
		if key == "" {
			key = c.Cert
		}
		pair, err := tls.LoadX509KeyPair(c.Cert, key)
		if err != nil {
			return nil, fmt.Errorf("ssl_cert and ssl_key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	name := c.Host
	if network, _ := c.address(); network == "unix" {
		name = "localhost"
	}
	if c.AnyHost {
		name = ""
	}
	if c.CA == "" && c.CAPath == "" {
		authsql.Certificates(config, nil, name) // those that the system trusts
		return config, nil
	}
	roots, err := authsql.Roots(c.CA, c.CAPath)
	if err != nil {
		return nil, fmt.Errorf("ssl_ca: %w", err)
	}
	authsql.Certificates(config, roots, name)
	return config, nil
}

// suites gives the ciphers of TLS 1.2 that an OpenSSL list names one by one; words for groups ("HIGH") leave the choice
// to the library, whose choice is all of that kind. Those of TLS 1.3 cannot be chosen.
func suites(list string) []uint16 {
	var chosen []uint16
	for name := range strings.SplitSeq(list, ":") {
		name = strings.NewReplacer("-", "_", "AES128", "AES_128", "AES256", "AES_256").Replace(name)
		for _, s := range tls.CipherSuites() {
			// ECDHE-RSA-AES128-GCM-SHA256 is TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256.
			if short := strings.Replace(strings.TrimPrefix(s.Name, "TLS_"), "_WITH_", "_", 1); short == name || short == name+"_SHA256" {
				chosen = append(chosen, s.ID)
			}
		}
	}
	return chosen
}

// errno is the number of a system error in an error of the network.
func errno(e *net.OpError) string {
	if n, ok := errors.AsType[syscall.Errno](e); ok {
		return strconv.Itoa(int(n))
	}
	return ""
}
