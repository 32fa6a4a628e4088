package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"dovetail/formats/conf/variable"
)

// listed is a passdb and userdb out of a map, for tests. It counts how often it is asked.
type listed struct {
	users map[string]Fields
	down  atomic.Bool
	asked atomic.Int64
	key   []string
}

func accounts(users map[string]Fields) *listed { return &listed{users: users} }

func (l *listed) Find(_ context.Context, r *Request) (Fields, error) {
	l.asked.Add(1)
	if l.down.Load() {
		return nil, errors.New("connection refused")
	}
	if fields, ok := l.users[r.User]; ok {
		return fields, nil
	}
	return nil, ErrUnknown
}

func (l *listed) CacheKey() []string { return l.key }

// journal is a log that tests read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err := fmt.Fprintf(&j.text, "%s: %s\n", r.Level, r.Message)
	return err
}
func (j *journal) WithAttrs([]slog.Attr) slog.Handler { return j }
func (j *journal) WithGroup(string) slog.Handler      { return j }
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// must makes a service with a log.
func must(t testing.TB, o Options, pass []PassEntry, users []UserEntry) (*Service, *journal) {
	t.Helper()
	j := &journal{}
	o.Log = slog.New(j)
	o.Verbose = true
	s, err := New(o, pass, users)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, j
}

func template(t testing.TB, text string) *variable.Template {
	t.Helper()
	parsed, err := variable.Parse23(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

var client = Request{Service: "imap", Remote: netip.MustParseAddrPort("192.0.2.7:4711"), Session: "s1"}

// text is the reply in short: "ok user=u1 fa=1", "no temp_fail".
func text(r *Reply) string {
	words := []string{"no"}
	if r.OK {
		words = []string{"ok", "user=" + r.User}
	}
	if r.Code != "" {
		words = append(words, string(r.Code))
	}
	for _, f := range r.Fields {
		words = append(words, f.Key+"="+f.Value)
	}
	return strings.Join(words, " ")
}

// twoLists are the passdbs with which the table of rules was measured.
func twoLists(first PassEntry) []PassEntry {
	first.Driver, first.ImportAll = "passwd-file", true
	first.DB = accounts(map[string]Fields{"u1": {{"password", "pa"}, {"fa", "1"}}, "u2": {{"password", "pa"}}})
	return []PassEntry{first, {Driver: "passwd-file", ImportAll: true,
		DB: accounts(map[string]Fields{"u1": {{"password", "pb"}, {"fb", "1"}}, "u3": {{"password", "pb"}}})}}
}

func TestRulesOfTheChainOfPassdbs(t *testing.T) {
	const wrong = "no"
	for _, c := range []struct {
		name  string
		first PassEntry
		want  [4]string // of u1 pa, u1 pb, u2 pa, u3 pb
	}{
		{"the defaults", PassEntry{}, [4]string{"ok user=u1 fa=1", "ok user=u1 fb=1", "ok user=u2", "ok user=u3"}},
		{"success continues", PassEntry{Success: Continue}, [4]string{"ok user=u1 fa=1 fb=1", "ok user=u1 fb=1", wrong, "ok user=u3"}},
		{"success continues and counts", PassEntry{Success: ContinueOK}, [4]string{"ok user=u1 fa=1 fb=1", "ok user=u1 fb=1", "ok user=u2", "ok user=u3"}},
		{"success continues and does not count", PassEntry{Success: ContinueFail}, [4]string{"no fa=1", "ok user=u1 fb=1", wrong, "ok user=u3"}},
		{"success ends", PassEntry{Success: Return}, [4]string{"no fa=1", "ok user=u1 fb=1", wrong, "ok user=u3"}},
		{"success ends as failure", PassEntry{Success: ReturnFail}, [4]string{"no fa=1", "ok user=u1 fb=1", wrong, "ok user=u3"}},
		{"failure ends", PassEntry{Failure: Return}, [4]string{"ok user=u1 fa=1", wrong, "ok user=u2", wrong}},
		{"failure ends as failure", PassEntry{Failure: ReturnFail}, [4]string{"ok user=u1 fa=1", wrong, "ok user=u2", wrong}},
		{"failure ends as success", PassEntry{Failure: ReturnOK}, [4]string{"ok user=u1 fa=1", "ok user=u1", "ok user=u2", "ok user=u3"}},
		{"failure continues and counts as success", PassEntry{Failure: ContinueOK}, [4]string{"ok user=u1 fa=1", "ok user=u1 fb=1", "ok user=u2", "ok user=u3"}},
		{"who is found is refused", PassEntry{Deny: true}, [4]string{"no user_disabled fa=1", "no user_disabled fa=1", "no user_disabled", "ok user=u3"}},
		{"for another mechanism", PassEntry{Mechanisms: []string{"CRAM-MD5"}}, [4]string{wrong, "ok user=u1 fb=1", wrong, "ok user=u3"}},
		{"for other names", PassEntry{UsernameFilter: []string{"!u1", "u?"}}, [4]string{wrong, "ok user=u1 fb=1", "ok user=u2", "ok user=u3"}},
		{"for those who are known only", PassEntry{Skip: SkipUnauthenticated}, [4]string{wrong, "ok user=u1 fb=1", wrong, "ok user=u3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, log := must(t, Options{}, twoLists(c.first), nil)
			for i, one := range [][2]string{{"u1", "pa"}, {"u1", "pb"}, {"u2", "pa"}, {"u3", "pb"}} {
				if got := text(s.Login(context.Background(), client, one[0], one[1])); got != c.want[i] {
					t.Errorf("%s with %s: got %s, want %s\n%s", one[0], one[1], got, c.want[i], log)
				}
			}
		})
	}
}

func TestADatabaseThatFailsIsNoWrongPassword(t *testing.T) {
	for _, c := range []struct {
		name                string
		first               PassEntry
		known, wrong, other string // u1 with what the second passdb has, with a wrong password, and a user of neither
	}{
		{"the next one may know", PassEntry{}, "ok user=u1 fb=1", "no temp_fail", "no temp_fail"},
		{"failure is the end", PassEntry{InternalFailure: ReturnFail}, "no temp_fail", "no temp_fail", "no temp_fail"},
		{"a list of whom to refuse", PassEntry{Deny: true}, "no temp_fail", "no temp_fail", "no temp_fail"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain := twoLists(c.first)
			chain[0].DB.(*listed).down.Store(true)
			s, log := must(t, Options{}, chain, nil)
			for _, one := range [][3]string{{"u1", "pb", c.known}, {"u1", "px", c.wrong}, {"u9", "px", c.other}} {
				if got := text(s.Login(context.Background(), client, one[0], one[1])); got != one[2] {
					t.Errorf("%s with %s: got %s, want %s\n%s", one[0], one[1], got, one[2], log)
				}
			}
			chain[0].DB.(*listed).down.Store(false)
			if got := s.Login(context.Background(), client, "u3", "pb"); !got.OK {
				t.Errorf("after it has come back: %s", text(got))
			}
		})
	}
}

func TestAllPassdbsSkippedIsATemporaryFailure(t *testing.T) {
	s, log := must(t, Options{}, []PassEntry{{Driver: "sql", DB: accounts(nil), UsernameFilter: []string{"*@example.org"}}}, nil)
	if got := text(s.Login(context.Background(), client, "u1", "p")); got != "no temp_fail" {
		t.Errorf("got %s", got)
	}
	if want := "ERROR: plain(u1,192.0.2.7,<s1>): All password databases were skipped\n"; log.String() != want {
		t.Errorf("log %q, want %q", log, want)
	}
}

func TestWhatClientsSendIsCheckedBeforeAnyDatabaseSeesIt(t *testing.T) {
	db := accounts(map[string]Fields{"u1": {{"password", "p"}}})
	s, log := must(t, Options{}, []PassEntry{{Driver: "sql", DB: db, ImportAll: true}}, []UserEntry{{Driver: "sql", DB: db, ImportAll: true}})
	ctx := context.Background()
	for _, name := range []string{"", "u1\x00", "u\n1", "u1\t", "\x01", "a\x7f", "..", "../../etc/passwd", "u/../1", "u@..", "..@d", strings.Repeat("u", 1025)} {
		if r := s.Login(ctx, client, name, "p"); r.OK || r.Code != "" {
			t.Errorf("name %.20q: %s", name, text(r))
		}
		if _, err := s.User(ctx, client, name); !errors.Is(err, ErrUnknown) {
			t.Errorf("user %.20q: %v", name, err)
		}
		if _, err := s.Lookup(ctx, client, name); !errors.Is(err, ErrUnknown) {
			t.Errorf("lookup %.20q: %v", name, err)
		}
	}
	for _, password := range []string{"p\x00", "p\n", "p\r", "p\t", "p\x01", strings.Repeat("p", 1<<20)} {
		if r := s.Login(ctx, client, "u1", password); r.OK || r.Code != "" {
			t.Errorf("password %.20q: %s", password, text(r))
		}
	}
	if n := db.asked.Load(); n != 0 {
		t.Errorf("the database was asked %d times", n)
	}
	for line := range strings.Lines(log.String()) {
		if len(line) > 400 || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x00\n\t\r\x01") {
			t.Errorf("log line %.60q", line)
		}
	}
}

func TestAnUnknownUserCostsWhatAWrongPasswordDoes(t *testing.T) {
	db := accounts(map[string]Fields{"u1": {{"password", "{SHA512-CRYPT}$6$rounds=1000$salt$x"}}})
	s, _ := must(t, Options{}, []PassEntry{{Driver: "sql", DB: db, ImportAll: true, Scheme: "SSHA256"}}, nil)
	var hashed []string
	s.hashes.verify = func(stored, _, _, _ string, _ bool) (bool, error) {
		hashed = append(hashed, stored)
		return stored != "", nil // what is said of a decoy must not matter
	}
	ctx := context.Background()
	if r := s.Login(ctx, client, "nosuch", "p"); r.OK || len(hashed) != 1 || !strings.HasPrefix(hashed[0], "{SSHA256}") {
		t.Errorf("before any user is known: %s, hashed %q", text(r), hashed)
	}
	s.Login(ctx, client, "u1", "p")
	hashed = nil
	if r := s.Login(ctx, client, "nosuch", "p"); r.OK || len(hashed) != 1 || !strings.HasPrefix(hashed[0], "{SHA512-CRYPT}") {
		t.Errorf("after one: %s, hashed %q", text(r), hashed)
	}
}

func TestPasswordsAreHashedByAFewAtATime(t *testing.T) {
	db := accounts(map[string]Fields{"u1": {{"password", "p"}}})
	s, _ := must(t, Options{Workers: 2}, []PassEntry{{Driver: "sql", DB: db, ImportAll: true}}, nil)
	var now, most atomic.Int64
	s.hashes.verify = func(string, string, string, string, bool) (bool, error) {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		now.Add(-1)
		return true, nil
	}
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() { s.Login(context.Background(), client, "u1", "p") })
	}
	wait.Wait()
	if most.Load() > 2 {
		t.Errorf("%d at a time", most.Load())
	}
}

func TestPasswordsAreNotInTheLogUnlessWanted(t *testing.T) {
	const secret = "correct horse"
	for _, c := range []struct{ verbose, want string }{
		{"", ""},
		{"no", ""},
		{"plain", "Password mismatch (given password: correct horse)"},
		{"plain:4", "Password mismatch (given password: corr)"},
		{"sha1", "Password mismatch (SHA1 of given password: 2f9e53523b62abc141a2b4d6019d23cba835dbd0)"},
		{"sha1:3", "Password mismatch (SHA1 of given password: 2f9)"},
	} {
		db := accounts(map[string]Fields{"u1": {{"password", "stored-secret"}, {"nologin", ""}}})
		s, log := must(t, Options{VerbosePasswords: c.verbose, Debug: true}, []PassEntry{{Driver: "sql", DB: db, ImportAll: true}}, nil)
		reply := s.Login(context.Background(), client, "u1", secret)
		if strings.Contains(log.String(), "stored-secret") || c.want == "" && strings.Contains(log.String(), "horse") {
			t.Errorf("%q: %s", c.verbose, log)
		}
		if !strings.Contains(log.String(), c.want) {
			t.Errorf("%q: got %s, want %s", c.verbose, log, c.want)
		}
		if strings.Contains(fmt.Sprintf("%+v", reply), secret) {
			t.Errorf("%q: the reply has it: %+v", c.verbose, reply)
		}
	}
}

func TestManyLoginsAtOnce(t *testing.T) {
	db := accounts(map[string]Fields{"u1": {{"password", "p"}, {"userdb_x", "1"}}, "u2": {{"password", "q"}, {"user", "u1"}}})
	db.key = []string{"user"}
	s, _ := must(t, Options{CacheSize: 2000, CacheTTL: 1 << 40, CacheNegativeTTL: 1 << 40},
		[]PassEntry{{Driver: "sql", DB: db, ImportAll: true}}, []UserEntry{{Driver: "prefetch", DB: Prefetch{}, ImportAll: true}, {Driver: "sql", DB: db, ImportAll: true}})
	var wait sync.WaitGroup
	for i := range 200 {
		wait.Go(func() {
			ctx := context.Background()
			if r := s.Login(ctx, client, "u1", "p"); !r.OK {
				t.Errorf("u1: %s", text(r))
			} else if u, err := s.Finish(ctx, r); err != nil || u.Fields.Value("x") != "1" {
				t.Errorf("u1: %+v, %v", u, err)
			}
			if r := s.Login(ctx, client, "u2", "q"); !r.OK || r.User != "u1" {
				t.Errorf("u2: %s", text(r))
			}
			if r := s.Login(ctx, client, fmt.Sprint("nosuch", i), "p"); r.OK {
				t.Errorf("nosuch: %s", text(r))
			}
			s.User(ctx, client, "u1")
			s.FlushCache("u1")
			s.LogStatistics()
		})
	}
	wait.Wait()
}
