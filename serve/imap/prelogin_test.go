package imap_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// conversations are what clients say before they are logged in; each is a connection of its own.
var conversations = []string{
	"a CAPABILITY\r\nb NOOP\r\nc LOGOUT\r\n",
	"a ID NIL\r\nb ID (\"name\" \"x\")\r\nc LOGOUT\r\n",
	"a SELECT INBOX\r\nb LIST \"\" *\r\nc LOGOUT\r\n",
	"a FOO\r\nb\r\nc LOGOUT\r\n",
	"a\r\n\r\nFOO BAR\r\nx LOGOUT\r\n",
	"a LOGIN\r\nb LOGIN tester\r\nc LOGOUT\r\n",
	"a LOGIN tester wrong\r\nb LOGOUT\r\n",
	"a LOGIN tester x\r\nb LOGIN tester x\r\nc LOGOUT\r\n",
	"a LOGIN \"tester\" {1+}\r\nx\r\nb LOGOUT\r\n",
	"a AUTHENTICATE FOO\r\nb LOGOUT\r\n",
	"a AUTHENTICATE PLAIN AHRlc3RlcgB4\r\nb LOGOUT\r\n",
	"a AUTHENTICATE PLAIN !!!\r\nb LOGOUT\r\n",
	"a AUTHENTICATE PLAIN\r\n*\r\nb LOGOUT\r\n",
	"a AUTHENTICATE PLAIN\r\nAHRlc3RlcgB4\r\nb LOGOUT\r\n",
	"a STARTTLS\r\nb LOGOUT\r\n",
	"a ENABLE CONDSTORE\r\nb IDLE\r\nc LOGOUT\r\n",
	"a APPEND INBOX {3+}\r\nabc\r\nb LOGOUT\r\n",
	"a FOO\r\nb FOO\r\nc FOO\r\nd FOO\r\ne FOO\r\nf FOO\r\n",
}

// TestAnswersBeforeLoginAreDovecots talks to both servers' ports.
func TestAnswersBeforeLoginAreDovecots(t *testing.T) {
	dovecot.Need(t)
	if os.Getuid() != 0 {
		t.Skip("Dovecot's login processes want root")
	}
	home := dovecot.TempDir(t)
	os.Chmod(filepath.Dir(home), 0o755)
	uid, gid := dovecot.IDs()
	users := filepath.Join(home, "users")
	if err := os.WriteFile(users, []byte(fmt.Sprintf("tester:{PLAIN}x:%d:%d::%s\n", uid, gid, home)), 0o644); err != nil {
		t.Fatal(err)
	}
	os.Chmod(home, 0o755)
	daemon := dovecot.Serve(t, users)
	ours := startWith(t, "mail_location = maildir:"+dovecot.TempDir(t)+"/mail", "passdb {\n  driver = passwd-file\n  args = "+users+"\n}", "auth_failure_delay = 0",
		"namespace inbox {\n  inbox = yes\n  separator = .\n  prefix = INBOX.\n}")
	for _, said := range conversations {
		want, got := converse(t, daemon.IMAPAddr, said), converse(t, ours.address, said)
		if !slices.Equal(got, want) {
			t.Errorf("after %q we say\n  %s\nDovecot says\n  %s", said, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
}

var maskedBefore = regexp.MustCompile(` \(\d\.\d+ \+ .*?secs\)|\[[^ \]]+:20\d\d-.*?\]|"Dovecot"|"Dovetail"|initial response\.?$|continued response\.?$|\S+ ready\.|(Dovecot|Dovetail) \(.*\) ready\.| COMPRESS=DEFLATE`)

func converse(t *testing.T, address, said string) (lines []string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	greeting, _ := r.ReadString('\n')
	lines = append(lines, maskedBefore.ReplaceAllString(strings.TrimRight(greeting, "\r\n"), ""))
	io.WriteString(conn, said)
	for {
		line, err := r.ReadString('\n')
		if line != "" {
			lines = append(lines, maskedBefore.ReplaceAllString(strings.TrimRight(line, "\r\n"), ""))
		}
		if err != nil {
			return lines
		}
	}
}
