package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// serveDovecot starts Dovecot in the machine. The service of PAM is the domain that a client gives; without it the rest
// is the name of the user.
func serveDovecot(t testing.TB, m *authtest.Machine, settings string) *dovecot.Daemon {
	t.Helper()
	dovecot.Need(t)
	if !m.Mounted() {
		t.Skip("Dovecot sees other users only where mounts can be private (CAP_SYS_ADMIN)")
	}
	program, err := exec.LookPath("dovecot")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(m.Program(program))+":"+os.Getenv("PATH"))
	uid, gid := dovecot.IDs()
	conf := filepath.Join(m.Root, "dovecot.conf")
	text := fmt.Sprintf(`protocols = imap
ssl = no
disable_plaintext_auth = no
auth_verbose = yes
auth_username_chars =
auth_username_format = %%n
first_valid_uid = 1
mail_location = maildir:%[1]s/mail/%%n
userdb {
  driver = static
  args = uid=%[2]d gid=%[3]d home=%[1]s/mail allow_all_users=yes
}
%[4]s
`, m.Root, uid, gid, settings)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dovecot.ServeConf(t, conf)
}

var logged = regexp.MustCompile(`(Info|Error): conn unix:auth-worker .*?: pam\([^)]*\): (.*)`)

// said gives level and text of the line about PAM that is not in seen yet, and puts it there.
func said(t *testing.T, d *dovecot.Daemon, seen map[string]bool) (level, text string) {
	t.Helper()
	for _, name := range []string{"info.log", "dovecot.log"} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(d.Config()), name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, l := range logged.FindAllStringSubmatch(string(b), -1) {
			if !seen[l[0]] {
				seen[l[0]] = true
				level, text = l[1], l[2]
			}
		}
	}
	return level, text
}

// Real Dovecot gives the same results and words beside the same files.
func TestPAMBesideDovecot(t *testing.T) {
	m := machine(t)
	// A worker of Dovecot looks for the file of a service only once in its life.
	d := serveDovecot(t, m, "passdb {\n  driver = pam\n  args = max_requests=1 %{orig_domain}\n}\n")
	seen := map[string]bool{} // each has a session of its own
	for _, tc := range results {
		t.Run(tc.name, func(t *testing.T) {
			service := strings.ReplaceAll(tc.service, "%s", "imap")
			s := client.Dial(t, client.IMAP, d.IMAPAddr, d.Log)
			s.Next()
			_, status := s.Try(fmt.Sprintf("LOGIN %s {%d+}\r\n%s", client.Quote(tc.user+"@"+service), len(tc.password), tc.password))
			s.Kill()
			level, text := said(t, d, seen)
			want := "NO [AUTHENTICATIONFAILED] Authentication failed."
			switch {
			case tc.err == nil:
				want = "OK"
			case errors.Is(tc.err, auth.ErrExpired):
				want = "NO [EXPIRED] Password expired"
			}
			if !strings.HasPrefix(status, want) {
				t.Errorf("Dovecot answers %q, the table has %q", status, want)
			}
			if text != tc.text || tc.err != nil && !strings.EqualFold(level, tc.level.String()) {
				t.Errorf("Dovecot logs %s: %q, the table has %v: %q", level, text, tc.level, tc.text)
			}
		})
	}
}

// BenchmarkPAMOfDovecot is BenchmarkPAM asked of Dovecot over its socket for clients, with as many logins under way as there
// are workers in the other one.
func BenchmarkPAMOfDovecot(b *testing.B) {
	m := machine(b)
	d := serveDovecot(b, m, "auth_failure_delay = 0\npassdb {\n  driver = pam\n  args = max_requests=0 permit\n}\n")
	s := client.Dial(b, client.IMAP, d.IMAPAddr, d.Log)
	s.Next() // its sockets are there
	s.Kill()
	conn, err := net.Dial("unix", filepath.Join(filepath.Dir(d.Config()), "run", "auth-client"))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "VERSION\t1\t2\nCPID\t%d\n", os.Getpid())
	lines := bufio.NewScanner(conn)
	for lines.Scan() && lines.Text() != "DONE" {
	}
	resp := base64.StdEncoding.EncodeToString([]byte("\x00ann\x00secret"))
	for _, atOnce := range []int{1, 2} {
		b.Run(fmt.Sprintf("at once=%d", atOnce), func(b *testing.B) {
			for asked, done := 0, 0; done < b.N; {
				for ; asked < b.N && asked-done < atOnce; asked++ {
					fmt.Fprintf(conn, "AUTH\t%d\tPLAIN\tservice=imap\tresp=%s\n", asked+1, resp)
				}
				if !lines.Scan() || !strings.HasPrefix(lines.Text(), "OK\t") {
					b.Fatalf("%q\n%s", lines.Text(), d.Log())
				}
				done++
			}
		})
	}
}
