package auth

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dovetail/auth/scheme"
	"dovetail/formats/conf/variable"
)

func template24(t testing.TB, text string) *variable.Template {
	t.Helper()
	parsed, err := variable.Parse24(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestFieldsOf24AreMadeOfWhatTheDatabaseGave(t *testing.T) {
	stored := map[string]Fields{"u1": {{"secret", "{PLAIN}p"}, {"dept", "it"}}}
	fields := []FieldTemplate{{"password", template24(t, "%{my_db:secret}")}, {"fa", template24(t, "%{my_db:dept | upper}")},
		{"fb", template24(t, "%{my_db:nosuch | default('none')}")}, {"userdb_home", template24(t, "/h/%{user}")}, {"dept:default", template24(t, "x")}}
	ctx := context.Background()
	for importAll, want := range map[bool]string{false: "ok user=u1 fa=IT fb=none dept=x", true: "ok user=u1 secret={PLAIN}p dept=it fa=IT fb=none"} {
		s, log := must(t, Options{}, []PassEntry{{Driver: "my-db", DB: accounts(stored), FieldsFirst: true, ImportAll: importAll, Fields: fields}},
			[]UserEntry{{Driver: "prefetch", DB: Prefetch{}, ImportAll: true}})
		r := s.Login(ctx, client, "u1", "p")
		if got := text(r); got != want {
			t.Errorf("import_all %v: got %s, want %s\n%s", importAll, got, want, log)
		}
		if u, err := s.Finish(ctx, r); err != nil || u.Home != "/h/u1" {
			t.Errorf("import_all %v: %+v, %v", importAll, u, err)
		}
	}
	users := []FieldTemplate{{"home", template24(t, "/h/%{my_db:dept}/%{user}")}, {"uid", template24(t, "1000")}}
	for importAll, want := range map[bool]string{false: "home=/h/it/u1 uid=1000", true: "secret={PLAIN}p dept=it home=/h/it/u1 uid=1000"} {
		s, log := must(t, Options{}, nil, []UserEntry{{Driver: "my-db", DB: accounts(stored), FieldsFirst: true, ImportAll: importAll, Fields: users}})
		u, err := s.User(ctx, client, "u1")
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		var words []string
		for _, f := range u.Fields {
			words = append(words, f.Key+"="+f.Value)
		}
		if got := strings.Join(words, " "); got != want {
			t.Errorf("import_all %v: got %s, want %s", importAll, got, want)
		}
	}
}

func TestWhatTheCacheKeepsDependsOnTheVariablesOfItsFields(t *testing.T) {
	db := accounts(map[string]Fields{"u1": {{"password", "p"}}})
	db.key = []string{"user"}
	s, _ := must(t, Options{CacheSize: 1 << 20, CacheTTL: time.Hour, CacheNegativeTTL: time.Hour},
		[]PassEntry{{Driver: "sql", DB: db, ImportAll: true, Defaults: []FieldTemplate{{"for", template(t, "%s")}}}},
		[]UserEntry{{Driver: "sql", DB: db, ImportAll: true, Fields: []FieldTemplate{{"home", template(t, "/h/%s/%u")}}}})
	ctx := context.Background()
	for range 2 {
		for _, service := range []string{"imap", "pop3"} {
			r := s.Login(ctx, Request{Service: service}, "u1", "p")
			if got, want := text(r), "ok user=u1 for="+service; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if u, err := s.Finish(ctx, r); err != nil || u.Home != "/h/"+service+"/u1" {
				t.Errorf("%s: %+v, %v", service, u, err)
			}
		}
	}
	if n := db.asked.Load(); n != 4 {
		t.Errorf("asked %d times, want once for each of both and both services", n)
	}
}

func TestWeakSchemesAreRefusedByPolicyWithOneLine(t *testing.T) {
	db := accounts(map[string]Fields{"u1": {{"password", "{PLAIN-MD5}83878c91171338902e0fe0fb97a8c47a"}}})
	for allow, want := range map[bool]string{true: "ok user=u1", false: "no"} {
		s, log := must(t, Options{AllowWeak: allow}, []PassEntry{{Driver: "sql", DB: db, ImportAll: true}}, nil)
		if got := text(s.Login(context.Background(), client, "u1", "p")); got != want {
			t.Errorf("allowed %v: got %s", allow, got)
		}
		line := "ERROR: sql(u1,192.0.2.7,<s1>): Weak password scheme 'PLAIN-MD5' used and refused (Set auth_allow_weak_schemes=yes to allow)\n"
		if (log.String() == line) == allow {
			t.Errorf("allowed %v: log %s", allow, log)
		}
	}
}

// judge is a Policy that says what a test wants and writes down what it is asked.
type judge struct {
	before, after Verdict
	said          []string
}

func (j *judge) Before(_ context.Context, r *Request) Verdict {
	j.said = append(j.said, "before "+r.User+" "+r.Password)
	return j.before
}
func (j *judge) After(_ context.Context, r *Request) Verdict {
	j.said = append(j.said, "after "+r.User)
	return j.after
}
func (j *judge) Report(_ context.Context, r *Request, success, refused bool) {
	j.said = append(j.said, fmt.Sprint("report ", r.User, " ", success, " ", refused))
}

func TestThePolicyIsAskedBeforeAndAfterAndToldTheEnd(t *testing.T) {
	for _, c := range []struct {
		name, password string
		before, after  Verdict
		want, reason   string
		said           string
		asked          int64
	}{
		{"both have nothing against it", "p", Verdict{}, Verdict{}, "ok user=u1", "", "before u1 p, after u1, report u1 true false", 1},
		{"a wrong password", "x", Verdict{}, Verdict{}, "no", "", "before u1 x, report u1 false false", 1},
		{"refused before", "p", Verdict{Refuse: true, Reason: "Not you"}, Verdict{}, "no", "Not you", "before u1 p, report u1 false true", 0},
		{"refused after", "p", Verdict{}, Verdict{Refuse: true, Reason: "Not now"}, "no", "Not now", "before u1 p, after u1, report u1 false true", 1},
		{"made to wait", "p", Verdict{Wait: 7 * time.Second}, Verdict{Wait: time.Hour}, "ok user=u1", "", "before u1 p, after u1, report u1 true false", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := accounts(map[string]Fields{"u1": {{"password", "p"}}})
				j := &judge{before: c.before, after: c.after}
				s, _ := must(t, Options{Policy: j, Mechanisms: []string{"PLAIN"}}, []PassEntry{{Driver: "sql", DB: db, ImportAll: true}}, nil)
				begun := time.Now()
				x, err := s.Begin(client, "PLAIN")
				if err != nil {
					t.Fatal(err)
				}
				_, r := x.Step(t.Context(), []byte("\x00u1\x00"+c.password))
				if got := text(r); got != c.want || r.Reason != c.reason || db.asked.Load() != c.asked {
					t.Errorf("got %s, %q, asked %d", got, r.Reason, db.asked.Load())
				}
				if got := strings.Join(j.said, ", "); got != c.said {
					t.Errorf("said %s, want %s", got, c.said)
				}
				if took := time.Since(begun); took != c.before.Wait {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestRulesThatCannotBeAreRefused(t *testing.T) {
	db := accounts(nil)
	for _, c := range []struct {
		name string
		o    Options
		pass []PassEntry
		user []UserEntry
		want string
	}{
		{"no rule", Options{}, []PassEntry{{Driver: "sql", DB: db, Success: "maybe"}}, nil, `passdb sql: Invalid result_success "maybe"`},
		{"no rule of a userdb", Options{}, nil, []UserEntry{{Driver: "sql", DB: db, Failure: "maybe"}}, `userdb sql: Invalid result_failure "maybe"`},
		{"skip of the other kind", Options{}, []PassEntry{{Driver: "sql", DB: db, Skip: SkipFound}}, nil, `passdb sql: Invalid skip "found"`},
		{"skip of the other kind of a userdb", Options{}, nil, []UserEntry{{Driver: "sql", DB: db, Skip: SkipAuthenticated}}, `userdb sql: Invalid skip "authenticated"`},
		{"no database", Options{}, []PassEntry{{Driver: "sql"}}, nil, "passdb sql: no database"},
		{"a master that is denied", Options{}, []PassEntry{{Driver: "sql", DB: db, Master: true, Deny: true}}, nil, "Master passdb can't have deny=yes"},
		{"a master with nobody behind it", Options{}, []PassEntry{{Driver: "sql", DB: db, Master: true, Success: Continue}}, nil, "Master passdb can't have pass=yes if there are no passdbs"},
		{"an unknown variable in the format", Options{Format: template(t, "%{nosuch}")}, nil, nil, "auth_username_format: "},
	} {
		if _, err := New(c.o, c.pass, c.user); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func BenchmarkLogin(b *testing.B) {
	for _, c := range []struct{ name, stored string }{
		{"PLAIN", "{PLAIN}p"},
		{"SSHA256", "{SSHA256}"},
		{"SHA512-CRYPT", "{SHA512-CRYPT}"},
	} {
		for _, size := range []uint64{0, 1 << 20} {
			b.Run(fmt.Sprint(c.name, " cache ", size), func(b *testing.B) {
				stored := c.stored
				if stored != "{PLAIN}p" {
					stored = made(b, strings.Trim(stored, "{}"))
				}
				db := accounts(map[string]Fields{"u1": {{"password", stored}}})
				db.key = []string{"user"}
				s, err := New(Options{Chars: "u1", AllowWeak: true, Format: template(b, "%Lu"), CacheSize: size, CacheTTL: time.Hour}, []PassEntry{{Driver: "sql", DB: db, ImportAll: true}}, nil)
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if r := s.Login(context.Background(), client, "u1", "p"); !r.OK {
						b.Fatal(text(r))
					}
				}
			})
		}
	}
}

// made is a stored password that fits "p".
func made(b *testing.B, name string) string {
	b.Helper()
	stored, err := scheme.Make(name, "u1", "p", scheme.MakeOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return stored
}

// BenchmarkRefusal shows whether an unknown user takes the time of a wrong password.
func BenchmarkRefusal(b *testing.B) {
	for _, name := range []string{"SHA512-CRYPT", "BLF-CRYPT", "ARGON2ID"} {
		db := accounts(map[string]Fields{"u1": {{"password", made(b, name)}}})
		s, err := New(Options{Log: slog.New(slog.DiscardHandler)}, []PassEntry{{Driver: "sql", DB: db, ImportAll: true, Scheme: name}}, nil)
		if err != nil {
			b.Fatal(err)
		}
		for kind, user := range map[string]string{"wrong": "u1", "unknown": "nosuch"} {
			b.Run(name+" "+kind, func(b *testing.B) {
				for b.Loop() {
					if r := s.Login(context.Background(), client, user, "x"); r.OK {
						b.Fatal(text(r))
					}
				}
			})
		}
	}
}
