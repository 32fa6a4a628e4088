package authtest

import (
	"bytes"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Postgres is a private PostgreSQL server. Its superuser is postgres; who reaches its socket may be anybody without a
// password, over the network passwords are asked for.
type Postgres struct {
	Socket string // the folder of its socket
	Port   int    // on 127.0.0.1
	t      testing.TB
	server
	bin  string
	who  *syscall.Credential // nil: ourselves
	args []string
}

// StartPostgres makes an empty server in a temporary folder and stops it when the test ends; args are further ones of
// postgres. The server does not run as root: as that, it is run as user postgres or nobody. The test is skipped where
// PostgreSQL is not installed.
func StartPostgres(t testing.TB, args ...string) *Postgres {
	t.Helper()
	p := &Postgres{t: t, bin: postgresPrograms(t), Port: FreePort(t)}
	dir, err := os.MkdirTemp("", "dovetail-pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p.Socket = dir
	if os.Getuid() == 0 {
		p.who = unprivileged(t)
		OwnForPostgres(t, dir)
	}
	data := filepath.Join(dir, "data")
	init := p.command("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	rules := "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	p.args = append([]string{"-D", data, "-k", dir, "-h", "127.0.0.1", "-p", strconv.Itoa(p.Port), "-F"}, args...)
	t.Cleanup(p.Stop)
	p.Start()
	return p
}

// postgresPrograms finds the folder of the server's programs; Debian has it outside of PATH.
func postgresPrograms(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(path)
	}
	t.Skip("PostgreSQL is not installed: no postgres on PATH or in /usr/lib/postgresql (apt-get install postgresql-15)")
	return ""
}

func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		if who, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(who.Uid, 10, 32)
			gid, _ := strconv.ParseUint(who.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Skip("PostgreSQL does not run as root, and there is no user postgres or nobody")
	return nil
}

// OwnForPostgres gives files to the user that StartPostgres runs the server as, such as its key.
func OwnForPostgres(t testing.TB, paths ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	who := unprivileged(t)
	for _, path := range paths {
		if err := os.Chown(path, int(who.Uid), int(who.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *Postgres) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.Dir = p.Socket
	if p.who != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.who}
	}
	return cmd
}

// Start runs the server again after Stop, with the data that it had.
func (p *Postgres) Start() {
	p.t.Helper()
	p.run(p.t, p.command("postgres", p.args...))
	p.await(p.t, func() bool { return p.psql("SELECT 1").Run() == nil })
}

// Stop ends the server at once, as a crash would, with all the processes that it has.
func (p *Postgres) Stop() { p.end(syscall.SIGQUIT) } // "immediate shutdown"

// Query runs statements in the database postgres and gives what psql prints, tabs between columns.
func (p *Postgres) Query(statements string) string {
	p.t.Helper()
	out, err := p.psql(statements).CombinedOutput()
	if err != nil {
		p.t.Fatalf("psql: %v\n%s", err, out)
	}
	return string(out)
}

func (p *Postgres) psql(statements string) *exec.Cmd {
	cmd := p.command("psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", p.Socket, "-p", strconv.Itoa(p.Port), "-U", "postgres", "postgres")
	cmd.Stdin = bytes.NewReader([]byte(statements))
	return cmd
}
