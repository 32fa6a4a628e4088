package config

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/conf"
)

// TestLiveDoveconf gives the whole configurations of 2.3 to the doveconf that is
// installed, with the letters that the recorded answers do not cover.
func TestLiveDoveconf(t *testing.T) {
	header, err := exec.Command("doveconf", "-n", "-c", os.DevNull).Output()
	if err != nil || !bytes.HasPrefix(header, []byte("# 2.3.")) {
		t.Skip("doveconf of Dovecot 2.3 is not installed")
	}
	root := t.TempDir()
	layOut(t, "testdata/configs", root)
	all, err := filepath.Glob(root + "/*.conf")
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, root+"/debian-tree/dovecot.conf", root+"/basics-tree/dovecot.conf")
	if _, err := os.Stat("/etc/dovecot/dovecot.conf"); err == nil {
		all = append(all, "/etc/dovecot/dovecot.conf")
	}
	for _, file := range all {
		for _, args := range [][]string{
			{"-n"}, {"-N"}, {"-a"}, {"-n", "-P"}, {"-d"}, {"-s"}, {"-n", "-m", "imap"}, {"protocols"}, {"service/auth"}, {"-S"},
		} {
			t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file)+" "+strings.Join(args, " "), func(t *testing.T) {
				compareLive(t, file, args)
			})
		}
	}
}

func compareLive(t *testing.T, file string, args []string) {
	cmd := exec.Command("doveconf", append([]string{"-c", file}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	o, expand, _ := flags(t, args)
	if o.Defaults {
		file = os.DevNull // which doveconf -d does not read
	}
	c, problems := Load(context.Background(), file, Options{Dialect: conf.V23, Expand: expand, NoProtocols: true,
		User: func(name string) bool { _, err := user.Lookup(name); return err == nil }})
	var out strings.Builder
	if problems.Fatal() == nil {
		if err := c.Print(&out, o); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(stderr.String(), "Unknown protocol: sieve") {
		t.Skip("the ManageSieve server is not installed")
	}
	if o.Simple && problems.Failed() != nil {
		t.Skip("doveconf -S ends in the middle of an invalid configuration")
	}
	got, want := withoutSieve(out.String()), withoutSieve(stdout.String())
	if o.Simple { // their order depends on what is installed
		got, want = sorted(got), sorted(want)
	}
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s\n%s", got, want, stderr.String())
	}
	if got := problems.Status(o); got != cmd.ProcessState.ExitCode() {
		t.Errorf("status %d, want %d: %s", got, cmd.ProcessState.ExitCode(), stderr.String())
	}
}

func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// withoutSieve leaves out comments and what is printed only where the packages
// of the ManageSieve server are installed.
func withoutSieve(text string) string {
	var out strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "service managesieve") && !strings.Contains(line, "/"):
			inside = true
		case inside:
			inside = line != "}\n"
		case strings.HasPrefix(line, "# "), strings.HasPrefix(line, "managesieve_"), strings.HasPrefix(line, "service/managesieve"):
		case strings.HasPrefix(line, "service="):
			out.WriteString(strings.ReplaceAll(line, "managesieve-login managesieve ", ""))
		default:
			out.WriteString(line)
		}
	}
	return out.String()
}
