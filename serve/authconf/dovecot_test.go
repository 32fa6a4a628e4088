package authconf

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/formats/formatstest/dovecot"
)

// common is what all configurations of chains have. Whoever may read the files is Dovecot's own user.
const common = `protocols = imap
ssl = no
disable_plaintext_auth = no
auth_username_format =
auth_verbose = yes
auth_failure_delay = 0
mail_location = maildir:~/Maildir
first_valid_uid = 1
`

// beside is a service and a Dovecot with the same configuration.
type beside struct {
	*site
	ours   *auth.Service
	theirs *dovecot.Daemon
}

func newBeside(t *testing.T, conf string, files map[string]string) *beside {
	t.Helper()
	dovecot.Need(t)
	s := newSite(t, common+conf, files)
	b := &beside{s, s.must(), dovecot.ServeConf(t, s.conf)}
	// The greeting comes when the auth process has answered: now its sockets are there.
	c, err := net.Dial("tcp", b.theirs.IMAPAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "* OK") {
		t.Fatalf("greeting %q, %v\n%s", line, err, b.theirs.Log())
	}
	return b
}

// attempts are what both are asked: "test NAME PASSWORD" logs in, "login NAME PASSWORD" asks the userdbs as well,
// "user NAME" asks only them, "lookup NAME" only the passdbs.
type attempts []string

// compare demands the same answers of both, and the same lines in the log. Dovecot lets go of failures twice a second,
// so all of them are asked for at the same time.
func (b *beside) compare(list attempts) {
	b.t.Helper()
	want := make([]string, len(list))
	var wait sync.WaitGroup
	for i, one := range list {
		wait.Go(func() { want[i] = b.theirAnswer(one) })
	}
	got := make([]string, len(list))
	for i, one := range list {
		got[i] = b.answer(one)
	}
	wait.Wait()
	for i := range list {
		if got[i] != want[i] {
			b.t.Errorf("%q\ngot  %s\nwant %s", list[i], got[i], want[i])
		}
	}
	// A line that its log process has not got yet when it is stopped is never written.
	for end := time.Now().Add(5 * time.Second); b.theirLines() != b.ourLines() && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	b.theirs.Stop()
	if got, want := b.ourLines(), b.theirLines(); got != want {
		b.t.Errorf("our log:\n%stheir log:\n%s", got, want)
	}
}

func (b *beside) answer(one string) string {
	words := strings.Split(one, " ")
	ctx := context.Background()
	r := auth.Request{Service: "doveadm", Mechanism: "PLAIN", Remote: netip.MustParseAddrPort("11.1.2.3:0"), ClientPID: 1, NoPenalty: true}
	switch words[0] {
	case "user":
		u, err := b.ours.User(ctx, r, words[1])
		if err != nil {
			return err.Error()
		}
		return userText(u)
	case "lookup":
		reply, err := b.ours.Lookup(ctx, r, words[1])
		if err != nil {
			return err.Error()
		}
		return fieldText(reply)
	}
	reply := b.ours.Login(ctx, r, words[1], words[2])
	if words[0] == "test" || !reply.OK {
		return replyText(reply)
	}
	u, err := b.ours.Finish(ctx, reply)
	if err != nil {
		return replyText(reply) + "; no userdb"
	}
	return replyText(reply) + "; " + userText(u)
}

func fieldText(reply *auth.Reply) string {
	fields := []string{"user=" + reply.User}
	for _, f := range reply.Fields {
		if f.Value == "" && f.Key != "original_user" {
			fields = append(fields, f.Key)
		} else {
			fields = append(fields, f.Key+"="+f.Value)
		}
	}
	if reply.Code != "" {
		fields = append(fields, "code="+string(reply.Code))
	}
	return inOrder(fields)
}

func replyText(reply *auth.Reply) string {
	if reply.OK {
		return "succeeded " + fieldText(reply)
	}
	return "failed " + fieldText(reply)
}

func userText(u *auth.User) string {
	fields := []string{u.Name}
	for _, f := range u.Fields {
		fields = append(fields, f.Key+"="+f.Value)
	}
	return inOrder(fields)
}

func inOrder(fields []string) string {
	slices.Sort(fields)
	return strings.Join(slices.Compact(fields), " ")
}

// theirAnswer has for a login "passdb: NAME auth succeeded", then "extra fields:" and a line for each, then maybe
// "userdb extra fields:" and lines; for users a table.
func (b *beside) theirAnswer(one string) string {
	words := strings.Split(one, " ")
	args := append([]string{"-c", b.theirs.Config(), "auth", words[0], "-x", "rip=11.1.2.3"}, words[1:]...)
	if words[0] == "user" {
		args = []string{"-c", b.theirs.Config(), "user", "-x", "rip=11.1.2.3", words[1]}
	}
	cmd := exec.Command("doveadm", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	b2, _ := cmd.CombinedOutput() // a login that fails is a failure of the command
	out := string(b2)
	switch {
	case strings.Contains(out, "doesn't exist"):
		return auth.ErrUnknown.Error()
	case words[0] != "login" && strings.Contains(out, "lookup failed"), strings.Contains(out, "Configured passdbs don't support"):
		return auth.ErrTemporary.Error()
	}
	switch words[0] {
	case "user":
		name := words[1]
		var fields []string
		for line := range strings.Lines(out) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			switch {
			case key == "user":
				name = value
			case key == "field", key == "mail", value == "":
			default:
				fields = append(fields, key+"="+value)
			}
		}
		return inOrder(append(fields, name))
	case "lookup":
		_, out, _ = strings.Cut(out, "\n")
		return inOrder(strings.Fields(strings.NewReplacer(" : ", "=", " ", "").Replace(out)))
	}
	head, rest, _ := strings.Cut(out, "extra fields:")
	if !strings.Contains(head, "passdb: ") {
		return out
	}
	verdict := "failed "
	if strings.Contains(head, "auth succeeded") {
		verdict = "succeeded "
	}
	rest, found, hasUser := strings.Cut(rest, "userdb extra fields:")
	rest, _, _ = strings.Cut(rest, "userdb lookup failed")
	text := verdict + inOrder(strings.Fields(rest))
	if words[0] == "test" || verdict == "failed " {
		return text
	}
	if !hasUser {
		return text + "; no userdb"
	}
	fields := strings.Fields(found)
	fields = slices.DeleteFunc(fields, func(f string) bool { return strings.HasPrefix(f, "auth_") || strings.HasPrefix(f, "master_user=") })
	return text + "; " + inOrder(fields)
}

// anonymous takes off of whom a line speaks where Dovecot has forgotten it in some cases and we have not.
func anonymous(line string) string {
	for _, text := range []string{"User found from deny passdb", "Master user logging in as", "Username character disallowed", "Empty username"} {
		if _, rest, ok := strings.Cut(line, "): "+text); ok {
			return "Info: " + text + rest
		}
	}
	return line
}

// theirLines are the lines of Dovecot's auth process, without their time, sorted.
func (b *beside) theirLines() string {
	dir := filepath.Dir(b.theirs.Config())
	var list []string
	for _, name := range []string{"info.log", "dovecot.log"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue // nothing was logged there
		}
		for line := range strings.Lines(string(text)) {
			if _, rest, ok := strings.Cut(line, " auth: "); ok {
				list = append(list, anonymous(rest))
			}
		}
	}
	slices.Sort(list)
	return strings.Join(list, "")
}

func (b *beside) ourLines() string {
	var list []string
	for line := range strings.Lines(b.log.String()) {
		level, text, _ := strings.Cut(line, ": ")
		list = append(list, anonymous(level[:1]+strings.ToLower(level[1:])+": "+text))
	}
	slices.Sort(list)
	return strings.Join(list, "")
}
