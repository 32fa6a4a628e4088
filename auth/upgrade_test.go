package auth

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"dovetail/auth/scheme"
)

// settable is a list in which passwords can be changed.
type settable struct {
	*listed
	mu    sync.Mutex
	fails error
}

func (s *settable) Find(ctx context.Context, r *Request) (Fields, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listed.Find(ctx, r)
}

func (s *settable) Set(_ context.Context, r *Request, old, stored string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.fails != nil:
		return s.fails
	case s.users[r.User].Value("password") != old:
		return ErrChanged
	}
	s.users[r.User] = s.users[r.User].Set("password", stored)
	return nil
}

func hashed(t *testing.T, target string) string {
	t.Helper()
	to, err := scheme.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	made, err := to.Make("ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestUpgradeAtLogin(t *testing.T) {
	for _, tc := range []struct {
		name, field, password, stored, want, log string
		fails                                    error
	}{
		{"another scheme is replaced", "sha512", "secret", "{PLAIN}secret", "{SHA512}", "INFO: list(ann): Password is stored anew, from PLAIN to SHA512", nil},
		{"what has no scheme is replaced", "sha512", "secret", "secret", "{SHA512}", "INFO: list(ann): Password is stored anew, from PLAIN to SHA512", nil},
		{"the same stays", "SHA512.hex", "secret", hashed(t, "SHA512"), "{SHA512}", "", nil},
		{"a lower cost is replaced", "BLF-CRYPT:6", "secret", hashed(t, "BLF-CRYPT:4"), "{BLF-CRYPT}$2y$06$", "from BLF-CRYPT:4 to BLF-CRYPT:6", nil},
		{"a cost below the default is replaced", "BLF-CRYPT", "secret", hashed(t, "BLF-CRYPT:4"), "{BLF-CRYPT}$2y$05$", "from BLF-CRYPT:4 to BLF-CRYPT:5", nil},
		{"a higher cost stays", "BLF-CRYPT:5", "secret", hashed(t, "BLF-CRYPT:6"), "{BLF-CRYPT}$2y$06$", "", nil},
		{"CRYPT is bcrypt once", "CRYPT", "secret", hashed(t, "BLF-CRYPT:5"), "{BLF-CRYPT}", "", nil},
		{"a wrong password changes nothing", "sha512", "wrong", "{PLAIN}secret", "{PLAIN}secret", "", nil},
		{"what cannot be written is logged", "sha512", "secret", "{PLAIN}secret", "{PLAIN}secret", "ERROR: list(ann): Password is not stored anew, from PLAIN to SHA512: read-only file system", errors.New("read-only file system")},
		{"a new password is not overwritten", "sha512", "secret", "{PLAIN}secret", "{PLAIN}secret", "", ErrChanged},
		{"no such scheme", "sha513", "secret", "{PLAIN}secret", "{PLAIN}secret", "WARN: list(ann): upgrade_scheme=sha513 has no effect: Unknown scheme sha513", nil},
		{"no such cost", "BLF-CRYPT:40", "secret", "{PLAIN}secret", "{PLAIN}secret", "WARN: list(ann): upgrade_scheme=BLF-CRYPT:40 has no effect: ", nil},
	} {
		db := &settable{listed: accounts(map[string]Fields{"ann": {{"password", tc.stored}, {"upgrade_scheme", tc.field}}}), fails: tc.fails}
		log := &journal{}
		s, err := New(Options{Mechanisms: []string{"PLAIN"}, Log: slog.New(log), AllowWeak: true}, []PassEntry{{Driver: "list", DB: db, ImportAll: true}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		reply := s.Login(t.Context(), Request{Service: "imap"}, "ann", tc.password)
		if reply.OK != (tc.password == "secret") || reply.Fields.Has("upgrade_scheme") {
			t.Errorf("%s: %+v", tc.name, reply)
		}
		if got := db.users["ann"].Value("password"); !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: %s is stored", tc.name, got)
		}
		if !strings.Contains(log.String(), tc.log) || tc.log == "" && log.String() != "" || strings.Contains(log.String(), "secret") {
			t.Errorf("%s: the log is %s", tc.name, log)
		}
		if again := s.Login(t.Context(), Request{Service: "imap"}, "ann", "secret"); !again.OK {
			t.Errorf("%s: the next login fails", tc.name)
		}
		if db.fails == nil && strings.Count(log.String(), "\n") > 1 {
			t.Errorf("%s: after the next login the log is %s", tc.name, log)
		}
		s.Close()
	}
}

// A database that cannot be written is told of once, not at each login.
func TestUpgradeOfADatabaseThatCannotBeWritten(t *testing.T) {
	ann := Fields{{"password", "{PLAIN}secret"}, {"upgrade_scheme", "SHA512"}}
	bare := Fields{{"password_noscheme", "secret"}, {"upgrade_scheme", "SHA512"}}
	for name, db := range map[string]PassDB{
		"no way at all":    accounts(map[string]Fields{"ann": ann}),
		"not as it is":     &settable{listed: accounts(map[string]Fields{"ann": ann}), fails: ErrNoSet},
		"never a {SCHEME}": &settable{listed: accounts(map[string]Fields{"ann": bare})},
	} {
		log := &journal{}
		s, err := New(Options{Mechanisms: []string{"PLAIN"}, Log: slog.New(log)}, []PassEntry{{Driver: "list", DB: db, ImportAll: true}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if reply := s.Login(t.Context(), Request{Service: "imap"}, "ann", "secret"); !reply.OK {
				t.Errorf("%s: %+v", name, reply)
			}
		}
		if got := log.String(); strings.Count(got, "has no effect: passwords of this database cannot be changed") != 1 {
			t.Errorf("%s: the log is %q", name, got)
		}
		s.Close()
	}
}

// Of many logins of one user at the same time, one stores the password; all succeed.
func TestUpgradeByManyLoginsAtOnce(t *testing.T) {
	db := &settable{listed: accounts(map[string]Fields{"ann": {{"password", "{PLAIN}secret"}, {"upgrade_scheme", "SSHA512"}}})}
	log := &journal{}
	s, err := New(Options{Mechanisms: []string{"PLAIN"}, Log: slog.New(log)}, []PassEntry{{Driver: "list", DB: db, ImportAll: true}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if reply := s.Login(t.Context(), Request{Service: "imap"}, "ann", "secret"); !reply.OK {
				t.Errorf("%+v", reply)
			}
		})
	}
	all.Wait()
	if got := strings.Count(log.String(), "Password is stored anew"); got != 1 || strings.Contains(log.String(), "ERROR") {
		t.Errorf("stored %d times: %s", got, log)
	}
}
