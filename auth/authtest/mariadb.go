// Package authtest starts real servers of accounts for tests.
package authtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"syscall"
	"testing"
)

// MariaDB is a private server without a network: who reaches its socket is root there, without a password.
type MariaDB struct {
	Socket string
	t      testing.TB
}

// StartMariaDB makes an empty server in a temporary folder and stops it when the test ends. The test is skipped where
// MariaDB is not installed.
func StartMariaDB(t testing.TB) *MariaDB {
	t.Helper()
	for _, program := range []string{"mariadbd", "mariadb-install-db", "mariadb"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("MariaDB is not installed: no %s on PATH (apt-get install mariadb-server-core mariadb-client-core)", program)
		}
	}
	who, err := user.Current()
	if err != nil {
		t.Skipf("MariaDB wants its user to have a name: %v", err)
	}
	// A short folder: the path of a socket is 108 bytes at most.
	dir, err := os.MkdirTemp("", "dovetail-db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data := "--datadir=" + filepath.Join(dir, "data")
	install := exec.Command("mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db", "--user="+who.Username)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	m := &MariaDB{Socket: filepath.Join(dir, "socket"), t: t}
	var log bytes.Buffer
	server := exec.Command("mariadbd", "--no-defaults", data, "--skip-networking", "--socket="+m.Socket, "--user="+who.Username,
		"--pid-file="+filepath.Join(dir, "pid"), "--innodb-flush-log-at-trx-commit=0", "--character-set-server=utf8mb4")
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGKILL) // its data goes away with it
		<-ended
	})
	m.await(ended, &log)
	return m
}

// attempts to reach a server that starts, each of some milliseconds.
const attempts = 5000

// await asks until the server answers; it ends at once when the server has.
func (m *MariaDB) await(ended chan error, log *bytes.Buffer) {
	m.t.Helper()
	for n := 0; exec.Command("mariadb", "--no-defaults", "--socket="+m.Socket, "--user=root", "-e", "SELECT 1").Run() != nil; n++ {
		select {
		case err := <-ended:
			ended <- err
			m.t.Fatalf("mariadbd ended: %v\n%s", err, log.String())
		default:
			if n == attempts {
				m.t.Fatalf("MariaDB does not answer:\n%s", log.String())
			}
		}
	}
}

// Load makes a database and runs scripts in it, as the client program does.
func (m *MariaDB) Load(database string, scripts ...string) {
	m.t.Helper()
	m.client("", fmt.Sprintf("CREATE DATABASE IF NOT EXISTS `%s` CHARACTER SET utf8mb4", database))
	for _, script := range scripts {
		m.client(database, script)
	}
}

// Query runs one statement and gives what the client program prints, tabs between columns.
func (m *MariaDB) Query(database, statement string) string { return m.client(database, statement) }

func (m *MariaDB) client(database, input string) string {
	m.t.Helper()
	cmd := exec.Command("mariadb", "--no-defaults", "--socket="+m.Socket, "--default-character-set=utf8mb4", "-N", "--user=root", database)
	cmd.Stdin = bytes.NewReader([]byte(input))
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("mariadb: %v\n%s", err, out)
	}
	return string(out)
}
