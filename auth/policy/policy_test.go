package policy

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
	"dovetail/formats/formatstest/dovecot"
)

var _ auth.Policy = (*Server)(nil)

// server is a policy server that answers with what it is told, and keeps what it was asked.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	answer string
	asked  []question
	more   *sync.Cond
}

type question struct {
	query, body string
	header      http.Header
}

func newServer(t *testing.T) *server {
	s := &server{status: 200, answer: `{"status":0}`}
	s.more = sync.NewCond(&s.mu)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, question{r.URL.RawQuery, string(body), r.Header})
		s.more.Broadcast()
		w.WriteHeader(s.status)
		io.WriteString(w, s.answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) say(status int, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.answer = status, answer
}

func (s *server) all() []question {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func attributes(t *testing.T, text string) (list []Attribute) {
	for _, word := range strings.Fields(text) {
		key, value, _ := strings.Cut(word, "=")
		v, err := variable.Parse23(value)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, Attribute{key, v})
	}
	return list
}

// next waits until so many more were asked than before.
func (s *server) next(before, n int) []question {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.asked) < before+n {
		s.more.Wait()
	}
	return slices.Clone(s.asked[before:])
}

const usual = "login=%{requested_username} pwhash=%{hashed_password} remote=%{rip} device_id=%{client_id} protocol=%s session_id=%{session}"

func options(t *testing.T, url string, log io.Writer) Options {
	return Options{URL: url, HashNonce: "nonce", Truncate: 12, Attributes: attributes(t, usual), CheckBefore: true, CheckAfter: true, ReportAfter: true,
		Log: slog.New(slog.NewTextHandler(log, nil))}
}

func request() *auth.Request {
	return &auth.Request{Service: "imap", User: "ann@example.org", Password: "hunter2", Session: "s1", Remote: netip.MustParseAddrPort("192.0.2.7:1234")}
}

func make1(t *testing.T, o Options) *Server {
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerdicts(t *testing.T) {
	srv := newServer(t)
	for _, tc := range []struct {
		name          string
		status        int
		answer        string
		change        func(*Options)
		before, after auth.Verdict
		log           string
	}{
		{"go on", 200, `{"status":0,"msg":"fine"}`, nil, auth.Verdict{}, auth.Verdict{}, ""},
		{"refuse", 200, `{"status":-1,"msg":"go away"}`, nil, auth.Verdict{Refuse: true, Reason: "go away"}, auth.Verdict{Refuse: true, Reason: "go away"}, "policy(ann@example.org,192.0.2.7,<s1>): Policy check action is drop connection"},
		{"a message of several lines", 200, `{"status":-1,"msg":"a\r\nb"}`, nil, auth.Verdict{Refuse: true, Reason: "a??b"}, auth.Verdict{Refuse: true, Reason: "a??b"}, "drop"},
		{"wait", 200, `{"status":7}`, nil, auth.Verdict{Wait: 7 * time.Second}, auth.Verdict{}, "tarpit 7 second(s)"},
		{"wait for ever", 200, `{"status":2000000000}`, nil, auth.Verdict{Wait: 5 * time.Minute}, auth.Verdict{}, "tarpit"},
		{"log only", 200, `{"status":-1}`, func(o *Options) { o.LogOnly = true }, auth.Verdict{}, auth.Verdict{}, "'drop connection' ignored"},
		{"not asked", 200, `{"status":-1}`, func(o *Options) { o.CheckBefore, o.CheckAfter = false, false }, auth.Verdict{}, auth.Verdict{}, ""},
		{"an error of the server", 500, `{"status":-1}`, nil, auth.Verdict{}, auth.Verdict{}, "Policy server HTTP error: 500"},
		{"an error that refuses", 500, ``, func(o *Options) { o.RejectOnFail = true }, auth.Verdict{Refuse: true}, auth.Verdict{Refuse: true}, "HTTP error: 500"},
		{"nonsense", 200, `hello`, nil, auth.Verdict{}, auth.Verdict{}, "JSON parse error"},
		{"nonsense that refuses", 200, `{"status":"no"}`, func(o *Options) { o.RejectOnFail = true }, auth.Verdict{Refuse: true}, auth.Verdict{Refuse: true}, "JSON parse error"},
		{"no status", 200, `{}`, nil, auth.Verdict{}, auth.Verdict{}, "malformed"},
		{"nothing", 200, ``, nil, auth.Verdict{}, auth.Verdict{}, "was empty"},
	} {
		srv.say(tc.status, tc.answer)
		var log strings.Builder
		o := options(t, srv.URL, &log)
		if tc.change != nil {
			tc.change(&o)
		}
		s := make1(t, o)
		if got := s.Before(t.Context(), request()); got != tc.before {
			t.Errorf("%s: before: %+v, want %+v", tc.name, got, tc.before)
		}
		if got := s.After(t.Context(), request()); got != tc.after {
			t.Errorf("%s: after: %+v, want %+v", tc.name, got, tc.after)
		}
		if !strings.Contains(log.String(), tc.log) || tc.log == "" && log.Len() > 0 || strings.Contains(log.String(), "hunter2") {
			t.Errorf("%s: the log is %s", tc.name, log.String())
		}
	}
}

func TestRequests(t *testing.T) {
	srv := newServer(t)
	o := options(t, strings.Replace(srv.URL, "http://", "http://joe:pass@", 1)+"/x?a=b&", io.Discard)
	o.APIHeader = "X-Own: key"
	o.Attributes = attributes(t, "b/two=2 a=%u b/one=%{session} b/c/deep=x z=%{hashed_password}")
	s := make1(t, o)
	s.Before(t.Context(), request())
	r := request()
	r.Secured = "TLS"
	r.User = "quo\"te\\"
	s.Report(t.Context(), r, true, false)
	s.Close()
	want := []question{
		{query: "a=b&command=allow", body: `{"a":"ann@example.org","b":{"c":{"deep":"x"},"one":"s1","two":"2"},"z":"0` + s.hashed(request())[1:] + `","tls":false}`},
		{query: "a=b&command=report", body: `{"a":"quo\"te\\","b":{"c":{"deep":"x"},"one":"s1","two":"2"},"z":"` + s.hashed(r) + `","success":true,"policy_reject":false,"tls":true}`},
	}
	for i, got := range srv.all() {
		if got.query != want[i].query || got.body != want[i].body || !json.Valid([]byte(got.body)) {
			t.Errorf("asked %s %s\nwant  %s %s", got.query, got.body, want[i].query, want[i].body)
		}
		if got.header.Get("X-Own") != "key" || !strings.HasPrefix(got.header.Get("Authorization"), "Basic ") || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v", got.header)
		}
	}
}

func TestAServerThatDoesNotAnswer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.ReadAll(r.Body) // the server hears of a client that leaves from then on
		<-r.Context().Done()
	}))
	defer srv.Close()
	var log strings.Builder
	o := options(t, srv.URL, &log)
	o.Timeout, o.RejectOnFail = 50*time.Millisecond, true
	if v := make1(t, o).Before(t.Context(), request()); !v.Refuse {
		t.Errorf("it says %+v", v)
	}
	if !strings.Contains(log.String(), "deadline") || strings.Contains(log.String(), srv.URL) {
		t.Errorf("the log is %s", log.String())
	}
	o.Timeout = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	make1(t, o).Before(ctx, request()) // returns
}

func TestWrongOptions(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"auth_policy_hash_nonce must be set when policy server is used":          func(o *Options) { o.HashNonce = "" },
		"invalid auth_policy_hash_mech given":                                    func(o *Options) { o.HashMech = "rot13" },
		"auth_policy_hash_truncate is not smaller than digest size (256 >= 256)": func(o *Options) { o.Truncate = 256 },
		"auth_policy_server_url is not an http:// or https:// address":           func(o *Options) { o.URL = "ftp://x/" },
	} {
		o := options(t, "http://localhost/", io.Discard)
		change(&o)
		if _, err := New(o); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// login asks Dovecot's auth service as Postfix would.
func login(t *testing.T, d *dovecot.Daemon) {
	greeting, err := net.Dial("tcp", d.IMAPAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer greeting.Close()
	if _, err := bufio.NewReader(greeting).ReadString('\n'); err != nil { // all its sockets are there then
		t.Fatal(err)
	}
	c, err := net.Dial("unix", filepath.Join(filepath.Dir(d.Config()), "run/auth-client"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "VERSION\t1\t2\nCPID\t%d\nAUTH\t1\tPLAIN\tservice=pop3\tsession=abc\tsecured\trip=127.0.0.1\tresp=%s\n",
		os.Getpid(), base64.StdEncoding.EncodeToString([]byte("\x00ann<co\x00p\\w")))
	for in := bufio.NewScanner(c); in.Scan(); {
		if strings.HasPrefix(in.Text(), "OK\t1") {
			return
		}
		if strings.HasPrefix(in.Text(), "FAIL\t1") {
			break
		}
	}
	t.Fatalf("Dovecot lets nobody in\n%s", d.Log())
}

// Real Dovecot sends the same bodies for the same login.
func TestDovecotSendsTheSame(t *testing.T) {
	dovecot.Need(t)
	srv := newServer(t)
	dir, err := os.MkdirTemp("", "policy-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)
	list := filepath.Join(dir, "users")
	if err := os.WriteFile(list, []byte("ann<co:{PLAIN}p\\w:1:1::"+dir+"/none\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const text = usual + " x/user=%n x/more=%Lu"
	for _, bits := range []string{"12", "0", "31"} {
		d := dovecot.Serve(t, list, "auth_policy_server_url = "+srv.URL+"/policy", "auth_policy_hash_nonce = nonce",
			"auth_policy_hash_truncate = "+bits, "auth_policy_request_attributes = "+text, "auth_policy_server_api_header = k")
		before := len(srv.all())
		login(t, d)
		theirs := srv.next(before, 3)
		var first struct {
			Session string `json:"session_id"`
		}
		if err := json.Unmarshal([]byte(theirs[0].body), &first); err != nil {
			t.Fatal(err)
		}
		o := options(t, srv.URL+"/policy", io.Discard)
		o.Attributes = attributes(t, text)
		o.Truncate = map[string]int{"12": 12, "0": 0, "31": 31}[bits]
		o.APIHeader = "k"
		s := make1(t, o)
		r := &auth.Request{Service: "pop3", User: `ann<co`, Password: `p\w`, Session: first.Session, Remote: netip.MustParseAddrPort("127.0.0.1:1")}
		at := len(srv.all())
		s.Before(t.Context(), r)
		s.After(t.Context(), r)
		s.Report(t.Context(), r, true, false)
		s.Close()
		ours := srv.all()[at:]
		for i := range theirs {
			if theirs[i].query != ours[i].query || theirs[i].body != ours[i].body || theirs[i].header.Get("X-API-Key") != ours[i].header.Get("X-API-Key") {
				t.Errorf("Dovecot sends %s %s\nwe send       %s %s", theirs[i].query, theirs[i].body, ours[i].query, ours[i].body)
			}
		}
	}
}
