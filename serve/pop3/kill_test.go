package pop3_test

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
	"dovetail/formats/formatstest/dovecot"
	"dovetail/serve/namespace"
)

// These tell a test binary that it is the server that is to be killed.
const (
	killConf = "DOVETAIL_TEST_KILL_CONF"
	killAt   = "DOVETAIL_TEST_KILL_AT" // the number of the change of its files before which it dies
)

// TestServerThatIsKilled is the server of the test below.
func TestServerThatIsKilled(t *testing.T) {
	conf := os.Getenv(killConf)
	if conf == "" {
		t.Skip("it is started by TestQuitIsWholeOrNothingForEachMessageWhenTheServerIsKilled")
	}
	at, err := strconv.Atoi(os.Getenv(killAt))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	address, _ := startWith(t, conf, &namespace.Stores{Fault: func(_ disk.Op, path string) error { // its one session changes one file after the other
		if seen++; seen == at && strings.Contains(path, "/mail") {
			unix.Kill(os.Getpid(), unix.SIGKILL)
		}
		return nil
	}})
	fmt.Println("ADDRESS", address)
	bufio.NewReader(os.Stdin).ReadString('\n') // until nobody wants it any more
}

// A server is killed (SIGKILL) before each change that it makes to the disk in a session that deletes two messages and fetches a
// third. Before QUIT nothing is gone; after its answer both are; in between each is there as it was, or gone.
func TestQuitIsWholeOrNothingForEachMessageWhenTheServerIsKilled(t *testing.T) {
	for _, format := range []string{"sdbox", "mdbox", "maildir", "mbox"} {
		t.Run(format, func(t *testing.T) {
			dovecot.Need(t)
			model, _ := twins(t, format, nil)
			whole := bodies(t, format, model)
			deaths, n := 0, 1
			for ; killedAt(t, format, model, whole, n) && !t.Failed(); n += 1 + n/4 {
				deaths++
			}
			if deaths < 3 {
				t.Errorf("it was killed %d times", deaths)
			}
			t.Logf("%d deaths, the last before change %d", deaths, n)
		})
	}
}

// killedAt is false when the session ended before that change.
func killedAt(t *testing.T, format, model string, want map[string]string, n int) bool {
	t.Helper()
	dir := filepath.Join(filepath.Dir(model), fmt.Sprintf("killed%d", n))
	if out, err := exec.Command("cp", "-a", model, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	answered, died := die(t, configuration(t, format, dir), n)
	if !died {
		return false
	}
	there := map[string]bool{}
	for uid, body := range bodies(t, format, dir) {
		if there[uid] = true; body != want[uid] || body == "" {
			t.Errorf("killed before change %d: message %s is %q, was %q", n, uid, body, want[uid])
		}
	}
	marked := 0
	for _, uid := range []string{"2", "4"} {
		if there[uid] {
			marked++
		}
	}
	switch {
	case !there["1"] || !there["3"] || !there["5"]:
		t.Errorf("killed before change %d: %v are left", n, there)
	case answered == len(deleting) && marked > 0:
		t.Errorf("killed before change %d, after the answer to QUIT: %v are left", n, there)
	case answered < len(deleting)-1 && marked < 2:
		t.Errorf("killed before change %d, before QUIT: %v are left", n, there)
	case marked == 1 && format != "maildir":
		t.Errorf("killed before change %d: one of two is gone, where both go in one step", n)
	}
	return true
}

// bodies has Dovecot read all messages, by UID.
func bodies(t *testing.T, format, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, m := range dovecot.New(t, dovecot.Location(format, filepath.Join(dir, "mail"))).Fetch("INBOX") {
		all[fmt.Sprint(m.UID)] = m.Body
	}
	return all
}

// deleting is the session.
var deleting = []string{"USER tester", "PASS secret", "RETR 1", "DELE 2", "DELE 4", "QUIT"}

// die has a server of its own die; answered counts commands.
func die(t *testing.T, conf string, n int) (answered int, died bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerThatIsKilled$")
	cmd.Env = append(os.Environ(), killConf+"="+conf, killAt+"="+strconv.Itoa(n))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bound.Start(cmd, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close()
		cmd.Wait()
	}()
	said := bufio.NewReader(stdout)
	line, err := said.ReadString('\n')
	if err != nil {
		return 0, true
	}
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "ADDRESS ")
	if !ok {
		t.Fatalf("%q", line)
	}
	w := dial(t, address, "")
	for _, command := range deleting {
		if _, err := fmt.Fprintf(w, "%s\r\n", command); err != nil {
			return answered, true
		}
		line := w.hear()
		for strings.HasPrefix(command, "RETR") && line != "." && !w.over {
			line = w.hear()
		}
		if w.over {
			return answered, true
		}
		answered++
	}
	return answered, false
}
