package socket

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"dovetail/auth"
)

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a\tb", "\x00\x01\t\r\n", "\x01", "\x01t", "\x01x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		word := Escape(s)
		if strings.ContainsAny(word, "\x00\t\r\n") || Unescape(word) != s {
			t.Fatalf("%q is written %q and read %q", s, word, Unescape(word))
		}
		if again := words(word + "\t" + word); s != "" && !reflect.DeepEqual(again, []string{s, s}) {
			t.Fatalf("%q twice is %q", s, again)
		}
		Unescape(s)
	})
}

// FuzzParameters: what a request says is read back from what is written of it.
func FuzzParameters(f *testing.F) {
	f.Add("service=imap\tlip=1.2.3.4\tlport=143\trip=::1\trport=1\treal_rip=10.0.0.1\tsession=a\tsecured=tls\tcert_username=x\tclient_id=y\tlocal_name=z\tno-penalty")
	f.Add("service=x\treal_lport=1\treal_rport=2\tlport=65536\tforward_fields=a=b\x01tc")
	f.Add("rip=fe80::1%eth0\tlip=::ffff:1.2.3.4")
	f.Fuzz(func(t *testing.T, line string) {
		read := func(list []string) auth.Request {
			var p parameters
			for _, w := range list {
				p.login(keyed(w))
			}
			r := p.request()
			r.Pass = nil // is not written
			return r
		}
		r := read(words(line))
		again := read(words(string(appendLogin(nil, &r))[1:]))
		for _, a := range []*netip.AddrPort{&r.Local, &r.Remote, &r.RealLocal, &r.RealRemote} {
			*a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		}
		for _, a := range []*netip.AddrPort{&r.RealLocal, &again.RealLocal, &r.RealRemote, &again.RealRemote} {
			*a = netip.AddrPort{} // those that are as the others are left out
		}
		if !reflect.DeepEqual(r, again) {
			t.Fatalf("%q\n got %+v\nwant %+v", line, again, r)
		}
	})
}

// one is a database with one user, who may log in with one password.
type one struct{}

func (one) Find(_ context.Context, r *auth.Request) (auth.Fields, error) {
	if r.User != "alice" {
		return nil, auth.ErrUnknown
	}
	return auth.Fields{{Key: "password", Value: "{PLAIN}wonder"}, {Key: "uid", Value: "1000"}, {Key: "x", Value: "a\tb\n"}}, nil
}

// fuzzServer sends bytes to a connection of a kind and gives what comes back.
func fuzzServer(t *testing.T, kind Kind, sent []byte) []byte {
	t.Helper()
	service, err := auth.New(auth.Options{Mechanisms: []string{"PLAIN", "LOGIN", "CRAM-MD5"}, Log: slog.New(slog.DiscardHandler)},
		[]auth.PassEntry{{Driver: "x", DB: one{}, ImportAll: true}}, []auth.UserEntry{{Driver: "x", DB: one{}, ImportAll: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	s := &Server{Auth: service, Requests: 8, WriteTimeout: time.Second, HandshakeTimeout: time.Minute}
	s.once.Do(s.init)
	w := &wire{in: bytes.NewReader(sent)}
	s.serve(context.Background(), w, kind, "x", nil)
	return w.out.Bytes()
}

// wire is a connection whose client has sent all it will and reads what comes.
type wire struct {
	net.Conn // nil: what is not below is not used
	in       *bytes.Reader

	mu  sync.Mutex // guards out
	out bytes.Buffer
}

func (w *wire) Read(b []byte) (int, error)       { return w.in.Read(b) }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
func (w *wire) Close() error                     { return nil }
func (w *wire) RemoteAddr() net.Addr             { return &net.UnixAddr{} }

func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(b)
}

func checkLines(t *testing.T, out []byte) {
	for line := range bytes.Lines(out) {
		if len(line) == 1 || bytes.ContainsAny(line[:len(line)-1], "\x00\r") {
			t.Fatalf("line %q in\n%q", line, out)
		}
	}
}

func FuzzClientProtocol(f *testing.F) {
	const hands = "VERSION\t1\t2\nCPID\t1\n"
	for _, s := range []string{
		hands + "AUTH\t1\tPLAIN\tservice=smtp\tresp=AGFsaWNlAHdvbmRlcg==\n", hands + "AUTH\t1\tLOGIN\tservice=x\nCONT\t1\tYWxpY2U=\nCONT\t1\td29uZGVy\n",
		hands + "AUTH\t1\tCRAM-MD5\tservice=x\nCANCEL\t1\nCONT\t1\t\n", hands + "AUTH\t1\tPLAIN\tservice=x\tresp==\nAUTH\t1\tPLAIN\tservice=x\tresp==\n",
		"VERSION\t1\n", hands + "AUTH\n", hands + "CONT\t\n", hands + "\n", hands + "CANCEL\t-1\n", "\x00\n", strings.Repeat("AUTH\t", 5000),
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, sent []byte, login bool) {
		kind := Client
		if login {
			kind = Login
		}
		out := fuzzServer(t, kind, sent)
		checkLines(t, out)
		if bytes.Contains(out, []byte("\nOK\t")) && !bytes.Contains(sent, []byte("AUTH\t")) {
			t.Fatalf("%q was a login:\n%q", sent, out)
		}
		if bytes.Contains(out, []byte("uid=")) || bytes.Contains(out, []byte("wonder")) {
			t.Fatalf("%q gave\n%q", sent, out)
		}
	})
}

func FuzzMasterProtocol(f *testing.F) {
	const hands = "VERSION\t1\t1\n"
	for _, s := range []string{
		hands + "USER\t1\talice\tservice=x\n", hands + "PASS\t1\talice\tservice=x\n", hands + "LIST\t1\n", hands + "LIST\t1\tuser=*\tservice=x\n",
		hands + "REQUEST\t1\t2\t3\t00\n", hands + "REQUEST\t1\t2\t3\t00000000000000000000000000000000\tsession_pid=x\n",
		hands + "CACHE-FLUSH\t1\ta\n", hands + "USER\n", hands + "USER\t\t\n", hands + "USER\t1\t\x01\tservice\n", "\n\n", hands + "CPID\t1\n",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, sent []byte, master bool) {
		kind := UserDB
		if master {
			kind = Master
		}
		out := fuzzServer(t, kind, sent)
		checkLines(t, out)
		if bytes.Contains(out, []byte("wonder")) && !bytes.Contains(sent, []byte("wonder")) && bytes.Contains(out, []byte("PASS\t")) {
			t.Fatalf("%q gave\n%q", sent, out)
		}
	})
}

// FuzzReplies: whatever a server says, the client makes a value or an error of it.
func FuzzReplies(f *testing.F) {
	f.Add("USER\talice\tuid=1\tgid=1,2\thome=/x")
	f.Add("OK\tuser=alice\tresp=AAAA\tcode=x")
	f.Add("FAIL\treason=x")
	f.Add("CONT\t")
	f.Fuzz(func(t *testing.T, line string) {
		w := words(line)
		if len(w) == 0 {
			return
		}
		if u, err := parseUser(w); err == nil && u.Name == "" {
			t.Fatalf("%q is a user without a name", line)
		}
		if r, err := parseReply(w); err == nil && r.OK != (w[0] == "OK") {
			t.Fatalf("%q is %+v", line, r)
		}
		mechanismOf(w)
	})
}
