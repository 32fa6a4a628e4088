package socket_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// judge is a real Dovecot whose auth service has our accounts and, besides its own sockets, some for tests.
type judge struct {
	*dovecot.Daemon
	dir string
}

func newJudge(t testing.TB) judge {
	t.Helper()
	dovecot.Need(t)
	dir := tempDir(t)
	users, deny := write(t, dir, "users", accounts), write(t, dir, "deny", denied)
	var settings strings.Builder
	for _, kind := range []string{"client", "login", "master", "userdb"} {
		fmt.Fprintf(&settings, "service auth {\n  unix_listener %s {\n    mode = 0666\n  }\n}\n", filepath.Join(dir, "test-"+kind))
	}
	fmt.Fprintf(&settings, `auth_username_chars = abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@
auth_mechanisms = %s
auth_anonymous_username = nobody
auth_verbose = yes
passdb {
  driver = passwd-file
  deny = yes
  args = %s
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`, strings.ToLower(strings.Join(mechanisms, " ")), deny)
	d := dovecot.Serve(t, users, settings.String())
	dial(t, d.IMAPAddr).next() // it greets when all of it is there
	return judge{d, dir}
}

func (j judge) path(kind string) string { return filepath.Join(j.dir, "test-"+kind) }

// step is what a client sends, and how many lines it then gets; less than none: the connection ends.
type step struct {
	send    string
	replies int
}

const login = "VERSION\t1\t2\nCPID\t4711"

var transcripts = []struct {
	name, kind string
	steps      []step
}{
	{"every mechanism's answers, in the order of the requests", "client", []step{
		{login, 0},
		{"AUTH\t1\tPLAIN\tservice=smtp\trip=1.2.3.4\tsession=s1\t" + plain("", "alice", "wonder"), 1},
		{"AUTH\t2\tPLAIN\tservice=smtp\t" + plain("", "alice", "wrong"), 1},
		{"AUTH\t3\tplain\tservice=smtp\t" + plain("", "ALICE", "wonder"), 1},
		{"AUTH\t4\tPLAIN\tservice=smtp", 1}, {"CONT\t4\t" + b64("\x00alice\x00wonder"), 1}, {"CONT\t4\t", 1},
		{"AUTH\t5\tLOGIN\tservice=smtp", 1}, {"CONT\t5\t" + b64("alice"), 1}, {"CONT\t5\t" + b64("wonder"), 1},
		{"AUTH\t6\tLOGIN\tservice=smtp", 1}, {"CONT\t6\t" + b64("alice"), 1}, {"CONT\t6\t" + b64("wunder"), 1},
		{"AUTH\t7\tANONYMOUS\tservice=smtp\tresp=", 1},
	}},
	{"fields of the database", "client", []step{
		{login, 0},
		{"AUTH\t1\tPLAIN\tservice=smtp\trip=127.0.0.1\t" + plain("", "bob", "builder"), 1},
		{"AUTH\t2\tPLAIN\tservice=smtp\trip=10.0.0.1\t" + plain("", "bob", "builder"), 1},
		{"AUTH\t3\tPLAIN\tservice=smtp\t" + plain("", "bob", "builder"), 1},
		{"AUTH\t4\tPLAIN\tservice=smtp\t" + plain("", "carol", "secret"), 1},
		{"AUTH\t5\tPLAIN\tservice=smtp\t" + plain("", "carol", "wrong"), 1},
		{"AUTH\t6\tPLAIN\tservice=smtp\t" + plain("", "dave", "x"), 1},
		{"AUTH\t7\tPLAIN\tservice=smtp\t" + plain("", "dave", "wrong"), 1},
	}},
	{"who is refused", "client", []step{
		{login, 0},
		{"AUTH\t1\tPLAIN\tservice=smtp\t" + plain("", "nosuch", "x"), 1},
		{"AUTH\t2\tPLAIN\tservice=smtp\t" + plain("", "mallory", "x"), 1},
		{"AUTH\t3\tPLAIN\tservice=smtp\t" + plain("", "o'brien", "x"), 1},
		{"AUTH\t4\tPLAIN\tservice=smtp\t" + plain("bob", "alice", "wonder"), 1},
		{"AUTH\t5\tPLAIN\tservice=smtp\t" + plain("", "alice", ""), 1},
	}},
	{"responses that are none", "client", []step{
		{login, 0},
		{"AUTH\t1\tPLAIN\tservice=smtp\tresp=%%%", 1},
		{"AUTH\t2\tPLAIN\tservice=smtp\tresp=", 1},
		{"AUTH\t3\tPLAIN\tservice=smtp\tresp==", 1},
		{"AUTH\t4\tPLAIN\tservice=smtp\tresp", 1},
		{"AUTH\t5\tPLAIN\tservice=smtp", 1}, {"CONT\t5\t%%%", 1},
		{"CONT\t99\t", 1}, {"CANCEL\t99", 0},
		{"AUTH\t6\tPLAIN\tservice=smtp", 1}, {"CANCEL\t6\nCONT\t6\t", 1},
	}},
	{"a client of protocol 1.1 sends an empty response where there is none", "client", []step{
		{"VERSION\t1\t1\nCPID\t4711", 0}, {"AUTH\t1\tPLAIN\tservice=smtp\tresp=", 1},
		{"CONT\t1\t" + b64("\x00alice\x00wonder"), 1},
	}},
	{"a proxy's password is for login processes", "login", []step{
		{login, 0},
		{"AUTH\t1\tPLAIN\tservice=imap\t" + plain("", "carol", "secret"), 1},
		{"AUTH\t2\tPLAIN\tservice=imap\t" + plain("", "carol", "wrong"), 1},
		{"AUTH\t3\tPLAIN\tservice=imap\t" + plain("", "alice", "wonder"), 1},
	}},
	{"the same id twice", "login", []step{
		{login, 0}, {"AUTH\t1\tPLAIN\tservice=imap\t" + plain("", "alice", "wonder"), 1}, {"AUTH\t1\tPLAIN\tservice=imap", -1},
	}},
	{"an id of a failed request is free again", "login", []step{
		{login, 0}, {"AUTH\t1\tPLAIN\tservice=imap\tresp==", 1}, {"AUTH\t1\tPLAIN\tservice=imap\t" + plain("", "alice", "wonder"), 1},
	}},
	{"another major version", "client", []step{{"VERSION\t2\t2", -1}}},
	{"no version", "client", []step{{"CPID\t4711", -1}}},
	{"a version without numbers", "client", []step{{"VERSION\tx", -1}}},
	{"no process", "client", []step{{"VERSION\t1\t2\nCPID\t0", -1}}},
	{"a request before the process", "client", []step{{"VERSION\t1\t2\nAUTH\t1\tPLAIN\tservice=smtp", -1}}},
	{"an unknown command", "client", []step{{login, 0}, {"FOO\tbar", -1}}},
	{"a mechanism that is not offered", "client", []step{{login, 0}, {"AUTH\t1\tGSSAPI\tservice=smtp", -1}}},
	{"no service", "client", []step{{login, 0}, {"AUTH\t1\tPLAIN", -1}}},
	{"id 0", "client", []step{{login, 0}, {"AUTH\t0\tPLAIN\tservice=smtp", -1}}},
	{"an id beyond 32 bits", "client", []step{{login, 0}, {"AUTH\t4294967296\tPLAIN\tservice=smtp", -1}}},
	{"words behind the response", "client", []step{{login, 0}, {"AUTH\t1\tPLAIN\tservice=smtp\tresp=\tservice=x", -1}}},
	{"CONT without anything", "client", []step{{login, 0}, {"CONT\t1", -1}}},
	{"a broken CANCEL", "client", []step{{login, 0}, {"CANCEL\tx", -1}}},

	{"lookups of users", "userdb", []step{
		{"VERSION\t1\t1", 0},
		{"USER\t1\talice\tservice=doveadm", 1}, {"USER\t2\tALICE\tservice=x", 1}, {"USER\t3\tnosuch\tservice=x", 1},
		{"USER\t4\tdave\tservice=x\trip=1.2.3.4\tlport=143\tdebug\tsession=a", 1}, {"USER\t5\to'b\tservice=x", 1},
		{"PASS\t6\talice\tservice=x", 1}, {"PASS\t7\tbob\tservice=x\trip=127.0.0.1", 1}, {"PASS\t8\tbob\tservice=x", 1}, {"PASS\t9\tcarol\tservice=x", 1},
		{"PASS\t10\tnosuch\tservice=x", 1}, {"PASS\t11\tmallory\tservice=x", 1},
		{"LIST\t12\tservice=x\tuser=*", 5}, {"LIST\t13", 5},
	}},
	{"a userdb socket has no cache", "userdb", []step{{"VERSION\t1\t1", 0}, {"CACHE-FLUSH\t1", -1}}},
	{"a userdb socket finishes no logins", "userdb", []step{{"VERSION\t1\t1", 0}, {"REQUEST\t1\t2\t3\t00000000000000000000000000000000", -1}}},
	{"what only masters may", "master", []step{
		{"VERSION\t1\t1", 0}, {"CACHE-FLUSH\t1", 1}, {"CACHE-FLUSH\t2\talice\tbob", 1},
		{"USER\t3\talice\tservice=imap", 1},
		{"REQUEST\t4\t4711\t1\t00000000000000000000000000000000", 1}, {"REQUEST\t5\t4711\t1\tabcd", 1},
	}},
	{"a lookup before the version", "master", []step{{"USER\t1\talice\tservice=x", -1}}},
	{"another major version of a master", "master", []step{{"VERSION\t2\t1", -1}}},
	{"a client on a master socket", "master", []step{{"VERSION\t1\t2\nCPID\t4711", -1}}},
	{"a lookup without service", "master", []step{{"VERSION\t1\t1\nUSER\t1\talice", -1}}},
	{"a lookup without a name", "master", []step{{"VERSION\t1\t1\nPASS\t1", -1}}},
	{"a request without a cookie", "master", []step{{"VERSION\t1\t1\nREQUEST\t1\t4711\t1", -1}}},
	{"a cookie that is none", "master", []step{{"VERSION\t1\t1\nREQUEST\t1\t4711\t1\txyz", -1}}},
}

// What Dovecot's auth service answers, ours answers.
func TestTranscriptsAreThoseOfDovecot(t *testing.T) {
	j, ours := newJudge(t), newServer(t)
	for _, kind := range []string{"client", "login", "master", "userdb"} {
		ours.listen("test-"+kind, 0o666)
	}
	for _, x := range transcripts {
		t.Run(x.name, func(t *testing.T) {
			want := record(t, j.path(x.kind), x.kind, x.steps)
			got := record(t, filepath.Join(ours.dir, "test-"+x.kind), x.kind, x.steps)
			for i := range want {
				if !reflect.DeepEqual(got[i], want[i]) {
					sent := "greeting"
					if i > 0 {
						sent = x.steps[i-1].send
					}
					t.Errorf("%q\n got %q\nwant %q", sent, got[i], want[i])
				}
			}
			if t.Failed() {
				t.Logf("our log:\n%s\nDovecot's log:\n%s", ours.log, j.Log())
			}
		})
	}
}

// record gives the lines that came after each step; the first are the greeting.
func record(t *testing.T, path, kind string, steps []step) [][]string {
	t.Helper()
	c := dial(t, path)
	until := "DONE"
	if kind == "userdb" || kind == "master" {
		until = "SPID"
	}
	all := [][]string{masked(c.greeting(until))}
	for _, s := range steps {
		c.send(s.send)
		n := s.replies
		if n < 0 {
			n = 1
		}
		var lines []string
		for range n {
			lines = append(lines, c.next())
		}
		all = append(all, masked(lines))
	}
	return all
}

var numbers = regexp.MustCompile(`^(SPID|CUID|COOKIE)\t[0-9a-f]+$`)

// masked takes out what is another one in each process, and what Dovecot says without need: an empty word where all
// fields are hidden, and a refused name twice.
func masked(lines []string) []string {
	for i, line := range lines {
		line = numbers.ReplaceAllString(line, "$1\t#")
		for strings.Contains(line, "\t\t") {
			line = strings.ReplaceAll(line, "\t\t", "\t")
		}
		line = strings.Replace(line, "user=o'brien\toriginal_user=o'brien", "user=o'brien", 1)
		lines[i] = strings.TrimSuffix(line, "\t")
	}
	return lines
}

// The second half of a login, with all that can be wrong about it.
func TestR458ALoginIsFinishedOnceByWhoKnowsItsCookie(t *testing.T) {
	j, ours := newJudge(t), newServer(t)
	ours.listen("test-login", 0o600)
	ours.listen("test-master", 0o600)
	var all [2][]string
	for i, dir := range []string{j.dir, ours.dir} {
		all[i] = finishLogins(t, filepath.Join(dir, "test-login"), filepath.Join(dir, "test-master"))
	}
	if !reflect.DeepEqual(all[1], all[0]) {
		t.Errorf("\n got %q\nwant %q\nour log:\n%s\nDovecot's log:\n%s", all[1], all[0], ours.log, j.Log())
	}
	for _, want := range []string{
		"Master requested auth for nonexistent client 4713", "Master requested auth for client 4712 with invalid cookie",
		"Master request 4712.1 not found", "Master requested unfinished authentication request 4712.2",
		"did not match peer credentials", "Master request 4712.77 not found",
	} {
		mustHave(t, "our", ours.log.String, want)
		if !strings.Contains(j.Log(), want) { // it has all of them, but a busy machine's log service drops lines
			t.Logf("Dovecot's log lacks %q now", want)
		}
	}
}

// mustHave waits for a line of a log: Dovecot's comes by way of another process.
func mustHave(t *testing.T, whose string, log func() string, want string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(log(), want); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%s log lacks %q:\n%s", whose, want, log())
			return
		}
	}
}

func finishLogins(t *testing.T, loginPath, masterPath string) []string {
	t.Helper()
	c, greeting := sasl(t, loginPath, 4712)
	cookie := value(greeting, "COOKIE")
	m := master(t, masterPath)
	var got []string
	ask := func(line string) {
		m.send(line)
		got = append(got, strings.TrimSuffix(m.next(), "\t"))
	}
	good := "AUTH\t%d\tPLAIN\tservice=imap\tsession=abc\t" + plain("", "alice", "wonder")
	begin := func(line string, id int) {
		c.send(fmt.Sprintf(line, id))
		got = append(got, strings.TrimSuffix(c.next(), "\t"))
	}
	guess := strings.Repeat("0", 32)
	begin(good, 1)
	ask("REQUEST\t1\t4713\t1\t" + cookie)                                            // another process
	ask("REQUEST\t2\t4712\t1\t" + guess)                                             // a guessed cookie
	ask("REQUEST\t3\t4712\t1\t" + cookie[:30])                                       // a part of it
	ask("REQUEST\t4\t4712\t77\t" + cookie)                                           // another login
	ask(fmt.Sprintf("REQUEST\t5\t4712\t1\t%s\tsession_pid=%d", cookie, os.Getpid())) // right
	ask("REQUEST\t6\t4712\t1\t" + cookie)                                            // again
	begin("AUTH\t%d\tPLAIN\tservice=imap", 2)
	ask("REQUEST\t7\t4712\t2\t" + cookie) // not finished
	c.send("CONT\t2\t" + b64("\x00alice\x00wonder"))
	got = append(got, c.next())
	begin("AUTH\t%d\tPLAIN\tservice=imap\t"+plain("", "alice", "wrong"), 3)
	ask("REQUEST\t8\t4712\t3\t" + cookie) // refused
	begin("AUTH\t%d\tPLAIN\tservice=imap\trip=127.0.0.1\t"+plain("", "bob", "builder"), 4)
	ask("REQUEST\t9\t4712\t4\t" + cookie) // nologin
	begin("AUTH\t%d\tPLAIN\tservice=imap\t"+plain("", "carol", "secret"), 5)
	ask("REQUEST\t10\t4712\t5\t" + cookie) // a proxy's
	begin(good, 6)
	ask("REQUEST\t11\t4712\t6\t" + cookie + "\tsession_pid=1") // asked by another process
	ask("REQUEST\t12\t4712\t6\t" + cookie)
	begin(good, 7)
	ask("USER\t13\tALICE\tservice=imap")
	ask("REQUEST\t14\t4712\t7\t" + cookie)
	return got
}
