package authconf

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
)

// forms are those that a line of the log has in a file, by syslog, and by a service manager that adds nothing.
var forms = []string{"Nov 21 15:00:00 auth: %s: %s", "Nov 21 15:00:00 host dovecot: auth: %s: %s", "Nov 21 15:00:00 host dovecot[4711]: auth: %s: %s"}

// What databases log of a wrong password or an unknown user bans the client's address, and nothing else does.
func TestFail2banTakesFailuresForFailures(t *testing.T) {
	const account = "root"
	for _, tc := range []struct {
		driver, args string
		unknown      bool // it knows who is unknown
	}{
		{"passwd-file", "args = scheme=PLAIN DIR/users", true},
		{"static", "args = password=secret", false},
		{"passwd", "", true},
	} {
		t.Run(tc.driver, func(t *testing.T) {
			s := newSite(t, fmt.Sprintf("passdb {\n  driver = %s\n  %s\n}\nauth_verbose = yes\nauth_failure_delay = 0\n", tc.driver, tc.args),
				map[string]string{"users": account + ":secret\n"})
			service := s.must()
			for _, remote := range []string{"192.0.2.7:4711", "[2001:db8::7]:4711"} {
				r := auth.Request{Service: "imap", Session: "abc", Remote: netip.MustParseAddrPort(remote)}
				service.Login(context.Background(), r, account, "wrong")
				expect(t, s, true)
				if tc.unknown {
					service.Login(context.Background(), r, "no.such.user@example.com", "wrong")
					expect(t, s, true)
				}
				if reply := service.Login(context.Background(), r, account, "secret"); !reply.OK && tc.driver != "passwd" {
					t.Errorf("%+v\n%s", reply, s.log.String())
				} else if reply.OK {
					expect(t, s, false)
				}
				s.log.Reset()
			}
		})
	}
}

// expect runs the filter over what was logged since the last time.
func expect(t *testing.T, s *site, failure bool) {
	t.Helper()
	defer s.log.Reset()
	var lines []string
	for line := range strings.Lines(s.log.String()) {
		level, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		for _, form := range forms {
			lines = append(lines, fmt.Sprintf(form, strings.ToUpper(level[:1])+strings.ToLower(level[1:]), text))
		}
	}
	matched := authtest.Fail2ban(t, "normal", lines...)
	for _, form := range forms {
		prefix, _, _ := strings.Cut(form, "%s")
		if got := slices.ContainsFunc(matched, func(l string) bool { return strings.HasPrefix(l, prefix) }); got != failure {
			t.Errorf("failure %v, but fail2ban matches %q of\n%s", failure, matched, strings.Join(lines, "\n"))
			return
		}
	}
}
