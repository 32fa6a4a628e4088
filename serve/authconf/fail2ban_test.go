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
var forms = []string{"%s auth: %s: %s", "%s host dovecot: auth: %s: %s", "%s host dovecot[4711]: auth: %s: %s"}

// attemptsLogged are the lines that attempts have logged, each attempt at a minute of its own, by which the filter's
// answer is told apart: one run of the filter judges all of them, for it takes seconds to start.
type attemptsLogged struct {
	lines []string
	ban   []bool // of each attempt
}

func (a *attemptsLogged) minute(n int) string { return fmt.Sprintf("Nov 21 15:%02d:00", n) }

// take has what was logged since the last time.
func (a *attemptsLogged) take(s *site, ban bool) {
	for line := range strings.Lines(s.log.String()) {
		level, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		for _, form := range forms {
			a.lines = append(a.lines, fmt.Sprintf(form, a.minute(len(a.ban)), strings.ToUpper(level[:1])+strings.ToLower(level[1:]), text))
		}
	}
	a.ban = append(a.ban, ban)
	s.log.Reset()
}

// What databases log of a wrong password or an unknown user bans the client's address, and nothing else does.
func TestFail2banTakesFailuresForFailures(t *testing.T) {
	const account = "root"
	logged := &attemptsLogged{}
	for _, tc := range []struct {
		driver, args string
		unknown      bool // it knows who is unknown
	}{
		{"passwd-file", "args = scheme=PLAIN DIR/users", true},
		{"static", "args = password=secret", false},
		{"passwd", "", true},
	} {
		s := newSite(t, fmt.Sprintf("passdb {\n  driver = %s\n  %s\n}\nauth_verbose = yes\nauth_failure_delay = 0\n", tc.driver, tc.args),
			map[string]string{"users": account + ":secret\n"})
		service := s.must()
		for _, remote := range []string{"192.0.2.7:4711", "[2001:db8::7]:4711"} {
			r := auth.Request{Service: "imap", Session: "abc", Remote: netip.MustParseAddrPort(remote), NoPenalty: true}
			service.Login(context.Background(), r, account, "wrong")
			logged.take(s, true)
			if tc.unknown {
				service.Login(context.Background(), r, "no.such.user@example.com", "wrong")
				logged.take(s, true)
			}
			if reply := service.Login(context.Background(), r, account, "secret"); !reply.OK && tc.driver != "passwd" {
				t.Errorf("%+v\n%s", reply, s.log.String())
			} else if reply.OK {
				logged.take(s, false)
			}
			s.log.Reset()
		}
	}
	logged.judge(t)
}

// judge runs the filter.
func (a *attemptsLogged) judge(t *testing.T) {
	t.Helper()
	matched := authtest.Fail2ban(t, "normal", a.lines...)
	for n, ban := range a.ban {
		for _, form := range forms {
			prefix, _, _ := strings.Cut(fmt.Sprintf(form, a.minute(n), "\x00", ""), "\x00")
			at := func(l string) bool { return strings.HasPrefix(l, prefix) }
			if got := slices.ContainsFunc(matched, at); got != ban {
				of := slices.DeleteFunc(slices.Clone(a.lines), func(l string) bool { return !at(l) })
				t.Errorf("a failure %v, but fail2ban matches %v of\n%s", ban, got, strings.Join(of, "\n"))
			}
		}
	}
}
