package authtest

import (
	"bytes"
	"cmp"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"dovetail/formats/formatstest/bound"
)

// Slapd is a private OpenLDAP server of dc=example,dc=com on free ports of 127.0.0.1 and on a socket. Its administrator is
// cn=admin,dc=example,dc=com with the password "secret".
type Slapd struct {
	URI, LDAPS, LDAPI string // ldap:// and ldaps:// at 127.0.0.1, ldapi://

	t     testing.TB
	dir   string
	cmd   *exec.Cmd
	ended chan error
	log   bytes.Buffer
}

// SlapdOptions say what is special about a server.
type SlapdOptions struct {
	LDIF      string // entries below dc=example,dc=com, which is there
	Cert, Key string // paths; "": no TLS
	CA        string // of client certificates
	Schema    string // further lines before the database
	Config    string // further lines of the database
	Rights    string // who reads and writes passwords, in slapd.conf's words; "": cn=reader,dc=example,dc=com
}

// StartSlapd makes a server with these entries and stops it when the test ends. The test is skipped where slapd is
// not installed. Tools that are only in /usr/sbin are found there.
func StartSlapd(t testing.TB, o SlapdOptions) *Slapd {
	t.Helper()
	for _, program := range []string{"slapd", "slapadd", "ldapwhoami"} {
		if find(program) == "" {
			t.Skipf("OpenLDAP's server is not installed: no %s (apt-get install slapd ldap-utils)", program)
		}
	}
	// A short folder: the path of a socket is 108 bytes at most.
	dir, err := os.MkdirTemp("", "dovetail-ldap")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // other users reach the socket
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	plain, secure := FreePort(t), FreePort(t)
	s := &Slapd{t: t, dir: dir, LDAPI: "ldapi://" + url.QueryEscape(filepath.Join(dir, "ldapi")),
		URI: fmt.Sprintf("ldap://127.0.0.1:%d", plain), LDAPS: fmt.Sprintf("ldaps://127.0.0.1:%d", secure)}
	s.write("slapd.conf", o.config(dir))
	s.write("base.ldif", baseLDIF+o.LDIF)
	add := exec.Command(find("slapadd"), "-f", filepath.Join(dir, "slapd.conf"), "-l", filepath.Join(dir, "base.ldif"))
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

const baseLDIF = `dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
o: Example
dc: example

`

func (o SlapdOptions) config(dir string) string {
	var b strings.Builder
	for _, schema := range []string{"core", "cosine", "inetorgperson", "nis"} {
		fmt.Fprintf(&b, "include /etc/ldap/schema/%s.schema\n", schema)
	}
	fmt.Fprintf(&b, "modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile %[1]s/pid\nargsfile %[1]s/args\nloglevel none\nthreads 4\n%s\n", dir, o.Schema)
	if o.Cert != "" {
		fmt.Fprintf(&b, "TLSCertificateFile %s\nTLSCertificateKeyFile %s\n", o.Cert, o.Key)
	}
	if o.CA != "" {
		fmt.Fprintf(&b, "TLSCACertificateFile %s\nTLSVerifyClient try\n", o.CA)
	}
	fmt.Fprintf(&b, `authz-regexp "^gidNumber=[0-9]+[+]uidNumber=%d,cn=peercred,cn=external,cn=auth$" "cn=reader,dc=example,dc=com"
database mdb
maxsize 67108864
dbnosync
suffix dc=example,dc=com
rootdn cn=admin,dc=example,dc=com
rootpw secret
directory %s/db
index objectClass,uid eq
%s
access to * by * read
%s
`, os.Getuid(), dir, cmp.Or(o.Rights, `access to attrs=userPassword by dn.base="cn=reader,dc=example,dc=com" write by anonymous auth by * none`), o.Config)
	return b.String()
}

// Start starts the server after Stop, at the same addresses, and waits until it answers.
func (s *Slapd) Start() {
	s.t.Helper()
	listen := strings.Join([]string{s.URI, s.LDAPS, s.LDAPI}, " ")
	s.cmd = exec.Command(find("slapd"), "-d", "0", "-f", filepath.Join(s.dir, "slapd.conf"), "-h", listen)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := bound.Start(s.cmd, syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	s.ended = ended
	cmd := s.cmd
	go func() { ended <- cmd.Wait() }()
	for n := 0; exec.Command("ldapwhoami", "-x", "-H", s.URI).Run() != nil; n++ {
		select {
		case err := <-ended:
			ended <- err
			s.t.Fatalf("slapd ended: %v\n%s", err, s.log.String())
		default:
			if n == attempts {
				s.t.Fatalf("slapd does not answer:\n%s", s.log.String())
			}
		}
	}
}

// Stop ends the server as its operator would: it tells its clients.
func (s *Slapd) Stop() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.cmd.Process.Signal(syscall.SIGCONT) // if it is frozen
	<-s.ended
	s.cmd = nil
}

// Freeze makes the server silent, as a network does that loses everything, until Thaw. It waits until that is so: the
// signal alone lets the server answer a little longer.
func (s *Slapd) Freeze() {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGSTOP)
	if err := unix.Waitid(unix.P_PID, s.cmd.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil); err != nil {
		s.t.Fatalf("slapd does not stop: %v", err)
	}
}

// Thaw lets a frozen server go on.
func (s *Slapd) Thaw() { s.cmd.Process.Signal(syscall.SIGCONT) }

// Add adds further entries to the running server.
func (s *Slapd) Add(ldif string) { s.client("ldapadd", ldif) }

// Change applies changes in LDIF to the running server.
func (s *Slapd) Change(ldif string) { s.client("ldapmodify", ldif) }

func (s *Slapd) client(program, ldif string) {
	s.t.Helper()
	cmd := exec.Command(program, "-x", "-H", s.URI, "-D", "cn=admin,dc=example,dc=com", "-w", "secret")
	cmd.Stdin = strings.NewReader(ldif)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

func (s *Slapd) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// find looks for a program of the system beside PATH, too.
func find(program string) string {
	for _, candidate := range []string{program, "/usr/sbin/" + program, "/usr/libexec/" + program} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	return ""
}
