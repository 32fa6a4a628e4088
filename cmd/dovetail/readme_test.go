package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"dovetail/auth/authtest"
)

// TestEveryCommandOfTheReadmeWorks runs the lines of the README's sh blocks in order in a fresh copy of the tree.
func TestEveryCommandOfTheReadmeWorks(t *testing.T) {
	for _, tool := range []string{"make", "go", "sh", "xz", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	clone := cloneTree(t)
	commands := readmeCommands(t)
	if len(commands) < 5 {
		t.Fatalf("only %d commands in README.md: %q", len(commands), commands)
	}
	ports := strings.NewReplacer("10143", strconv.Itoa(authtest.FreePort(t)), "10110", strconv.Itoa(authtest.FreePort(t)))
	for _, line := range commands {
		if line == "make test" {
			line = "make -n test" // it is make test that runs this
		}
		if strings.HasPrefix(line, "scripts/serve-demo ") {
			line += " 10143 10110"
		}
		runReadme(t, clone, ports.Replace(line))
	}
}

// runReadme runs a command to its end, or, if it goes on in the background, until the test ends.
func runReadme(t *testing.T, dir, line string) {
	t.Helper()
	before, background := strings.CutSuffix(line, " &")
	if background {
		line = "exec " + before
	}
	var out bytes.Buffer
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if background {
		t.Cleanup(func() {
			cmd.Process.Signal(os.Interrupt)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out.String())
			}
		})
		return
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out.String())
	}
}

func readmeCommands(t *testing.T) (commands []string) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```sh"
		case inside && line != "":
			commands = append(commands, line)
		}
	}
	return commands
}

// cloneTree copies what a clone would have, without what was built.
func cloneTree(t *testing.T) string {
	clone := t.TempDir()
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		from, to := filepath.Join("../..", e.Name()), filepath.Join(clone, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), ".") || e.Name() == "bin" || e.Name() == "dist":
		case e.IsDir():
			// cp keeps links and modes as they are, which os.CopyFS does not.
			if out, err := exec.Command("cp", "-R", from, to).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		default:
			content, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(to, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return clone
}
