package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/auth/pam"
	"dovetail/auth/pam/wire"
	"dovetail/formats/conf/variable"
)

// The test's program is the helper when it is called so.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == wire.Program {
		main()
		return
	}
	os.Exit(m.Run())
}

// self is this program under the helper's name.
func self(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), wire.Program)
	if err := os.Symlink(exe, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// secret is "secret" by SHA-256 of crypt, in 1000 rounds.
const secret = "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2"

// machine has users in every state, and services.
func machine(t testing.TB) *authtest.Machine {
	t.Helper()
	m := authtest.NewMachine(t)
	for i, u := range []struct{ name, shadow string }{
		{"ann", secret + ":19000::::::"},
		{"o'brien", secret + ":19000::::::"},
		{"locked", "!" + secret + ":19000::::::"},
		{"starred", "*:19000::::::"},
		{"gone", secret + ":19000:::::100:"},          // the account ended on the 100th day of 1970
		{"stale", secret + ":0::::::"},                // must change the password now
		{"aged", secret + ":10000:0:10:7:::"},         // is older than ten days
		{"dead", secret + ":10000:0:10:7:10::"},       // and has not been changed in ten more
		{"open", ":19000::::::"},                      // no password at all
		{"nopass", "x:19000::::::"},                   // none that can be
		{"weird", "$9$nothing$like$it:19000::::::::"}, // unknown method, too many fields
	} {
		m.User(fmt.Sprintf("%s:x:%d:%d::/home/%s:/bin/sh", u.name, 20000+i, 20000+i, u.name), u.shadow)
	}
	const unix = "auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n"
	for name, text := range map[string]string{
		"unix":      unix,
		"name-imap": "auth required pam_permit.so\naccount required pam_permit.so\n",
		"permit":    "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
		"deny":      "auth required pam_deny.so\naccount required pam_permit.so\n",
		"noaccount": "auth required pam_permit.so\naccount required pam_deny.so\n",
		"nosession": "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_deny.so\n",
		"nocred":    "auth required pam_debug.so cred=cred_err\naccount required pam_permit.so\n",
		"lost":      "auth required pam_debug.so auth=authinfo_unavail\naccount required pam_permit.so\n",
		"many":      "auth required pam_debug.so auth=maxtries\naccount required pam_permit.so\n",
		"nomodule":  "auth required pam_nosuchmodule.so\naccount required pam_permit.so\n",
		"echo":      "auth optional pam_echo.so Come back on Monday, %u from %H on %t\nauth required pam_deny.so\naccount required pam_permit.so\n",
		"other":     "auth required pam_deny.so\naccount required pam_deny.so\nsession required pam_deny.so\n",
	} {
		m.Etc("pam.d/"+name, text)
	}
	return m
}

// open gives the database with a helper in the machine.
func open(t testing.TB, m *authtest.Machine, service string, change func(*pam.Options)) *pam.PassDB {
	t.Helper()
	o := pam.Options{Service: template(t, service), Helper: m.Program(self(t))}
	if change != nil {
		change(&o)
	}
	db, err := pam.NewPassDB(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func template(t testing.TB, text string) *variable.Template {
	t.Helper()
	parsed, err := variable.Parse23(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func request(user string) *auth.Request {
	return &auth.Request{Service: "imap", User: user, Remote: netip.MustParseAddrPort("192.0.2.7:4711")}
}

const (
	mismatch = "pam_authenticate() failed: Authentication failure (Password mismatch?)"
	outdated = "pam_acct_mgmt() failed: Authentication token is no longer valid; new one required"
)

// results are those of Dovecot 2.3.19.1 beside the same files.
var results = []struct {
	name, service, user, password string
	err                           error // nil: may log in
	text                          string
	level                         slog.Level
}{
	{"right password", "unix", "ann", "secret", nil, "", 0},
	{"wrong password", "unix", "ann", "wrong", auth.ErrMismatch, mismatch, slog.LevelInfo},
	{"empty password", "unix", "ann", "", auth.ErrMismatch, mismatch, slog.LevelInfo},
	{"name with a quote", "unix", "o'brien", "secret", nil, "", 0},
	{"locked account", "unix", "locked", "secret", auth.ErrMismatch, mismatch, slog.LevelInfo},
	{"account that never had a password", "unix", "starred", "*", auth.ErrMismatch, mismatch, slog.LevelInfo},
	{"unknown user", "unix", "nosuch", "secret", auth.ErrUnknown, "unknown user", slog.LevelInfo},
	{"account expired", "unix", "gone", "secret", auth.ErrExpired, "pam_acct_mgmt() failed: User account has expired", slog.LevelError},
	{"account expired and wrong password", "unix", "gone", "wrong", auth.ErrMismatch, mismatch, slog.LevelInfo},
	{"password must be changed", "unix", "stale", "secret", auth.ErrExpired, outdated, slog.LevelError},
	{"password too old", "unix", "aged", "secret", auth.ErrExpired, outdated, slog.LevelError},
	{"password much too old", "unix", "dead", "secret", auth.ErrMismatch, "pam_acct_mgmt() failed: Authentication token expired", slog.LevelError},
	{"empty stored password", "unix", "open", "", auth.ErrMismatch, mismatch, slog.LevelInfo},
	{"stored password that is none", "unix", "nopass", "x", auth.ErrMismatch, mismatch, slog.LevelInfo},
	{"permit", "permit", "anybody", "anything", nil, "", 0},
	{"permit with the empty password", "permit", "anybody", "", nil, "", 0},
	{"deny", "deny", "ann", "secret", auth.ErrMismatch, mismatch, slog.LevelInfo},
	{"account phase refuses", "noaccount", "ann", "secret", auth.ErrMismatch, "pam_acct_mgmt() failed: Authentication failure", slog.LevelError},
	{"too many attempts", "many", "ann", "secret", auth.ErrMismatch, "pam_authenticate() failed: Have exhausted maximum number of retries for service", slog.LevelInfo},
	{"service file missing", "nosuchfile", "ann", "secret", auth.ErrMismatch, "pam_authenticate() failed: Authentication failure (/etc/pam.d/nosuchfile missing?)", slog.LevelError},
	{"template of the service", "name-%s", "ann", "", nil, "", 0},
}

func TestR138_R167PAMResults(t *testing.T) {
	m := machine(t)
	for _, tc := range results {
		t.Run(tc.name, func(t *testing.T) {
			db := open(t, m, tc.service, nil)
			fields, err := db.Verify(context.Background(), request(tc.user), tc.password)
			if fields != nil {
				t.Errorf("fields %v", fields)
			}
			check(t, err, tc.err, tc.text, tc.level)
		})
	}
}

func check(t *testing.T, err, want error, text string, level slog.Level) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return
	}
	refusal, ok := errors.AsType[*auth.Refusal](err)
	if !ok || !errors.Is(err, want) || refusal.Text != text || refusal.Level != level {
		t.Fatalf("got %#v (%v), want %v with %q at %v", err, err, want, text, level)
	}
}

func TestPAMOptions(t *testing.T) {
	m := machine(t)
	everything := func(o *pam.Options) { o.Session, o.SetCred, o.ShowFailure = true, true, true }
	for _, tc := range []struct {
		name, service string
		change        func(*pam.Options)
		err           error
		text, reason  string
	}{
		{"all phases", "permit", everything, nil, "", ""},
		{"a session is not opened unless asked for", "nosession", nil, nil, "", ""},
		{"a session is refused", "nosession", everything, auth.ErrMismatch, "pam_open_session() failed: Cannot make/remove an entry for the specified session", ""},
		{"credentials are not set unless asked for", "nocred", nil, nil, "", ""},
		{"credentials fail", "nocred", everything, auth.ErrMismatch, "pam_setcred() failed: Failure setting user credentials", "cred=cred_err"},
		{"a prompt is nothing to show", "unix", everything, auth.ErrMismatch, mismatch, ""},
		{"nothing is shown unless asked for", "echo", nil, auth.ErrMismatch, mismatch, ""},
		{"items and messages of modules", "echo", everything, auth.ErrMismatch, mismatch, "Come back on Monday, ann from 192.0.2.7 on dovecot"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fields, err := open(t, m, tc.service, tc.change).Verify(context.Background(), request("ann"), "wrong")
			level := slog.LevelError
			if tc.text == mismatch {
				level = slog.LevelInfo
			}
			check(t, err, tc.err, tc.text, level)
			if got := fields.Value("reason"); got != tc.reason {
				t.Errorf("reason %q, want %q", got, tc.reason)
			}
		})
	}
}

// What is not the user's fault is no wrong password.
func TestPAMUnavailable(t *testing.T) {
	m := machine(t)
	for _, tc := range []struct{ service, text string }{
		{"lost", "pam_authenticate() failed: Authentication service cannot retrieve authentication info"},
		{"nomodule", "pam_authenticate() failed: Module is unknown"},
	} {
		_, err := open(t, m, tc.service, nil).Verify(context.Background(), request("ann"), "secret")
		for _, no := range []error{auth.ErrMismatch, auth.ErrUnknown, auth.ErrExpired, auth.ErrDisabled} {
			if err == nil || errors.Is(err, no) || err.Error() != tc.text {
				t.Errorf("%s: %v", tc.service, err)
			}
		}
	}
}
