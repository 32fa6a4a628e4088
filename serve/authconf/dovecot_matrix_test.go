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
	"slices"
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
				if got := ours.answer(q); got != want[q] && !(climbs(q.text) && (got == "unknown" || strings.HasPrefix(got, "FAIL"))) {
					t.Errorf("%s\n     dovecot %s\n    dovetail %s\n%s", q.text, want[q], got, s.log.String())
				}
			}
		})
	}
	t.Logf("%d questions", len(all))
}

// climbs tells of a question about a name with a part "..", which Dovecot leaves to its databases and we refuse.
func climbs(question string) bool { return strings.Contains(question, "..") }

// answers asks many questions at the same time: Dovecot holds back what it refuses for up to half a second. Those whose
// connection was lost, because another question made Dovecot's process crash, are asked again.
func (a *asked) answers(all []question) map[question]string {
	given := make(map[question]string, len(all))
	for again := 0; len(all) > 0 && again < 20; again++ {
		a.ask(all, given)
		all = slices.DeleteFunc(slices.Clone(all), func(q question) bool { return !strings.HasPrefix(given[q], "auth service: ") })
	}
	return given
}

func (a *asked) ask(all []question, given map[question]string) {
	var mu sync.Mutex
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

// userdb is the text of a userdb on a passwd-file, with further lines.
func userdb(file string, lines ...string) string {
	return strings.Replace(strings.Replace(passdb(file, lines...), "passdb", "userdb", 1), "scheme=PLAIN ", "", 1)
}

// everyUser asks for all names.
func everyUser() []string {
	return []string{"user|u1", "user|u2", "user|u3", "user|u4", "user|U1"}
}

// What each answer of a userdb means, in every combination.
func TestR083RulesOfUserdbs(t *testing.T) {
	chains := []chain{{"who is listed is the same for all protocols", userdb("A"), []string{"list|*"}}}
	for _, success := range rules {
		for _, failure := range rules {
			chains = append(chains, chain{success + ", " + failure,
				userdb("A", "result_success = "+success, "result_failure = "+failure) + userdb("B"), everyUser()})
		}
		for _, skip := range []string{"found", "notfound"} {
			chains = append(chains, chain{success + ", then only if not " + skip,
				userdb("A", "result_success = "+success) + userdb("B", "skip = "+skip), everyUser()})
		}
		chains = append(chains,
			chain{"a database that cannot be read, " + success, userdb("A/none", "result_internalfail = "+success) + userdb("B"), everyUser()},
			chain{"one behind that cannot be read, " + success, userdb("B", "result_success = "+success) + userdb("A/none"), everyUser()})
	}
	compareChains(t, chains, twoFiles)
}

// Fields before and after, names of fields, paths that depend on the user, and static databases.
func TestR073R074FieldsAndPaths(t *testing.T) {
	static := func(kind, args string, lines ...string) string {
		return "  " + kind + " {\n    driver = static\n    args = " + args + "\n    " + strings.Join(lines, "\n    ") + "\n  }\n"
	}
	logins := []string{"login|u1|pa", "login|u1@x.org|pa", "login|u2@y.org|pa", "login|u1@../x.org|pa", "login|u1@..|pa", "login|../../etc/passwd|pa",
		"login|u1@x.org/..|pa", "pass|u1@x.org", "pass|u1@../x.org", "user|u1@x.org", "user|u1@../x.org", "user|u2@y.org", "user|nosuch@x.org", "user|u1@none.org"}
	files := map[string]string{
		"x.org/list": "u1:{PLAIN}pa:11:11::/x/%n:\nu1@x.org:{PLAIN}pa:12:12::/x/full\n",
		"y.org/list": "u2:{PLAIN}pa:21:21::/y/%n::userdb_home=/y/%u/%d/%n fa=%s userdb_f%u=1\n",
		"list":       "u1:{PLAIN}wrong:99:99::/outside\n",
	}
	for name, text := range twoFiles {
		files[name] = text
	}
	nets := []string{"login|u1|pa", "login|u1|pa|rip=192.0.2.9", "login|u1|pa|rip=10.1.2.3", "login|u1|pa|rip=2001:db8::1", "login|u1|pa|rip=::ffff:192.0.2.9"}
	compareChains(t, []chain{
		{"a path with %d", passdb("%d/list") + userdb("%d/list"), logins},
		{"a path with %d, and %n in it", strings.ReplaceAll(passdb("%d/list")+userdb("%d/list"), "DIR/", "username_format=%n DIR/"), logins},
		{"a path with %Ld and an upper case name", strings.ReplaceAll(passdb("%Ld/list"), "DIR/", "username_format=%Ln DIR/"), append(logins, "login|U1@X.ORG|pa")},
		{"a path with %u", passdb("%u/list"), logins},
		{"static, with a password", static("passdb", "password=pa") + static("userdb", "uid=5000 gid=5001 home=/srv/%d/%n"), logins},
		{"static, with a password of the name", static("passdb", "password=%n-%d") + static("userdb", "uid=5000 home=/srv/%u allow_all_users=yes"),
			append(logins, "login|u1@x.org|u1-x.org", "login|u1|u1-", "user|anybody")},
		{"static, with a scheme", static("passdb", "password={SHA256}K8YDVhDNH+3Z2cj7cXvmLcVTIYFZPQbdhLlIv22lvG0="), logins},
		{"static, without a password", static("passdb", "nopassword=y") + static("userdb", "uid=5000 gid=5000"), append(logins, "login|u1|", "login|u1|anything")},
		{"static, with neither", static("passdb", "x=y"), logins},
		{"static, with fields", static("passdb", "password=pa nologin=y reason=Closed allow_nets=192.0.2.0/24,local fa=%u"), append(nets, logins...)},
		{"default and override fields", passdb("A", "default_fields = fa=9 fz=%n", "override_fields = x:protected=2 fa:protected=3 y=%{passdb:fa} user=%u-x") + userdb("A"),
			append(everyLogin(), everyUser()...)},
		{"fields taken away", passdb("A", "override_fields = fa:remove=y userdb_x:remove=y"), everyLogin()},
		{"default and override fields of a userdb", passdb("A") + userdb("A", "default_fields = uid=7 x=d z=%u quota_rule=*:storage=%n",
			"override_fields = home=/o/%u gid=9 x:protected=3 w:protected=4 uid:remove=y"), append(everyLogin(), everyUser()...)},
		{"prefetch", passdb("A") + "  userdb {\n    driver = prefetch\n  }\n" + userdb("B"), append(everyLogin(), everyUser()...)},
		{"no userdb", passdb("A"), append(everyLogin(), everyUser()...)},
		{"a userdb that is for nobody", static("passdb", "password=pa") + userdb("A", "skip = notfound"), everyUser()},
		{"a name format of the protocol", "  auth_username_format = %n@x.org\n" + passdb("x.org/list"), logins},
		{"a realm of the protocol", "  auth_default_realm = x.org\n" + passdb("x.org/list") + userdb("x.org/list"), logins},
	}, files)
}

// Names and passwords that are meant to break something.
func TestNamesAndPasswordsThatAreMeantToBreakSomething(t *testing.T) {
	var questions []string
	for _, name := range []string{"o'brien", `o\'brien`, `"quoted"`, `back\slash`, "%u", "%{user}", "%%", "a b", " u1", "u1 ", "u1:x", "#u1", ":u1", "ü", "U1", "u1@", "@", "@x", "u1@x@y",
		"../../x", "/etc/passwd", "*", "?", "u*", "$(id)", "u1;x", "u1,x", "u1=x", "{PLAIN}", "\x7f"} {
		questions = append(questions, "login|"+name+"|pa", "pass|"+name, "user|"+name)
	}
	for _, password := range []string{"", " pa", "pa ", "PA", "%w", "{PLAIN}pa", "pa:1001", strings.Repeat("x", 1000), "pa'", "ü"} {
		questions = append(questions, "login|u1|"+password)
	}
	compareChains(t, []chain{
		{"with any characters", "  auth_username_chars =\n" + passdb("odd") + userdb("odd"), questions},
		{"with the usual characters", passdb("odd") + userdb("odd"), questions},
		{"with a translation", "  auth_username_translation = /@\\x\n  auth_username_chars = abcdefghijklmnopqrstuvwxyz0123456789@.'\n" + passdb("odd") + userdb("odd"), questions},
		{"with a file for each name", "  auth_username_chars =\n" + passdb("%u"), questions},
	}, map[string]string{"odd": "u1:{PLAIN}pa:1:1::/h/u1\no\\'brien:{PLAIN}pa:2:2::/h/o\n\\\"quoted\\\":{PLAIN}pa:3:3::/h/q\nback\\\\slash:{PLAIN}pa:4:4::/h/b\n" +
		"%u:{PLAIN}pa:5:5::/h/p\na b:{PLAIN}pa:6:6::/h/ab\nü:{PLAIN}pa:7:7::/h/ue\nu1@:{PLAIN}pa:8:8::/h/at\n{PLAIN}:{PLAIN}pa:10:10::/h/scheme\n"})
}
