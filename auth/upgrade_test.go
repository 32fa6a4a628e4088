package auth

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

type settable struct {
	*listed
	fails bool
}

func (s *settable) Set(_ context.Context, r *Request, stored string) error {
	if s.fails {
		return errors.New("read-only file system")
	}
	s.users[r.User] = s.users[r.User].Set("password", stored)
	return nil
}

func TestUpgradeAtLogin(t *testing.T) {
	for _, tc := range []struct {
		name, password, stored, want, log string
		fails                             bool
	}{
		{"another scheme is replaced", "secret", "{PLAIN}secret", "{SSHA512}", "INFO: list(ann): Password is stored anew, from PLAIN to SSHA512", false},
		{"the same stays", "secret", "{SSHA512}PtPfdCQDmvDzaffOBsIiHq+QH2FGgw+Atkg4eejeKlMudV07NrssU2mpHKrMUKgNDIOuuaV/x2NI9ie4q9eo8yEIZZI=", "{SSHA512}PtPf", "", false},
		{"a wrong password changes nothing", "wrong", "{PLAIN}secret", "{PLAIN}secret", "", false},
		{"what cannot be written is logged", "secret", "{PLAIN}secret", "{PLAIN}secret", "ERROR: list(ann): Password is not stored anew, from PLAIN to SSHA512: read-only file system", true},
	} {
		db := &settable{accounts(map[string]Fields{"ann": {{"password", tc.stored}, {"upgrade_scheme", "ssha512"}}}), tc.fails}
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
		if !strings.Contains(log.String(), tc.log) || strings.Contains(log.String(), "secret") {
			t.Errorf("%s: the log is %s", tc.name, log)
		}
		if again := s.Login(t.Context(), Request{Service: "imap"}, "ann", "secret"); !again.OK {
			t.Errorf("%s: the next login fails", tc.name)
		}
		s.Close()
	}
}
