package imap_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"dovetail/formats/disk"
	"dovetail/formats/formatstest/bound"
	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/serve/imap"
)

// These tell a test binary that it is the server that is to be killed.
const (
	killLocation = "DOVETAIL_TEST_KILL_LOCATION"
	killAt       = "DOVETAIL_TEST_KILL_AT" // the number of the change of the victim's files before which it dies
)

// TestServerThatIsKilled is the server of the test below.
func TestServerThatIsKilled(t *testing.T) {
	location := os.Getenv(killLocation)
	if location == "" {
		t.Skip("it is started by TestWhatWasAnsweredIsThereWhenTheServerIsKilled")
	}
	at, err := strconv.Atoi(os.Getenv(killAt))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	s := startSet(t, func(mail *imap.Protocol) {
		mail.Hub.Linger = 0
		mail.Stores.Fault = func(_ disk.Op, path string) error { // its one session changes one file after the other
			if strings.Contains(path, "/victim/") {
				if seen++; seen == at {
					unix.Kill(os.Getpid(), unix.SIGKILL)
				}
			}
			return nil
		}
	}, static(location))
	fmt.Println("ADDRESS", s.address)
	bufio.NewReader(os.Stdin).ReadString('\n') // until nobody wants it any more
}

// killScript is what the session does when the server is killed; INBOX has three messages, the third \Deleted, Box two.
var killScript = []string{
	"APPEND INBOX (\\Seen work) \"02-Jan-2020 03:04:05 +0000\" {25+}\r\nSubject: new\r\n\r\nnew one\r\n",
	`STORE 1 +FLAGS (\Flagged fresh)`,
	"COPY 1:2 Box",
	"MOVE 2 Box",
	"EXPUNGE",
	"CREATE New/er",
	"SUBSCRIBE New/er",
	"APPEND Box (\\Seen) \"02-Jan-2020 03:04:05 +0000\" {14+}\r\nSubject: a\r\n\r\n () \"02-Jan-2020 03:04:06 +0000\" {14+}\r\nSubject: b\r\n\r\n",
	"RENAME New/er Other",
	"UNSUBSCRIBE Box",
	"DELETE Other",
	`UID STORE 1 FLAGS.SILENT (\Draft)`,
}

// TestWhatWasAnsweredIsThereWhenTheServerIsKilled kills a server (SIGKILL) before each change that it makes to the disk in
// a session. What was answered with OK must be there afterwards, the command that was not answered must be done or not,
// and a real Dovecot must find nothing to complain about and show the same as we do.
func TestWhatWasAnsweredIsThereWhenTheServerIsKilled(t *testing.T) {
	for _, kind := range []string{"sdbox", "mdbox", "maildir", "mbox"} {
		t.Run(kind, func(t *testing.T) {
			k := &killing{faulty: faultyPlace(t, kind), kind: kind}
			k.states = k.reference()
			n := 1
			for k.round(n) && !t.Failed() {
				switch n++; {
				case testing.Short():
					n += 6
				case kind == "mbox": // Dovecot waits for seconds before it overrides the lock of a dead process
					n += 4
				}
			}
			t.Logf("%d deaths", n-1)
		})
	}
}

type killing struct {
	*faulty
	kind   string
	states []string // before the first command of the script and after each
}

// reference runs the script with nothing going wrong.
func (k *killing) reference() []string {
	k.t.Helper()
	user := k.user()
	c := k.s.loginAs(user)
	defer c.Close()
	c.Select("INBOX")
	states := []string{k.shown(user)}
	for _, command := range killScript {
		c.Cmd(command)
		states = append(states, k.shown(user))
	}
	return states
}

// round kills a server at the n-th change; false when the script ends before that.
func (k *killing) round(n int) bool {
	t := k.t
	t.Helper()
	victim := filepath.Join(k.dir, "victim")
	if err := os.RemoveAll(victim); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", filepath.Join(k.dir, "model"), victim).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	answered, died := k.die(n)
	if !died {
		return false
	}
	what := fmt.Sprintf("killed before change %d, in %.20q", n, append([]string{"SELECT"}, killScript...)[answered+1])
	var ours string
	if n%2 == 0 || k.kind == "mbox" || k.kind == "maildir" { // what an append has left half-way there only we can tell
		ours = k.shown("victim")
	}
	judge := dovecot.New(t, dovecot.Location(k.kind, victim+"/mail"))
	c := judge.IMAP()
	theirs := everything(c)
	c.Close() // its last words may be written only now
	c = judge.IMAP()
	known := identities(c)
	c.Close()
	if ours == "" {
		ours = k.shown("victim")
	}
	if log := judge.Log(); log != "" {
		t.Errorf("%s: Dovecot says\n%s", what, log)
	}
	if ours != theirs {
		t.Errorf("%s: Dovecot shows\n%swe\n%s", what, theirs, ours)
	}
	c = k.s.loginAs("victim")
	if got := identities(c); got != known {
		t.Errorf("%s: Dovecot knows\n%swe\n%s", what, known, got)
	}
	c.Close()
	before, after := sections(k.states[max(answered, 0)]), sections(k.states[answered+1])
	for name, text := range sections(ours) {
		if text != before[name] && text != after[name] {
			t.Errorf("%s: %s is\n%swhich is neither\n%snor\n%s", what, name, text, before[name], after[name])
		}
		delete(before, name)
	}
	for name := range before {
		if _, stays := after[name]; stays {
			t.Errorf("%s: %s is gone", what, name)
		}
	}
	return true
}

// die runs the script on a server that dies, and gives how many commands were answered; -1: not even SELECT.
func (k *killing) die(n int) (answered int, died bool) {
	t := k.t
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerThatIsKilled$")
	cmd.Env = append(os.Environ(), killLocation+"="+dovecot.Location(k.kind, k.dir+"/%u/mail"), fmt.Sprintf("%s=%d", killAt, n))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bound.Start(cmd, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	address, ok := "", false
	for !ok && lines.Scan() {
		address, ok = strings.CutPrefix(lines.Text(), "ADDRESS ")
	}
	c := client.Dial(t, client.IMAP, address, k.s.log.String)
	c.Next()
	answered = -1
	for i, command := range append([]string{"LOGIN victim x", "SELECT INBOX"}, killScript...) {
		_, status, alive := c.Last(command)
		if !alive {
			break
		}
		if !strings.HasPrefix(status, "OK") {
			t.Errorf("%.40q: %s", command, status)
		}
		answered = i - 1
	}
	c.Kill()
	in.Close()
	for lines.Scan() {
	}
	err = cmd.Wait()
	return answered, err != nil
}

// sections takes what everything gives apart by mailboxes.
func sections(shown string) map[string]string {
	parts := map[string]string{}
	name := ""
	for line := range strings.Lines(shown) {
		if rest, ok := strings.CutPrefix(line, "mailbox "); ok {
			name = rest
		}
		if strings.HasPrefix(line, "subscribed ") {
			name = "the list of subscriptions"
		}
		parts[name] += line
	}
	return parts
}
