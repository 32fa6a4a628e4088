package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A fetcher brings home what it does not have yet and leaves everything on the server.
type fetcher struct {
	t    *testing.T
	dir  string // its home: what it has fetched, and what it remembers
	cert string // that it trusts
	user string

	password string // "": secret
	plain    bool   // the server knows nothing but USER and PASS
}

func (f *fetcher) secret() string {
	if f.password == "" {
		return "secret"
	}
	return f.password
}

// ways are those to a server: over which port, and what is said there.
type way uint8

const (
	inClear way = iota
	withSTLS
	withTLS
)

func (w way) String() string { return [...]string{"in clear", "with STLS", "with TLS"}[w] }

var errNotThatWay = errors.New("the client cannot do that")

// fetchers are programs, each with what makes it fetch from a port of this machine. It gives errNotThatWay for ways that the
// program does not know.
var fetchers = []struct {
	name string
	run  func(f *fetcher, w way, port string) error
}{{"fetchmail", (*fetcher).fetchmail}, {"getmail", (*fetcher).getmail}, {"mpop", (*fetcher).mpop}, {"poplib", (*fetcher).poplib}, {"curl", (*fetcher).curl}}

// command runs a program, or skips the test where there is none. It may end with one of these codes.
func (f *fetcher) command(codes []int, name string, args ...string) error {
	f.t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		f.t.Skipf("%s is not installed", name)
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), 4*time.Minute) // a lock that another program holds is waited for two minutes
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = f.dir, append(os.Environ(), "HOME="+f.dir, "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil && !slices.Contains(codes, cmd.ProcessState.ExitCode()) {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// write makes one of its files.
func (f *fetcher) write(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fetcher) fetchmail(w way, port string) error {
	f.write("rc", fmt.Sprintf("poll 127.0.0.1 protocol pop3 service %s uidl\n user %q password %q keep mda \"./mda\" %s\n", port, f.user, f.secret(),
		[]string{"sslproto ''", "sslproto 'TLS1.2+' sslcommonname localhost sslcertck sslcertfile " + f.cert, "ssl sslcommonname localhost sslcertck sslcertfile " + f.cert}[w]))
	f.deliverer()
	return f.command([]int{1}, "fetchmail", "-f", "rc", "--nodetach", "--invisible", "--norewrite", "-i", filepath.Join(f.dir, "ids"), // 1: nothing is new
		"--pidfile", filepath.Join(f.dir, "pid"), "--nosyslog")
}

// deliverer makes the program to which others give messages.
func (f *fetcher) deliverer() {
	f.write("mda", fmt.Sprintf("#!/bin/sh\nmkdir -p %[1]s/in; exec cat > `mktemp %[1]s/in/XXXXXXXX`\n", f.dir))
}

func (f *fetcher) getmail(w way, port string) error {
	kind := "SimplePOP3Retriever"
	switch w {
	case withSTLS:
		return errNotThatWay
	case withTLS:
		kind = "SimplePOP3SSLRetriever\nca_certs = " + f.cert
	}
	f.deliverer()
	f.write("getmailrc", fmt.Sprintf("[retriever]\ntype = %s\nserver = 127.0.0.1\nport = %s\nusername = %s\npassword = %s\n\n"+
		"[destination]\ntype = MDA_external\npath = %s/mda\nallow_root_commands = true\n\n[options]\nread_all = false\ndelete = false\ndelivered_to = false\nreceived = false\nverbose = 1\n", kind, port, f.user, f.secret(), f.dir))
	return f.command(nil, "getmail", "--getmaildir", f.dir)
}

func (f *fetcher) mpop(w way, port string) error {
	for _, sub := range []string{"new", "cur", "tmp"} {
		f.write("in/"+sub+"/.keep", "")
	}
	clear := "tls off\nauth cram-md5\n"
	if f.plain {
		clear = "tls off\nauth user\n"
	}
	f.write(".mpoprc", "account default\nhost 127.0.0.1\nkeep on\nreceived_header off\ntls_trust_file "+f.cert+
		fmt.Sprintf("\ndelivery maildir %[1]s/in\nuidls_file %[1]s/uidls\nport %[2]s\nuser %[3]s\npassword %[4]s\n", f.dir, port, f.user, f.secret())+
		[]string{clear, "tls on\ntls_starttls on\nauth scram-sha-256\n", "tls on\ntls_starttls off\nauth plain\n"}[w])
	if err := os.Chmod(filepath.Join(f.dir, ".mpoprc"), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return f.command(nil, "mpop", "-C", filepath.Join(f.dir, ".mpoprc"))
}

// poplibScript takes the way, the port, the certificate, the user, the password, and
// whether messages are such that sizes and headers must be right to the byte.
const poplibScript = `import os, poplib, ssl, sys
way, port, cert, user, secret, strict = sys.argv[1:]
trust = ssl.create_default_context(cafile=cert or None)
pop = poplib.POP3_SSL('127.0.0.1', int(port), context=trust) if way == 'with TLS' else poplib.POP3('127.0.0.1', int(port))
if way == 'with STLS':
    pop.stls(trust)
if b'<' in pop.getwelcome() and way == 'in clear':
    pop.apop(user, secret)
else:
    pop.user(user); pop.pass_(secret)
assert 'UIDL' in pop.capa() and 'TOP' in pop.capa()
have = set(open('have').read().split()) if os.path.exists('have') else set()
ids = [line.decode().split()[1] for line in pop.uidl()[1]]
sizes = [int(line.split()[1]) for line in pop.list()[1]]
assert pop.stat() == (len(ids), sum(sizes)), (pop.stat(), sizes)
os.makedirs('in', exist_ok=True)
for i, uidl in enumerate(ids):
    if uidl in have:
        continue
    text = b''.join(line + b'\r\n' for line in pop.retr(i + 1)[1])
    assert strict == 'false' or len(text) == sizes[i], (len(text), sizes[i])
    head = text.split(b'\r\n\r\n')[0]
    assert strict == 'false' or b'\r\n'.join(pop.top(i + 1, 0)[1]).rstrip() == head, i
    open('in/%d.%d' % (len(have), i), 'wb').write(text)
    have.add(uidl)
open('have', 'w').write('\n'.join(have))
pop.noop(); pop.rset(); pop.quit()
`

func (f *fetcher) poplib(w way, port string) error {
	f.write("client.py", poplibScript)
	return f.command(nil, "python3", "client.py", w.String(), port, f.cert, f.user, f.secret(), strconv.FormatBool(!f.plain))
}

// curl remembers nothing itself: what it has is in a list beside it.
func (f *fetcher) curl(w way, port string) error {
	f.write("client.sh", `set -e
get() { curl -sS --user "$2:secret" --cacert "$3" $4 "$1/$5"; }
mkdir -p in; touch have
get "$@" "" >list; test "$(wc -l <list)" -gt 0
curl -sS --user "$2:secret" --cacert "$3" $4 -X UIDL "$1/" | tr -d '\r' >uidls
while read n id; do
	grep -qxF "$id" have || { get "$@" "$n" >"in/$n.$$"; echo "$id" >>have; }
done <uidls
`)
	url, more := "pop3://127.0.0.1:"+port, []string{"--login-options AUTH=CRAM-MD5", "--ssl-reqd", ""}[w]
	if w == withTLS {
		url = "pop3s://127.0.0.1:" + port
	}
	if _, err := exec.LookPath("curl"); err != nil {
		f.t.Skip("curl is not installed")
	}
	return f.command(nil, "sh", "client.sh", url, f.user, f.cert, more)
}

// fetched are the messages at home, with LF.
func (f *fetcher) fetched() (texts []string) {
	f.t.Helper()
	err := filepath.WalkDir(filepath.Join(f.dir, "in"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".keep" {
			return err
		}
		b, err := os.ReadFile(path)
		texts = append(texts, strings.ReplaceAll(string(b), "\r\n", "\n"))
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.t.Fatal(err)
	}
	return texts
}

// mustHave compares with what was to come. A program may put fields of its own before those of a message.
func (f *fetcher) mustHave(want []string, when string) {
	f.t.Helper()
	got := f.fetched()
	if len(got) != len(want) {
		f.t.Fatalf("%s: there are %d messages, want %d", when, len(got), len(want))
	}
	for i, text := range want {
		text = strings.ReplaceAll(text, "\r\n", "\n")
		if !slices.ContainsFunc(got, func(g string) bool { return strings.HasSuffix(g, text) }) {
			f.t.Errorf("%s: message %d came otherwise: %q", when, i+1, got)
		}
	}
}

// Real clients over each format and all ways: everything comes as it is, and nothing comes twice.
func TestServeRealPOP3Clients(t *testing.T) {
	for _, kind := range []string{"sdbox", "mdbox", "maildir", "mbox"} {
		t.Run(kind, func(t *testing.T) {
			s := startPOP3(t, kind, "auth_mechanisms = plain login cram-md5 apop scram-sha-256 digest-md5")
			s.fill("ann")
			for _, client := range fetchers {
				for _, w := range []way{inClear, withSTLS, withTLS} {
					t.Run(client.name+" "+w.String(), func(t *testing.T) {
						f := &fetcher{t: t, dir: t.TempDir(), cert: filepath.Join(s.dir, "cert.pem"), user: "ann"}
						_, port, _ := net.SplitHostPort(s.pop)
						if w == withTLS {
							_, port, _ = net.SplitHostPort(s.pops)
						}
						for _, when := range []string{"first", "again"} {
							if err := client.run(f, w, port); errors.Is(err, errNotThatWay) {
								t.Skip(err)
							} else if err != nil {
								t.Fatal(err)
							}
							f.mustHave(clientMail, when)
						}
					})
				}
			}
			own := *s.mailServer
			own.t = t
			own.judge(kind, "ann")
		})
	}
}

// A door is one address behind which different servers are, one after the other: clients know a server by it.
type door struct {
	port   string
	behind atomic.Pointer[func() (io.ReadWriteCloser, error)]
}

func newDoor(t *testing.T) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	d := &door{}
	_, d.port, _ = net.SplitHostPort(l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go d.pass(c)
		}
	}()
	return d
}

func (d *door) pass(c net.Conn) {
	defer c.Close()
	server, err := (*d.behind.Load())()
	if err != nil {
		return // the client sees that there is nobody
	}
	defer server.Close()
	go func() {
		io.Copy(server, c)
		server.Close()
	}()
	io.Copy(c, server)
}

// leadTo has it lead to a server that listens.
func (d *door) leadTo(address string) {
	open := func() (io.ReadWriteCloser, error) { return net.Dial("tcp", address) }
	d.behind.Store(&open)
}
