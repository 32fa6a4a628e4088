package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/auth/pam"
	"dovetail/auth/passwdfile"
)

// journal is a log with a level and a text in each line.
type journal struct {
	mu *sync.Mutex // guards to
	to *bytes.Buffer
}

func (j journal) Enabled(context.Context, slog.Level) bool { return true }
func (j journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j journal) WithGroup(string) slog.Handler            { return j }
func (j journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	level := r.Level.String()
	_, err := fmt.Fprintf(j.to, "%s: %s\n", level[:1]+strings.ToLower(level[1:]), r.Message)
	return err
}

// service asks one PAM service.
func service(t testing.TB, m *authtest.Machine, name string, log io.Writer) *auth.Service {
	t.Helper()
	o := auth.Options{Log: slog.New(slog.DiscardHandler), Verbose: true}
	if to, ok := log.(*bytes.Buffer); ok {
		o.Log = slog.New(journal{new(sync.Mutex), to})
	}
	s, err := auth.New(o, []auth.PassEntry{{Driver: "pam", DB: open(t, m, name, nil), ImportAll: true}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The whole line, as Dovecot 2.3.19.1 logs it behind the name of its worker, and whether fail2ban bans for it.
func TestR168LinesOfTheLog(t *testing.T) {
	m := machine(t)
	for _, tc := range []struct {
		name, service, user, password string
		code                          auth.Code
		line                          string
		bans                          bool
	}{
		{"right password", "unix", "ann", "secret", "", "", false},
		{"wrong password", "unix", "ann", "wrong", "", "Info: pam(ann,192.0.2.7,<abc>): " + mismatch, true},
		{"unknown user", "unix", "nosuch", "secret", "", "Info: pam(nosuch,192.0.2.7,<abc>): unknown user", true},
		{"account phase refuses", "noaccount", "ann", "secret", "", "Error: pam(ann,192.0.2.7,<abc>): pam_acct_mgmt() failed: Authentication failure", false},
		{"account expired", "unix", "gone", "secret", auth.CodePassExpired, "Error: pam(gone,192.0.2.7,<abc>): pam_acct_mgmt() failed: User account has expired", false},
		{"password must be changed", "unix", "stale", "secret", auth.CodePassExpired, "Error: pam(stale,192.0.2.7,<abc>): " + outdated, false},
		{"service file missing", "nosuchfile", "ann", "secret", "",
			"Error: pam(ann,192.0.2.7,<abc>): pam_authenticate() failed: Authentication failure (/etc/pam.d/nosuchfile missing?)", false},
		{"a module cannot answer", "lost", "ann", "secret", auth.CodeTempFail,
			"Error: pam(ann,192.0.2.7,<abc>): pam_authenticate() failed: Authentication service cannot retrieve authentication info", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer
			r := auth.Request{Service: "imap", Session: "abc", Remote: netip.MustParseAddrPort("192.0.2.7:4711")}
			reply := service(t, m, tc.service, &log).Login(context.Background(), r, tc.user, tc.password)
			if reply.OK != (tc.line == "") || reply.Code != tc.code {
				t.Errorf("reply %+v", reply)
			}
			line := strings.TrimSuffix(log.String(), "\n")
			if line != tc.line {
				t.Errorf("logged %q, want %q", line, tc.line)
			}
			prefixes := []string{"Nov 21 15:00:00 auth: ", "Nov 21 15:00:00 host dovecot: auth: ", "Nov 21 15:00:00 auth-worker(12): "}
			for i, p := range prefixes {
				prefixes[i] = p + line
			}
			if matched := authtest.Fail2ban(t, "normal", prefixes...); tc.bans && len(matched) != len(prefixes) || !tc.bans && len(matched) > 0 {
				t.Errorf("fail2ban matches %q", matched)
			}
		})
	}
}

// While as many logins wait for a module as there may be helpers, another database answers at once, and a login by PAM
// beyond them waits for its turn.
func TestR463SlowModulesDelayNobodyElse(t *testing.T) {
	m := machine(t)
	begun := waiting(t, m)
	const slow = pam.DefaultWorkers
	db := open(t, m, "wait", nil)
	list := filepath.Join(m.Root, "users")
	m.File("users", "quick:{PLAIN}secret\n")
	files, err := passwdfile.NewFiles(template(t, list), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := auth.New(auth.Options{Log: slog.New(slog.DiscardHandler)}, []auth.PassEntry{
		{Driver: "passwd-file", DB: passwdfile.NewPassDB(passwdfile.Options{Files: files}), ImportAll: true},
		{Driver: "pam", DB: db, ImportAll: true},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for range slow + 5 {
		wg.Go(func() {
			if reply := s.Login(ctx, auth.Request{Service: "imap"}, "ann", "x"); reply.OK {
				t.Error("nobody has let this login in")
			}
		})
	}
	const word = "begun\n"
	if _, err := io.ReadFull(begun, make([]byte, slow*len(word))); err != nil {
		t.Fatal(err)
	}
	// All helpers are waiting now, and nothing but what this test does can end that.
	for range 100 {
		if reply := s.Login(context.Background(), auth.Request{Service: "imap"}, "quick", "secret"); !reply.OK {
			t.Fatalf("%+v", reply)
		}
	}
	cancel()
	wg.Wait()
}

// BenchmarkPAM is logins by pam_permit, one after the other and as many at once as there are processors.
func BenchmarkPAM(b *testing.B) {
	m := machine(b)
	for _, requests := range []int{0, 100, 1} {
		db := open(b, m, "permit", func(o *pam.Options) { o.MaxRequests = requests })
		name := fmt.Sprintf("max_requests=%d", requests)
		login := func() error {
			_, err := db.Verify(context.Background(), request("ann"), "secret")
			return err
		}
		b.Run(name+"/one", func(b *testing.B) {
			for b.Loop() {
				if err := login(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/many", func(b *testing.B) {
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := login(); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
