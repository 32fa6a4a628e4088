package couriersite

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/formatstest/samples"
)

// Serve starts a daemon for all users of the site, with the passwords of the truth. location is mail_location for a user
// whose Maildir is MAILDIR and whose address is %u; "": the Maildir itself, in place.
func (s *Site) Serve(location string, settings ...string) *dovecot.Daemon {
	s.t.Helper()
	if location == "" {
		location = "maildir:MAILDIR"
	}
	uid, gid := IDs()
	var lines strings.Builder
	for _, name := range s.Names() {
		mail := strings.ReplaceAll(location, "MAILDIR", s.Maildir(name))
		fmt.Fprintf(&lines, "%s:{PLAIN}%s:%d:%d::%s::userdb_mail=%s\n", name, s.Users[name].Password, uid, gid, filepath.Dir(s.Maildir(name)), mail)
	}
	file := filepath.Join(filepath.Dir(s.Root), "passwd")
	if err := os.WriteFile(file, []byte(lines.String()), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return dovecot.Serve(s.t, file, settings...)
}

// Result is what the checker found: counters of what is as it was and of what is lost, by kind.
type Result struct {
	OK     map[string]int `json:"ok"`
	Loss   map[string]int `json:"loss"`
	Detail [][]any        `json:"detail"` // user, kind, number, text

	Users map[string]struct {
		Loss map[string]int `json:"loss"`
	} `json:"users"`
}

// Perfect counts the users of whom nothing is lost.
func (r *Result) Perfect() int {
	n := 0
	for _, u := range r.Users {
		if len(u.Loss) == 0 {
			n++
		}
	}
	return n
}

// NeedChecker skips the test where the checker cannot run. Tests that ask it in a subtest begin with this.
func NeedChecker(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("the checker needs python3, which is not installed")
	}
}

// Check runs the checker against a daemon, for these users or for all. It skips the test where Python is missing.
func (s *Site) Check(d *dovecot.Daemon, users ...string) *Result {
	s.t.Helper()
	return s.CheckAt(d.IMAPAddr, d.POPAddr, d.Log, users...)
}

// CheckAt is Check for a server at these addresses.
func (s *Site) CheckAt(imap, pop string, log func() string, users ...string) *Result {
	s.t.Helper()
	NeedChecker(s.t)
	report := filepath.Join(s.t.TempDir(), "report.json")
	args := []string{filepath.Join(samples.Folder(), "courier-site", "courier-check.py"),
		"--truth", s.truthFile, "--imap", imap, "--pop3", pop, "--json", report}
	for _, user := range users {
		args = append(args, "--user", user)
	}
	out, err := exec.Command("python3", args...).CombinedOutput()
	b, readErr := os.ReadFile(report)
	if readErr != nil {
		s.t.Fatalf("checker: %v\n%s\n%s", err, out, log())
	}
	var r Result
	if err := json.Unmarshal(b, &r); err != nil {
		s.t.Fatal(err)
	}
	return &r
}

// MustBeWhole fails the test if the checker finds any loss for any user, or fewer users than there are.
func (s *Site) MustBeWhole(when string, d *dovecot.Daemon) {
	s.t.Helper()
	r := s.Check(d)
	if len(r.Loss) > 0 || r.Perfect() != len(s.Users) {
		s.t.Errorf("%s: %d of %d users without loss; lost %v", when, r.Perfect(), len(s.Users), r.Loss)
		for i, line := range r.Detail {
			if i == 40 {
				s.t.Errorf("and %d more", len(r.Detail)-i)
				break
			}
			s.t.Errorf("  %v", line)
		}
	}
	if r.OK["uid"] == 0 || r.OK["uidl"] == 0 || r.OK["keywords"] == 0 || r.OK["subscription"] == 0 {
		s.t.Errorf("%s: the checker saw too little: %v", when, r.OK)
	}
}
