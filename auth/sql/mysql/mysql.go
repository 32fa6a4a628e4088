// Package mysql opens connections to MySQL and MariaDB for the lists of accounts that lie there. It is the only place that
// knows the driver; what is asked goes through database/sql, with every value bound.
package mysql

import (
	"context"
	"database/sql"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Server says where a database is and who asks.
type Server struct {
	Host     string // "" or "localhost": the server's usual socket; a path: that socket; else a name or address
	Port     int    // 0: 3306
	User     string
	Password string
	Database string
}

// String leaves the password out.
func (s Server) String() string {
	network, address := s.address()
	return s.User + "@" + network + "(" + address + ")/" + s.Database
}

// sockets are where distributions put the server's socket.
var sockets = []string{"/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"}

// connectWait bounds each step of a connection: a server that is there answers at once.
const connectWait = 10 * time.Second

// Open connects and makes sure that the server answers. Strings that do not fit their columns are refused by the server
// in place of being cut off.
func Open(ctx context.Context, s Server) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.Net, c.Addr = s.address()
	c.User, c.Passwd, c.DBName = s.User, s.Password, s.Database
	c.Timeout, c.ReadTimeout, c.WriteTimeout = connectWait, time.Minute, time.Minute
	c.Params = map[string]string{"sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"}
	c.Logger = &mysql.NopLogger{} // errors come back; they are not for standard error too
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func (s Server) address() (network, address string) {
	switch {
	case strings.HasPrefix(s.Host, "/"):
		return "unix", s.Host
	case s.Host != "" && s.Host != "localhost":
		port := s.Port
		if port == 0 {
			port = 3306
		}
		return "tcp", net.JoinHostPort(s.Host, strconv.Itoa(port))
	}
	for _, path := range sockets {
		if _, err := os.Stat(path); err == nil {
			return "unix", path
		}
	}
	return "unix", sockets[0]
}
