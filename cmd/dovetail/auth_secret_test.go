package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const oneUser = `passdb {
  driver = passwd-file
  args = scheme=PLAIN DIR/%s
}
userdb {
  driver = passwd-file
  args = DIR/%s
}
auth_failure_delay = 0
auth_verbose = yes
auth_debug = yes
auth_username_chars =
`

// asStdin runs one command line with that standard input.
func asStdin(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stdin")
	if err := os.WriteFile(path, []byte(input), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	old := os.Stdin
	os.Stdin = in
	defer func() { os.Stdin = old }()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestPasswordsFromStandardInput(t *testing.T) {
	conf := authSite(t, strings.ReplaceAll(oneUser, "%s", "users"), map[string]string{"users": "ann:pass word:1:1::/h\n"})
	for _, tc := range []struct {
		name, input string
		code        int
	}{
		{"a line", "pass word\n", exitDone},
		{"without its end", "pass word", exitDone},
		{"of Windows", "pass word\r\n", exitDone},
		{"more lines", "pass word\nanother\n", exitDone},
		{"another", "pass wordx\n", exitPermission},
		{"a zero byte", "pass word\x00\n", exitPermission},
		{"a tab", "pass word\t\n", exitPermission},
		{"a megabyte", strings.Repeat("secret", 1<<20/6) + "\n", exitPermission},
		{"more than a megabyte without an end", strings.Repeat("secret", 1<<19), exitPermission},
		{"nothing", "", exitUsage},
	} {
		code, out, errs := asStdin(t, tc.input, "auth", "test", "-c", conf, "ann")
		if code != tc.code {
			t.Errorf("%s: exit code %d, want %d\n%.300s%.300s", tc.name, code, tc.code, out, errs)
		}
		if strings.Contains(out+errs, "pass word") || strings.Contains(out+errs, "secret") {
			t.Errorf("%s: the password is told\n%.300s%.300s", tc.name, out, errs)
		}
	}
}

// A password on the command line is gone from it while the program still works.
func TestAPasswordOnTheCommandLineIsWipedOut(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "dovetail")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, program); err != nil {
		t.Fatal(err)
	}
	// A list that is a fifo would be refused, so the program waits for the failure's delay.
	conf := authSite(t, strings.ReplaceAll(strings.ReplaceAll(oneUser, "%s", "users"), "delay = 0", "delay = 60 secs"), map[string]string{"users": "ann:x:1:1::/h\n"})
	cmd := exec.Command(program, "auth", "test", "-c", conf, "ann", "verysecretpassword")
	cmd.Env = append(os.Environ(), "PATH="+dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	line := make([]byte, 4096)
	n, err := stderr.Read(line) // it has checked the password and says so, then waits
	if err != nil || !strings.Contains(string(line[:n]), "ann") {
		t.Fatalf("said %q, %v", line[:n], err)
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
	if err != nil {
		t.Skip("no /proc")
	}
	if strings.Contains(string(args), "verysecret") || !strings.Contains(string(args), "ann") {
		t.Errorf("the command line is %q", args)
	}
	if strings.Contains(string(line[:n]), "verysecret") {
		t.Errorf("said %q", line[:n])
	}
}

func TestNamesThatAreMeantToBreakSomething(t *testing.T) {
	conf := authSite(t, strings.NewReplacer("args = scheme=PLAIN DIR/%s", "args = scheme=PLAIN DIR/%u", "args = DIR/%s", "args = DIR/%d/users").Replace(oneUser),
		map[string]string{"secret": "ann:x:1:1::/h\n"})
	for _, name := range []string{"../../../etc/passwd", "x@../..", "x@..", "a\x00b", "a\nb", "a\tb", strings.Repeat("x", 1<<20), "-c", "%u", ""} {
		for _, verb := range [][]string{{"auth", "test"}, {"auth", "lookup"}, {"user"}, {"user", "-u"}} {
			args := append(append(append([]string{}, verb...), "-c", conf, "--"), name)
			want := exitNoUser
			if len(verb) == 2 && verb[1] == "test" {
				args, want = append(args, "x"), exitPermission
			}
			var out, errs bytes.Buffer
			code := run(args, &out, &errs)
			if code != want && !(len(name) > 4096 && code == exitTryAgain) {
				t.Errorf("%s %.40q: exit code %d, want %d\n%.200s%.200s", strings.Join(verb, " "), name, code, want, out.String(), errs.String())
			}
			if strings.Contains(out.String(), "root:") || strings.Contains(out.String(), "uid") {
				t.Errorf("%s %.40q found somebody:\n%s", strings.Join(verb, " "), name, out.String())
			}
		}
	}
}
