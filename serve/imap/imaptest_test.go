package imap_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// imaptest is Dovecot's tester of IMAP servers with its groups of scripted commands. It is built against Debian's
// dovecot-dev 2.3.19.1 so:
//
//	git clone https://github.com/dovecot/imaptest && cd imaptest && git checkout 0de0dbfb8293
//	sed -i 's/\(imap_parser_create(.*, (size_t)-1\))/\1, NULL)/' src/*.c    # 2.3.19's function has one argument more
//	./autogen.sh && ./configure --with-dovecot=/usr/lib/dovecot && make
//	export IMAPTEST=$PWD/src/imaptest                # or have imaptest in the PATH, and
//	export IMAPTEST_TESTS=$PWD/src/tests             # which is found by itself beside the program
//
// Dovecot 2.3.19.1 passes all groups on each of these formats. Those that need a capability which is not announced
// (URLAUTH) are passed over by imaptest itself.
type imaptest struct{ program, tests string }

func findImaptest(t *testing.T) imaptest {
	t.Helper()
	program := os.Getenv("IMAPTEST")
	if program == "" {
		var err error
		if program, err = exec.LookPath("imaptest"); err != nil {
			t.Skip("imaptest is not here: IMAPTEST is not set and the PATH does not have it")
		}
	}
	tests := os.Getenv("IMAPTEST_TESTS")
	if tests == "" {
		tests = filepath.Join(filepath.Dir(program), "tests")
	}
	if _, err := os.Stat(filepath.Join(tests, "default.mbox")); err != nil {
		t.Skipf("imaptest's groups are not here: %v; IMAPTEST_TESTS says where", err)
	}
	return imaptest{program, tests}
}

// run gives one group to a server; the answer is what failed.
func (i imaptest) run(t *testing.T, address, group string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, i.program, "host="+host, "port="+port, "user="+filepath.Base(group), "pass=x", "test="+group,
		"mbox="+filepath.Join(i.tests, "default.mbox"))
	cmd.Dir = t.TempDir() // where it logs
	cmd.Env = os.Environ()
	if os.Getenv("LD_LIBRARY_PATH") == "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH=/usr/lib/dovecot:/usr/lib/dovecot/modules")
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("1 test groups: 0 failed")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// groups are the files with commands.
func (i imaptest) groups(t *testing.T) (paths []string) {
	entries, err := os.ReadDir(i.tests)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.Contains(e.Name(), ".") {
			paths = append(paths, filepath.Join(i.tests, e.Name()))
		}
	}
	return append(paths, i.altered(t, "sort-partial", "sort-partial-unannounced", func(text string) string {
		_, rest, _ := strings.Cut(text, "\n") // CONTEXT=SORT
		return rest
	}))
}

// altered is another form of a group.
func (i imaptest) altered(t *testing.T, group, name string, how func(string) string) string {
	t.Helper()
	path := filepath.Join(dovecot.TempDir(t), name)
	text, err := os.ReadFile(filepath.Join(i.tests, group))
	if err != nil {
		t.Fatal(err)
	}
	mail, err := os.ReadFile(filepath.Join(i.tests, group+".mbox"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		path string
		text []byte
	}{{path, []byte(how(string(text)))}, {path + ".mbox", mail}} {
		if err := os.WriteFile(f.path, f.text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestR135GroupsOfImaptest(t *testing.T) {
	judge := findImaptest(t)
	for _, format := range []string{"sdbox", "mdbox", "maildir", "mbox"} {
		t.Run(format, func(t *testing.T) {
			root := dovecot.TempDir(t)
			server := start(t, dovecot.Location(format, root+"/%u/mail"))
			for _, group := range judge.groups(t) {
				t.Run(filepath.Base(group), func(t *testing.T) { judge.run(t, server.address, group) })
			}
		})
	}
}
