// Package policy asks a policy server what it thinks of logins, as Dovecot's auth does (weakforced is one such).
//
//	POST URL?command=allow     before the databases are asked, and again when they have accepted the password
//	POST URL?command=report    how it went; nobody waits for the answer
//
// The body is an object of the attributes in the order of their names, "a/b" being b in an object a, then for a report
// "success" and "policy_reject", then "tls":
//
//	{"device_id":"","login":"ann","protocol":"imap","pwhash":"0a1b","remote":"192.0.2.1","session_id":"x","tls":false}
//
// The attribute %{hashed_password} is the beginning of a hash, so that the server can tell passwords apart and not know
// them: H(nonce + user + NUL + password), of which the first Truncate bits are kept, as a number in hexadecimal.
//
// The answer to the first command is {"status": N, "msg": "text"}: below zero refuses (msg is for the client), zero goes
// on, N makes the client wait that many seconds, unless the password was right. What goes wrong on the way is an error
// in the log, and no refusal unless RejectOnFail says so. (Dovecot 2.3.19, auth-policy.c; compared beside it.)
package policy

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// Options are Dovecot's settings auth_policy_….
type Options struct {
	URL       string        // (…server_url) http or https; a name and password in it are sent as such
	APIHeader string        // (…server_api_header) "Name: value", or the value of X-API-Key; empty: none
	Timeout   time.Duration // (…server_timeout_msecs) of one request; 0: two seconds

	Attributes []Attribute // (…request_attributes)
	HashMech   string      // (…hash_mech) "sha256", …
	HashNonce  string      // (…hash_nonce) must be set
	Truncate   int         // (…hash_truncate) bits; 0: all

	RejectOnFail                         bool
	CheckBefore, CheckAfter, ReportAfter bool
	LogOnly                              bool // answers are logged and have no effect

	Verbose bool         // (auth_verbose)
	Log     *slog.Logger // nil: slog.Default()
	TLS     *tls.Config  // of https; nil: the system's authorities
}

// Attribute is one value of the body.
type Attribute struct {
	Key   string // "login", "client/ip"
	Value *variable.Template
}

// Server is an auth.Policy. Its methods may be called by many goroutines at once.
type Server struct {
	o        Options
	hash     func() hash.Hash
	header   [2]string
	reports  chan struct{} // a place for each report that is on its way
	underway sync.WaitGroup
	log      *slog.Logger
	client   *http.Client
}

const (
	maxReports = 100
	maxAnswer  = 64 << 10
	maxWait    = 5 * time.Minute
)

// New checks the options; errors name the setting.
func New(o Options) (*Server, error) {
	if u, err := url.Parse(o.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("auth_policy_server_url is not an http:// or https:// address")
	}
	if o.HashNonce == "" {
		return nil, errors.New("auth_policy_hash_nonce must be set when policy server is used")
	}
	s := &Server{o: o, reports: make(chan struct{}, maxReports), log: o.Log}
	if s.hash = hashes(o.HashMech); s.hash == nil {
		return nil, errors.New("invalid auth_policy_hash_mech given")
	}
	if size := 8 * s.hash().Size(); o.Truncate < 0 || o.Truncate >= size {
		return nil, fmt.Errorf("auth_policy_hash_truncate is not smaller than digest size (%d >= %d)", o.Truncate, size)
	}
	s.o.Attributes = slices.Clone(o.Attributes)
	slices.SortStableFunc(s.o.Attributes, func(a, b Attribute) int { return strings.Compare(a.Key, b.Key) })
	if o.APIHeader != "" {
		s.header = [2]string{"X-API-Key", o.APIHeader}
		if name, value, ok := strings.Cut(o.APIHeader, ":"); ok {
			s.header = [2]string{name, strings.TrimSpace(value)}
		}
	}
	if o.Timeout == 0 {
		s.o.Timeout = 2 * time.Second
	}
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: o.TLS, MaxConnsPerHost: 100, MaxIdleConnsPerHost: 10, IdleConnTimeout: 10 * time.Second}}
	if s.log == nil {
		s.log = slog.Default()
	}
	if o.LogOnly {
		s.log.Warn("auth-policy: Currently in log-only mode. Ignoring tarpit and disconnect instructions from policy server")
	}
	return s, nil
}

func hashes(name string) func() hash.Hash {
	switch strings.ToLower(name) {
	case "", "sha256":
		return sha256.New
	case "sha512":
		return sha512.New
	case "sha384":
		return sha512.New384
	case "sha1":
		return sha1.New
	case "md5":
		return md5.New
	case "sha3-256":
		return func() hash.Hash { return sha3.New256() }
	case "sha3-512":
		return func() hash.Hash { return sha3.New512() }
	}
	return nil
}

// Close waits for reports that are on their way, each of which ends in time.
func (s *Server) Close() error {
	s.underway.Wait()
	s.client.CloseIdleConnections()
	return nil
}

// Before asks whether the databases are to be asked.
func (s *Server) Before(ctx context.Context, r *auth.Request) auth.Verdict {
	if !s.o.CheckBefore {
		return auth.Verdict{}
	}
	return s.ask(ctx, r)
}

// After asks whether a right password is enough. A wait is not for that.
func (s *Server) After(ctx context.Context, r *auth.Request) auth.Verdict {
	if !s.o.CheckAfter {
		return auth.Verdict{}
	}
	v := s.ask(ctx, r)
	v.Wait = 0
	return v
}

// Report sends how it went, in the background. When the server is so slow that a hundred reports are on their way, one
// more is dropped.
func (s *Server) Report(ctx context.Context, r *auth.Request, success, refused bool) {
	if !s.o.ReportAfter {
		return
	}
	body, err := s.body(r, failure(success, refused), fmt.Sprintf(`,"success":%t,"policy_reject":%t`, success, refused))
	who := prefix(r)
	if err == nil {
		select {
		case s.reports <- struct{}{}:
		default:
			err = errors.New("Policy server is too slow, a report is lost")
		}
	}
	if err != nil {
		s.log.Error(who + err.Error())
		return
	}
	s.underway.Go(func() {
		defer func() { <-s.reports }()
		if _, err := s.post(context.WithoutCancel(ctx), "report", body); err != nil {
			s.log.Error(who + err.Error())
		}
	})
}

// ask sends the command allow.
func (s *Server) ask(ctx context.Context, r *auth.Request) auth.Verdict {
	status, message := 0, ""
	body, err := s.body(r, "", "")
	if err == nil {
		var answer []byte
		if answer, err = s.post(ctx, "allow", body); err == nil {
			status, message, err = parse(answer)
		}
	}
	if err != nil {
		s.log.Error(prefix(r) + err.Error())
		if s.o.RejectOnFail {
			status = -1
		}
	}
	return s.verdict(r, status, message)
}

func (s *Server) verdict(r *auth.Request, status int, message string) auth.Verdict {
	if status == 0 {
		return auth.Verdict{}
	}
	action := "drop connection"
	if status > 0 {
		action = fmt.Sprintf("tarpit %d second(s)", status)
	}
	if s.o.LogOnly {
		s.log.Info(prefix(r) + "Policy check action '" + action + "' ignored")
		return auth.Verdict{}
	}
	s.log.Info(prefix(r) + "Policy check action is " + action)
	if status > 0 {
		return auth.Verdict{Wait: min(time.Duration(min(status, 1<<20))*time.Second, maxWait)}
	}
	if s.o.Verbose {
		text := "Authentication failure due to policy server refusal"
		if message != "" {
			text += ": " + printable(message)
		}
		s.log.Info(prefix(r) + text)
	}
	return auth.Verdict{Refuse: true, Reason: printable(message)}
}

// parse reads an answer. Other members are of no interest.
func parse(answer []byte) (status int, message string, err error) {
	var a struct {
		Status *int    `json:"status"`
		Msg    *string `json:"msg"`
	}
	switch err := json.Unmarshal(answer, &a); {
	case len(bytes.TrimSpace(answer)) == 0:
		return 0, "", errors.New("Policy server result was empty")
	case err != nil:
		return 0, "", fmt.Errorf("Policy server response JSON parse error: %w", err)
	case a.Status == nil:
		return 0, "", errors.New("Policy server response was malformed: it has no status")
	}
	if a.Msg != nil {
		message = *a.Msg
	}
	return *a.Status, message, nil
}

// post sends a body and gives what comes back, if that is a success.
func (s *Server) post(ctx context.Context, command string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	separator := "?"
	if strings.HasSuffix(s.o.URL, "&") {
		separator = ""
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.URL+separator+"command="+command, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("Could not parse url of the policy server")
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("User-Agent", "dovetail/auth-policy-client")
	if s.header[0] != "" {
		q.Header.Set(s.header[0], s.header[1])
	}
	response, err := s.client.Do(q)
	if err != nil {
		var why *url.Error // its text has the address, in which may be a password
		if errors.As(err, &why) {
			err = why.Err
		}
		return nil, fmt.Errorf("Policy server HTTP error: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode/10 != 20 {
		return nil, errors.New("Policy server HTTP error: " + response.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("Error reading policy server result: %w", err)
	}
	return answer, nil
}

// failure is the attribute %{fail_type} of 2.4: why a login failed, as far as it is told here.
func failure(success, refused bool) string {
	switch {
	case refused:
		return "policy"
	case success:
		return ""
	}
	return "credentials"
}

// body makes the object; more is put before its end.
func (s *Server) body(r *auth.Request, failed, more string) ([]byte, error) {
	lookup := func(name string) (string, error) {
		switch name {
		case "hashed_password":
			return s.hashed(r), nil
		case "requested_username":
			return asked(r), nil
		case "fail_type":
			return failed, nil
		}
		return r.Variable(name)
	}
	w := writer{out: []byte("{")}
	for _, a := range s.o.Attributes {
		value, err := a.Value.Expand(lookup)
		if err != nil {
			return nil, fmt.Errorf("Failed to expand auth policy template: %w", err)
		}
		w.member(strings.Split(a.Key, "/"), value)
	}
	w.leave(0)
	return fmt.Appendf(w.out, `%s,"tls":%t}`, more, r.Secured == "TLS"), nil
}

// asked is the name that the password belongs to.
func asked(r *auth.Request) string {
	if r.LoginUser != "" {
		return r.LoginUser
	}
	return r.User
}

func (s *Server) hashed(r *auth.Request) string {
	h := s.hash()
	io.WriteString(h, s.o.HashNonce+asked(r)+"\x00"+r.Password)
	sum := h.Sum(nil)
	if s.o.Truncate == 0 {
		return hex.EncodeToString(sum)
	}
	sum = sum[:(s.o.Truncate+7)/8]
	if shift := (8 - s.o.Truncate%8) % 8; shift != 0 {
		carry := byte(0)
		for i, b := range sum {
			sum[i] = b>>shift | carry
			carry = b << (8 - shift)
		}
	}
	return hex.EncodeToString(sum)
}

// writer writes members of nested objects.
type writer struct {
	out  []byte
	open []string
}

func (w *writer) member(path []string, value string) {
	shared := 0
	for shared < len(w.open) && shared < len(path)-1 && w.open[shared] == path[shared] {
		shared++
	}
	w.leave(shared)
	for _, name := range path[shared : len(path)-1] {
		w.name(name)
		w.out = append(w.out, '{')
		w.open = append(w.open, name)
	}
	w.name(path[len(path)-1])
	w.text(value)
}

func (w *writer) leave(depth int) {
	for ; len(w.open) > depth; w.open = w.open[:len(w.open)-1] {
		w.out = append(w.out, '}')
	}
}

func (w *writer) name(name string) {
	if last := w.out[len(w.out)-1]; last != '{' {
		w.out = append(w.out, ',')
	}
	w.text(name)
	w.out = append(w.out, ':')
}

func (w *writer) text(s string) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string never fails
	w.out = append(w.out, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// prefix begins lines of the log as those of databases do.
func prefix(r *auth.Request) string {
	who := printable(r.User)
	if who == "" {
		who = "?"
	}
	if r.Remote.IsValid() {
		who += "," + r.Remote.Addr().Unmap().String()
	}
	if r.Session != "" {
		who += ",<" + r.Session + ">"
	}
	return "policy(" + who + "): "
}

// printable keeps what others have written on one line.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, s[:min(len(s), 512)])
}
