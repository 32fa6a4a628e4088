package authtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Fail2ban gives those of the lines that fail2ban's own filter for Dovecot takes for a failed login. mode is "normal" or
// "aggressive". The test is skipped where fail2ban is not unpacked, or there is no Python.
func Fail2ban(t testing.TB, mode string, lines ...string) (matched []string) {
	t.Helper()
	program := Unpacked(t, "usr/bin/fail2ban-regex")
	root := strings.TrimSuffix(program, "/usr/bin/fail2ban-regex")
	// That of the system, for which fail2ban is packaged.
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		t.Skipf("fail2ban needs Python: %v", err)
	}
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	etc := root + "/etc/fail2ban"
	cmd := exec.Command(python, program, "-c", etc, "--print-all-matched", "--print-all-missed", log, etc+"/filter.d/dovecot.conf[mode="+mode+"]")
	cmd.Env = append(os.Environ(), "PYTHONPATH="+root+"/usr/lib/python3/dist-packages", "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("fail2ban-regex: %v\n%s", err, out)
	}
	_, rest, found := strings.Cut(string(out), "|- Matched line(s):\n")
	if !found {
		return nil
	}
	text, _, _ := strings.Cut(rest, "`-")
	for line := range strings.Lines(text) {
		matched = append(matched, strings.TrimSuffix(strings.TrimPrefix(line, "|  "), "\n"))
	}
	return matched
}
