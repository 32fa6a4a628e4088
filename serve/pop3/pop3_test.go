package pop3_test

import (
	"bufio"
	"crypto/md5"
	"crypto/tls"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/location"
	"dovetail/serve/namespace"
	"dovetail/serve/pop3"
	"dovetail/serve/servetest"
	"dovetail/sync/watch"
)

// conf takes the location, uid, gid, home and further settings.
const conf = `protocols = pop3
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
first_valid_uid = 1
mail_location = %[1]s
auth_mechanisms = plain login cram-md5 apop
passdb {
  driver = static
  args = password=secret allow_nets=127.0.0.1
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
userdb {
  driver = static
  args = uid=%[2]d gid=%[3]d home=%[4]s
}
%[5]s
`

// samples are the messages of a maildrop, most of them odd.
var samples = []string{
	"Subject: m0\nFrom: a@b\n\n.dot\nline2\n..\nline3\n\x00nul\n.\n",
	"Subject: nobody\n",
	"\nbody only\n",
	"Subject: x\nX-UIDL: abc  \n\nno end of line",
	"A: b\r\n\r\n.\r\n.\r\n.\r\nbare\rcr\r\n",
}

// stored are what messages of a maildrop may have of their own, from an earlier server mostly: UIDLs, one of them twice, and
// places; and the keyword of those that were deleted.
var stored = []formats.Message{
	{Detail: formats.Detail{POP3UIDL: "old.3", POP3Order: 3}},
	{},
	{Detail: formats.Detail{POP3UIDL: "old.1", POP3Order: 1}},
	{Keywords: []string{"Pop3Deleted"}},
	{Detail: formats.Detail{POP3UIDL: "old.1", POP3Order: 2}},
}

// fill makes a maildrop in a folder. What its messages are to have of their own may be left out.
func fill(t testing.TB, format, root string, own []formats.Message) {
	t.Helper()
	l, err := location.Parse(dovecot.Location(format, root), location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := location.Open(t.Context(), l, location.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Create(t.Context(), "INBOX", formats.Status{}); err != nil && !strings.Contains(err.Error(), "exists") {
		t.Fatal(err)
	}
	box, err := store.Open(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	for i, text := range samples {
		if format != "maildir" {
			text = strings.ReplaceAll(text, "\x00", "") // Dovecot does not keep them in these
		}
		_, err := box.Update(t.Context(), func(tx formats.Tx) error {
			var m formats.Message
			if i < len(own) {
				m = own[i]
			}
			m.InternalDate = time.Date(2020, 1, 1+i, 0, 0, 0, 0, time.UTC)
			return tx.Append(t.Context(), m, formats.BytesBody([]byte(text)))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// twins are two folders with the same mail, of the mail user.
func twins(t testing.TB, format string, own []formats.Message) (a, b string) {
	t.Helper()
	dir := dovecot.TempDir(t)
	a, b = filepath.Join(dir, "a"), filepath.Join(dir, "b")
	fill(t, format, filepath.Join(a, "mail"), own)
	if out, err := exec.Command("cp", "-a", a, b).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	uid, gid := dovecot.IDs()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && os.Getuid() == 0 {
			err = os.Lchown(path, uid, gid)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

// configuration writes one for the mail in a folder.
func configuration(t testing.TB, format, dir string, settings ...string) string {
	t.Helper()
	uid, gid := dovecot.IDs()
	path := filepath.Join(dovecot.TempDir(t), "dovecot.conf")
	text := fmt.Sprintf(conf, dovecot.Location(format, filepath.Join(dir, "mail")), uid, gid, dir, strings.Join(settings, "\n"))
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// start serves a configuration.
func start(t testing.TB, path string) (address string, log *servetest.Log) {
	t.Helper()
	return startWith(t, path, &namespace.Stores{})
}

func startWith(t testing.TB, path string, stores *namespace.Stores) (address string, log *servetest.Log) {
	t.Helper()
	p := servetest.Prepare(t, path)
	post := &pop3.Protocol{Hub: watch.NewHub(0), Stores: stores, Log: p.Logger}
	post.Hub.Hold = post.Stores.Hold
	l := servetest.Listen(t)
	post.Server = p.Server("pop3", post, l)
	servetest.Run(t, post.Server, post.Hub.Close)
	return l.Addr().String(), p.Log
}

// A script in testdata/transcripts is given to our server and to Dovecot on equal mail; what they answer must be the same
// line by line. "> " begins a command, "> !" cuts the connection, "--" begins another session, "set " is a setting,
// "format " names the formats, "stored" wants UIDLs of their own, "far" a client at another address and a certificate; APOP alone is the command with the right digest.
type script struct {
	formats, settings []string
	own               []formats.Message
	far               bool
	sessions          [][]string
}

func readScript(t *testing.T, path string) *script {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{formats: []string{"maildir", "sdbox"}, sessions: [][]string{nil}}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		last := len(s.sessions) - 1
		if setting, ok := strings.CutPrefix(line, "set "); ok {
			s.settings = append(s.settings, setting)
		} else if names, ok := strings.CutPrefix(line, "format "); ok {
			s.formats = strings.Fields(names)
		} else if line == "far" {
			s.far = true
			s.settings = append(s.settings, certificate(t)...)
		} else if line == "stored" {
			s.own = stored
		} else if line == "--" {
			s.sessions = append(s.sessions, nil)
		} else if command, ok := strings.CutPrefix(line, "> "); ok {
			s.sessions[last] = append(s.sessions[last], command)
		} else if line != "" {
			t.Fatalf("%s: %q", path, line)
		}
	}
	return s
}

var (
	timestamp = regexp.MustCompile(`<[^>]*>`)
	greeting  = regexp.MustCompile(`^\+OK .*`)
)

// talk has one session and gives what was said.
func (s *script) talk(t *testing.T, address string, commands []string) (said []string) {
	t.Helper()
	from := net.Dialer{}
	if s.far {
		from.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}
	}
	c, err := from.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	hear := func() string {
		line, err := r.ReadString('\n')
		if err != nil {
			line += "(closed)"
		}
		return strings.TrimSuffix(line, "\r\n")
	}
	first := hear()
	if !greeting.MatchString(first) {
		t.Fatalf("greeting %q", first)
	}
	for _, command := range commands {
		if command == "!" {
			return append(said, "> !")
		}
		if command == "APOP" {
			command = fmt.Sprintf("APOP tester %x", md5.Sum([]byte(timestamp.FindString(first)+"secret")))
			said = append(said, "> APOP")
		} else {
			said = append(said, "> "+command)
		}
		if _, err := c.Write([]byte(command + "\r\n")); err != nil {
			return append(said, "(closed)")
		}
		line := hear()
		said = append(said, line)
		if strings.HasSuffix(line, "(closed)") {
			return said
		}
		if s.far && command == "STLS" && strings.HasPrefix(line, "+OK") {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
			r.Reset(c)
		}
		for more := many(command, line); more && line != "." && !strings.HasSuffix(line, "(closed)"); {
			line = hear()
			said = append(said, line)
		}
	}
	return said
}

// many tells whether an answer has several lines.
func many(command, line string) bool {
	words := strings.Fields(strings.ToUpper(command))
	if len(words) == 0 || !strings.HasPrefix(line, "+OK") {
		return false
	}
	switch words[0] {
	case "CAPA", "RETR", "TOP":
		return true
	case "LIST", "UIDL", "AUTH":
		return len(words) == 1
	}
	return false
}

func TestAnswersAreDovecots(t *testing.T) {
	dovecot.Need(t)
	paths, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		s := readScript(t, path)
		for _, format := range s.formats {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".txt")+" in "+format, func(t *testing.T) { s.compare(t, format) })
		}
	}
}

func (s *script) compare(t *testing.T, format string) {
	a, b := twins(t, format, s.own)
	theirs := dovecot.ServeConf(t, configuration(t, format, a, s.settings...))
	address, log := start(t, configuration(t, format, b, s.settings...))
	for i, commands := range s.sessions {
		want, got := s.talk(t, theirs.POPAddr, commands), s.talk(t, address, commands)
		if !slices.Equal(got, want) {
			t.Errorf("session %d\n%s", i+1, differences(got, want))
		}
		if want, got := lastLine(theirs, i+1), ourLastLine(log, i+1); want != got {
			t.Errorf("session %d is logged as\n        %s\nDovecot %s", i+1, got, want)
		}
	}
	theirs.Stop()
	s.judge(t, format, a, b)
}

// judge has Dovecot read what both have left.
func (s *script) judge(t *testing.T, format, a, b string) {
	var all [2]string
	for i, dir := range []string{a, b} {
		j := dovecot.New(t, dovecot.Location(format, filepath.Join(dir, "mail")))
		for _, m := range j.Fetch("INBOX") {
			all[i] += fmt.Sprintf("%d %v %v\n", m.UID, m.Flags, m.Keywords)
		}
		j.MustBeClean()
	}
	if all[0] != all[1] {
		t.Errorf("Dovecot leaves\n%swe leave\n%s", all[0], all[1])
	}
}

func differences(got, want []string) string {
	var b strings.Builder
	for i := range max(len(got), len(want)) {
		g, w := "(nothing)", "(nothing)"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g == w {
			fmt.Fprintf(&b, "        %q\n", g)
			continue
		}
		fmt.Fprintf(&b, "dovecot %q\nwe      %q\n", w, g)
		break
	}
	return b.String()
}

var ending = regexp.MustCompile(`Disconnected: (Disconnected: )?(.*?)(: user=|\\?"?\s*$)`)

var inSeconds = regexp.MustCompile(` in \d+ secs`)

// endings are how the sessions so far ended.
func endings(log string) (list []string) {
	for line := range strings.Lines(log) {
		if m := ending.FindStringSubmatch(line); m != nil && strings.Contains(line, "pop3") {
			list = append(list, inSeconds.ReplaceAllString(m[2], ""))
		}
	}
	return list
}

// last is how the session that was the nth to end did that.
func last(list []string, n int) string {
	if len(list) < n {
		return "(nothing)"
	}
	return list[n-1]
}

// lastLine waits for the line of another process.
func lastLine(d *dovecot.Daemon, n int) string {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(filepath.Dir(d.Config()), "info.log"))
		if list := endings(string(text)); len(list) >= n || time.Now().After(end) {
			return last(list, n)
		}
	}
}

func ourLastLine(log *servetest.Log, n int) string {
	return last(endings(log.Await(func(text string) bool { return len(endings(text)) >= n })), n)
}
