package authconf

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"dovetail/auth"
	"dovetail/auth/socket"
	"dovetail/formats/formatstest/dovecot"
)

// asked is a service on its sockets, ours or a real Dovecot's: both are asked in the same way.
type asked struct {
	logins *socket.Logins
	users  *socket.Users
}

// bothSides gives Dovecot and this program with the same configuration.
func bothSides(t *testing.T, s *site) (theirs, ours *asked) {
	t.Helper()
	d := dovecot.ServeConf(t, s.conf)
	c, err := net.Dial("tcp", d.IMAPAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Fatalf("Dovecot greets with %q, %v\n%s", line, err, d.Log())
	}
	run := filepath.Join(filepath.Dir(d.Config()), "run")
	return connect(t, run), connect(t, serveSockets(t, s))
}

// serveSockets is our side: the sockets of a service of the configuration.
func serveSockets(t *testing.T, s *site) (dir string) {
	t.Helper()
	server := &socket.Server{Auth: s.must(), Log: slog.New(lines{&s.log})}
	for _, name := range []string{"auth-client", "auth-master"} {
		path := filepath.Join(s.dir, name)
		l, err := socket.ListenFile(socket.File{Path: path, Mode: 0o600, UID: -1, GID: -1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- server.Serve(ctx, l, socket.KindOf(path), name) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	return s.dir
}

func connect(t *testing.T, dir string) *asked {
	t.Helper()
	logins, err1 := socket.DialLogins(context.Background(), filepath.Join(dir, "auth-client"))
	users, err2 := socket.DialUsers(context.Background(), filepath.Join(dir, "auth-master"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { logins.Close(); users.Close() })
	return &asked{logins, users}
}

// question is one thing that is asked: "login NAME PASSWORD", "master NAME MASTER PASSWORD", "pass NAME", "user NAME",
// "list MASK"; words are separated by "|".
type question struct {
	protocol, text string
	rip            string
}

func (a *asked) answer(q question) string {
	r := auth.Request{Service: q.protocol}
	if q.rip != "" {
		r.Remote = netip.AddrPortFrom(netip.MustParseAddr(q.rip), 4711)
		r.Local = netip.MustParseAddrPort("127.0.0.1:143")
	}
	w := strings.Split(q.text, "|")
	w[0] = strings.TrimSpace(w[0])
	ctx := context.Background()
	switch w[0] {
	case "login":
		return a.login(ctx, r, w[1], w[1], w[2])
	case "master":
		return a.login(ctx, r, w[1], w[2], w[3])
	case "pass":
		fields, err := a.users.Pass(ctx, r, w[1])
		return rendered(fields, err)
	case "user":
		user, err := a.users.User(ctx, r, w[1])
		if err != nil {
			return rendered(nil, err)
		}
		return user.Name + ": " + rendered(user.Fields, nil)
	case "list":
		var names []string
		for name, err := range a.users.All(ctx, r, w[1]) {
			if err != nil {
				name = "failed"
			}
			names = append(names, name)
		}
		return strings.Join(names, " ")
	}
	return "no such question: " + w[0]
}

func (a *asked) login(ctx context.Context, r auth.Request, user, as, password string) string {
	reply, _, err := a.logins.Login(ctx, r, "PLAIN", []byte(user+"\x00"+as+"\x00"+password), func(context.Context, []byte) ([]byte, error) {
		return nil, errors.New("a challenge in PLAIN")
	})
	if err != nil {
		return err.Error()
	}
	if !reply.OK { // what else it has depends in Dovecot on which of the databases that refused was the last
		return fmt.Sprintf("FAIL user=%s code=%s reason=%s", reply.User, reply.Code, reply.Reason)
	}
	return "OK user=" + reply.User + ": " + rendered(reply.Fields, nil)
}

func rendered(fields auth.Fields, err error) string {
	switch {
	case errors.Is(err, auth.ErrUnknown):
		return "unknown"
	case errors.Is(err, socket.ErrLookup):
		return "failed"
	case err != nil:
		return err.Error()
	}
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, "%s=%s;", f.Key, f.Value)
	}
	return b.String()
}

// chain is one chain of databases, in a protocol of its own, with what it is asked. All chains of a test are in one
// configuration, so that one Dovecot answers for all of them.
type chain struct {
	name, conf string
	questions  []string // all of them: of the table
}

// matrixHead is what all chains stand in. Its passdb, which Dovecot insists on, is skipped for all that is asked.
const matrixHead = `protocols = imap pop3
ssl = no
auth_failure_delay = 0
auth_verbose = yes
auth_master_user_separator = *
first_valid_uid = 1
passdb {
  driver = static
  args = nopassword=y
  mechanisms = cram-md5
}
`

// compareChains asks both sides and wants equal answers.
func compareChains(t *testing.T, chains []chain, files map[string]string) {
	t.Helper()
	conf := matrixHead
	for i, c := range chains {
		conf += fmt.Sprintf("protocol c%d {\n%s}\n", i, c.conf)
	}
	s := newSite(t, conf, files)
	theirs, ours := bothSides(t, s)
	var all []question
	for i, c := range chains {
		for _, text := range c.questions {
			q := question{protocol: fmt.Sprintf("c%d", i), text: text}
			if before, rip, ok := strings.Cut(text, "|rip="); ok {
				q.text, q.rip = before, rip
			}
			all = append(all, q)
		}
	}
	want := theirs.answers(all)
	for i, c := range chains {
		t.Run(c.name, func(t *testing.T) {
			for _, q := range all {
				if q.protocol != fmt.Sprintf("c%d", i) {
					continue
				}
				s.log.Reset()
				if got := ours.answer(q); got != want[q] {
					t.Errorf("%s\n     dovecot %s\n    dovetail %s\n%s", q.text, want[q], got, s.log.String())
				}
			}
		})
	}
	t.Logf("%d questions", len(all))
}

// answers asks many questions at the same time: Dovecot holds back what it refuses for up to half a second.
func (a *asked) answers(all []question) map[question]string {
	var mu sync.Mutex
	given := make(map[question]string, len(all))
	places := make(chan struct{}, 200)
	var wait sync.WaitGroup
	for _, q := range all {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			text := a.answer(q)
			mu.Lock()
			defer mu.Unlock()
			given[q] = text
		})
	}
	wait.Wait()
	for q, text := range given {
		if strings.HasPrefix(text, "auth service: ") {
			given[q] = a.answer(q) // another question made Dovecot's process crash
		}
	}
	return given
}

// passdb is the text of a passdb on a passwd-file, with further lines.
func passdb(file string, lines ...string) string {
	text := "  passdb {\n    driver = passwd-file\n    args = scheme=PLAIN DIR/" + file + "\n"
	for _, l := range lines {
		if l != "" {
			text += "    " + l + "\n"
		}
	}
	return text + "  }\n"
}

// twoFiles are A and B of the tables.
var twoFiles = map[string]string{
	"A":       "u1:{PLAIN}pa:1001:1001::/a/u1::fa=1 userdb_x=a\nu2:{PLAIN}pa:1002:1002::/a/u2\n",
	"B":       "u1:{PLAIN}pb:2001:2001::/b/u1::fb=1 userdb_x=b userdb_y=b\nu3:{PLAIN}pb:2003:2003::/b/u3\n",
	"masters": "boss:{PLAIN}pm::::::mf=1\n",
	"denied":  "u1\n",
}

var rules = []string{"return-ok", "return", "return-fail", "continue", "continue-ok", "continue-fail"}

// everyLogin asks for all names with all passwords, and for what is known of them.
func everyLogin() (list []string) {
	for _, user := range []string{"u1", "u2", "u3", "u4"} {
		for _, password := range []string{"pa", "pb", "bad", ""} {
			list = append(list, "login|"+user+"|"+password)
		}
		list = append(list, "pass|"+user, "user|"+user)
	}
	return list
}

// What each answer of a passdb means, in every combination.
func TestR083RulesOfPassdbs(t *testing.T) {
	var chains []chain
	for _, success := range rules {
		for _, failure := range rules {
			chains = append(chains, chain{success + ", " + failure,
				passdb("A", "result_success = "+success, "result_failure = "+failure) + passdb("B"), everyLogin()})
		}
		for _, skip := range []string{"authenticated", "unauthenticated"} {
			chains = append(chains, chain{success + ", then only if not " + skip,
				passdb("A", "result_success = "+success) + passdb("B", "skip = "+skip), everyLogin()})
		}
	}
	for _, failure := range rules {
		chains = append(chains, chain{"a broken database, " + failure,
			passdb("A/none", "result_internalfail = "+failure) + passdb("B"), everyLogin()})
		chains = append(chains, chain{"a broken database behind, " + failure,
			passdb("B") + passdb("A/none", "result_internalfail = "+failure), everyLogin()})
	}
	chains = append(chains,
		chain{"pass=yes", passdb("A", "pass = yes") + passdb("B"), everyLogin()},
		chain{"denied", passdb("denied", "deny = yes") + passdb("A") + passdb("B"), everyLogin()},
		chain{"denied behind", passdb("A", "result_success = continue") + passdb("denied", "deny = yes") + passdb("B"), everyLogin()},
		chain{"denied by what is broken", passdb("A/none", "deny = yes") + passdb("A"), everyLogin()},
		chain{"all skipped", passdb("A", "mechanisms = cram-md5"), everyLogin()},
		chain{"for lookups only", passdb("A", "mechanisms = none") + passdb("B"), everyLogin()},
		chain{"for some names", passdb("A", "username_filter = u1 *3") + passdb("B", "username_filter = !u1"), everyLogin()},
	)
	compareChains(t, chains, twoFiles)
}
