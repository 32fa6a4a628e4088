// Package authtest starts real servers of accounts for tests.
package authtest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"dovetail/formats/formatstest/bound"
)

// MariaDB is a private server: who reaches its socket is root there, without a password.
type MariaDB struct {
	Socket string
	Port   int // on 127.0.0.1; 0: it has no network
	t      testing.TB
	server
	args []string
}

// server is a program that runs until the test ends.
type server struct {
	cmd   *exec.Cmd
	ended chan error
	log   bytes.Buffer
}

// run starts the program; what it says is in the log.
func (s *server) run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	s.cmd, s.ended = cmd, make(chan error, 1)
	s.log.Reset()
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := bound.Start(cmd, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended := s.ended
	go func() { ended <- cmd.Wait() }()
}

// end stops the program by a signal and waits for its end. It may be called again.
func (s *server) end(signal syscall.Signal) {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(signal)
	<-s.ended
	s.cmd = nil
}

// attempts to reach a server that starts, each of some milliseconds.
const attempts = 5000

// await asks until the server answers; it ends at once when the server has.
func (s *server) await(t testing.TB, answers func() bool) {
	t.Helper()
	for n := 0; !answers(); n++ {
		select {
		case err := <-s.ended:
			s.ended <- err
			t.Fatalf("%s ended: %v\n%s", s.cmd.Path, err, s.log.String())
		default:
			if n == attempts {
				t.Fatalf("%s does not answer", s.cmd.Path)
			}
		}
	}
}

// StartMariaDB makes an empty server without a network in a temporary folder and stops it when the test ends. The test is
// skipped where MariaDB is not installed.
func StartMariaDB(t testing.TB) *MariaDB {
	t.Helper()
	return startMariaDB(t, 0, "--skip-networking")
}

// StartMariaDBOnPort is StartMariaDB with a port on 127.0.0.1, too, and further arguments for mariadbd.
func StartMariaDBOnPort(t testing.TB, args ...string) *MariaDB {
	t.Helper()
	port := FreePort(t)
	return startMariaDB(t, port, append([]string{"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(port), "--skip-name-resolve"}, args...)...)
}

// FreePort gives a port of 127.0.0.1 that nobody listens on now.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func startMariaDB(t testing.TB, port int, args ...string) *MariaDB {
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
	if err := os.Chmod(dir, 0o755); err != nil { // clients may be other users
		t.Fatal(err)
	}
	data := "--datadir=" + filepath.Join(dir, "data")
	install := exec.Command("mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db", "--user="+who.Username)
	install.Env = append(os.Environ(), "TMPDIR="+dir) // others may run one, too, and clear /tmp of what looks old
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	m := &MariaDB{Socket: filepath.Join(dir, "socket"), Port: port, t: t}
	m.args = append([]string{"--no-defaults", data, "--socket=" + m.Socket, "--user=" + who.Username,
		"--pid-file=" + filepath.Join(dir, "pid"), "--tmpdir=" + dir, "--innodb-flush-log-at-trx-commit=0", "--character-set-server=utf8mb4"}, args...)
	t.Cleanup(func() { m.end(syscall.SIGKILL) }) // its data goes away with it
	m.Start()
	return m
}

// Start runs the server again after Stop, with the data that it had.
func (m *MariaDB) Start() {
	m.t.Helper()
	m.run(m.t, exec.Command("mariadbd", m.args...))
	m.await(m.t, func() bool {
		return exec.Command("mariadb", "--no-defaults", "--socket="+m.Socket, "--user=root", "-e", "SELECT 1").Run() == nil
	})
}

// Stop ends the server, which first writes what it has in memory alone.
func (m *MariaDB) Stop() { m.end(syscall.SIGTERM) }

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
