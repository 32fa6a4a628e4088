package passwdfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// clock is a time that tests set.
type clock struct{ now time.Time }

func (c *clock) tick() { c.now = c.now.Add(time.Second) }

// fixture is a list with both databases on it.
type fixture struct {
	t     *testing.T
	path  string
	clock *clock
	log   bytes.Buffer
	pass  *PassDB
	user  *UserDB
	files *Files
}

func newFixture(t *testing.T, text string) *fixture {
	t.Helper()
	f := &fixture{t: t, path: filepath.Join(t.TempDir(), "users"), clock: &clock{time.Unix(1_700_000_000, 0)}}
	f.write(text)
	f.open(f.path, nil)
	return f
}

func (f *fixture) open(path string, format *variable.Template) {
	f.t.Helper()
	files, err := NewFiles(template(f.t, path), slog.New(slog.NewTextHandler(&f.log, nil)))
	if err != nil {
		f.t.Fatal(err)
	}
	files.Now = func() time.Time { return f.clock.now }
	f.files = files
	o := Options{Files: files, Format: format, Alone: true}
	f.pass, f.user = NewPassDB(o), NewUserDB(o)
}

func template(t *testing.T, text string) *variable.Template {
	t.Helper()
	parsed, err := variable.Parse23(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func (f *fixture) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o640); err != nil {
		f.t.Fatal(err)
	}
}

func request(user string) *auth.Request {
	return &auth.Request{User: user, Requested: user, Service: "imap"}
}

// says gives what both databases say of a user, in one line.
func (f *fixture) says(user string) string {
	pass, err1 := f.pass.Find(context.Background(), request(user))
	found, err2 := f.user.Find(context.Background(), request(user))
	return fmt.Sprint(words(pass, err1), " | ", words(found, err2))
}

func words(fields auth.Fields, err error) string {
	if err != nil {
		return err.Error()
	}
	var list []string
	for _, x := range fields {
		list = append(list, x.Key+"="+x.Value)
	}
	return strings.Join(list, " ")
}

// What real Dovecot says of the same lines is compared in serve/authconf.
func TestWhatTheDatabasesSayOfALine(t *testing.T) {
	f := newFixture(t, strings.Join([]string{
		"# comment", "", ":nobody",
		"full:{PLAIN}x:5:6:gecos:/h/%u:sh:nologin fa=1 fa=2 userdb_x=%Uu userdb_bare userdb_=y userdb_home=/other/%n",
		"twice:{PLAIN}first:5:6::/h", "twice:{PLAIN}second:5:6::/h",
		"name", "two:{PLAIN}x", "three:{PLAIN}x:5", "four:{PLAIN}x:5:6", "none:{PLAIN}x::",
		"zero:{PLAIN}x:0:6", "zero:{PLAIN}later:5:6", "named:{PLAIN}x:root2:6", "root:{PLAIN}x:root:6", "mail:{PLAIN}x:5:6::/h:::mbox:~/mail:a",
		`o\'brien:{PLAIN}x:5:6::/h`, "crlf:{PLAIN}x:5:6::/h::q=1\r",
		"des:abcdefghijklm[13]:5:6", "md5:0123456789abcdef0123456789abcdef[34]:5:6", "digest:0123456789abcdef0123456789abcdef[56]:5:6",
		"short:0123[56]:5:6", "other:hash[99]:5:6", "dollar:$1$x[13]:5:6", "zerobyte:a\x00b:5:6", "bad:{PLAIN}x:5:6::/h::a=%{nosuch}",
	}, "\n"))
	for _, tc := range []struct{ user, want string }{
		{"full", "password={PLAIN}x nologin= fa=2 userdb_x=FULL userdb_bare= userdb_=y userdb_home=/other/full | uid=5 gid=6 home=/other/full x=FULL bare="},
		{"twice", "password={PLAIN}first | uid=5 gid=6 home=/h"},
		{"name", "password= | unknown user"},
		{"two", "password={PLAIN}x | unknown user"},
		{"three", "password={PLAIN}x | unknown user"},
		{"four", "password={PLAIN}x | uid=5 gid=6"},
		{"none", "password={PLAIN}x | "},
		{"zero", "password={PLAIN}later | uid=5 gid=6"},
		{"named", "unknown user | unknown user"},
		{"root", "unknown user | unknown user"},
		{"mail", "password={PLAIN}x userdb_mail=mbox:~/mail:a | uid=5 gid=6 home=/h mail=mbox:~/mail:a"},
		{"o'brien", "password={PLAIN}x | uid=5 gid=6 home=/h"},
		{`o\'brien`, "unknown user | unknown user"},
		{"crlf", "password={PLAIN}x q=1 | uid=5 gid=6 home=/h"},
		{"des", "password={CRYPT}abcdefghijklm | uid=5 gid=6"},
		{"md5", "password={PLAIN-MD5}0123456789abcdef0123456789abcdef | uid=5 gid=6"},
		{"digest", "password={DIGEST-MD5}0123456789abcdef0123456789abcdef | uid=5 gid=6"},
		{"short", "unknown user | unknown user"},
		{"other", "password={CRYPT}hash | uid=5 gid=6"},
		{"dollar", "password=$1$x[13] | uid=5 gid=6"},
		{"zerobyte", "unknown user | unknown user"},
		{"bad", "Failed to expand extra field a: Unknown variable '%nosuch' | uid=5 gid=6 home=/h"},
		{"nosuch", "unknown user | unknown user"},
		{"# comment", "unknown user | unknown user"},
		{"", "unknown user | unknown user"},
	} {
		if got := f.says(tc.user); got != tc.want {
			t.Errorf("%s: %s\nwant %s", tc.user, got, tc.want)
		}
	}
	for _, want := range []string{
		"User twice exists more than once", "User name is missing userdb info", "User two is missing userdb info",
		"User zero has invalid UID '0'", "User named has invalid UID 'root2'", "User short has invalid password", "User zerobyte has a zero byte",
	} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, f.log.String())
		}
	}
}

func TestTheFileIsReadAgainWhenItHasChanged(t *testing.T) {
	f := newFixture(t, "ann:{PLAIN}one:5:6\n")
	want := func(when, password string) {
		t.Helper()
		fields, err := f.pass.Find(context.Background(), request("ann"))
		if got := words(fields, err); !strings.HasPrefix(got, password) {
			t.Errorf("%s: %s, want %s", when, got, password)
		}
	}
	want("at first", "password={PLAIN}one")
	f.write("ann:{PLAIN}three:5:6\n")
	want("in the same second", "password={PLAIN}one")
	f.clock.tick()
	want("a second later", "password={PLAIN}three")

	// The same size and time, but another file.
	other := f.path + ".new"
	if err := os.WriteFile(other, []byte("ann:{PLAIN}seven:5:6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(f.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chtimes(other, info.ModTime(), info.ModTime()), os.Rename(other, f.path)); err != nil {
		t.Fatal(err)
	}
	f.clock.tick()
	want("replaced", "password={PLAIN}seven")

	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	want("deleted, in the same second", "password={PLAIN}seven")
	f.clock.tick()
	want("deleted", "missing passwd file: "+f.path)
	want("deleted, asked again", "missing passwd file: "+f.path)
	if _, err := f.pass.Find(context.Background(), request("ann")); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("deleted: %v, want an unknown user", err)
	}
	f.write("ann:{PLAIN}nine:5:6\n")
	f.clock.tick()
	want("there again", "password={PLAIN}nine")
}

func TestAFileThatCannotBeReadIsAFailureAndNotAnUnknownUser(t *testing.T) {
	f := newFixture(t, "ann:{PLAIN}one:5:6\n")
	for name, path := range map[string]string{"a folder": t.TempDir(), "a loop of links": loop(t), "a fifo": fifo(t)} {
		f.open(path, nil)
		fields, err := f.pass.Find(context.Background(), request("ann"))
		if err == nil || errors.Is(err, auth.ErrUnknown) || fields != nil {
			t.Errorf("%s: %v, %v", name, fields, err)
		}
		if err := f.files.Load(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: loading said %v", name, err)
		}
	}
	f.open(filepath.Join(t.TempDir(), "none"), nil)
	if err := f.files.Load(); err == nil || !strings.HasSuffix(err.Error(), "/none) failed: No such file or directory") {
		t.Errorf("missing at the start: %v", err)
	}
}

// A line that is none of an account may have anything in it.
func TestALineThatIsNoAccountIsNotShown(t *testing.T) {
	f := newFixture(t, "\ufeffann:{PLAIN}one:5:6\nbob {PLAIN}secret 5 6\ntab\t{PLAIN}secret\n"+strings.Repeat("x", 100)+"secret\n"+
		"long:{PLAIN}secret:5:6::/"+strings.Repeat("x", 2<<20)+"\ncarl:{PLAIN}one:5:6\n")
	NewUserDB(Options{Files: f.files, Alone: true})
	if err := f.files.Load(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"begins with a byte order mark", ":User bob… is missing userdb info", ":User tab… is missing", ":User " + strings.Repeat("x", 64) + "… is missing",
		":User long has a line of ",
	} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if log := f.log.String(); strings.Contains(log, "secret") || len(log) > 1000 {
		t.Errorf("the log has\n%.2000s", log)
	}
	if got := f.says("carl"); got != "password={PLAIN}one | uid=5 gid=6" {
		t.Error(got)
	}
	if got := f.says("long"); !strings.HasPrefix(got, "unknown user") {
		t.Error(got)
	}
}

func loop(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "loop")
	if err := os.Symlink(path, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func fifo(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAPathWithVariablesDoesNotLeaveItsFolder(t *testing.T) {
	f := newFixture(t, "")
	dir := filepath.Dir(f.path)
	for path, text := range map[string]string{"x.org/list": "ann:{PLAIN}one:5:6\n", "secret": "ann:{PLAIN}two:5:6\n", "x.org/u..": "a:b\n"} {
		full := filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	f.open(dir+"/%d/list", template(t, "%n"))
	for _, tc := range []struct{ user, want string }{
		{"ann@x.org", "password={PLAIN}one"},
		{"ann@x.org/../y", "password={PLAIN}one"}, // the rest is dropped
		{"ann@y.org", "missing passwd file: " + dir + "/y.org/list"},
		{"ann@..", "the name leads out of its folder"},
		{"ann@../x.org", "the name leads out of its folder"},
		{"ann@/etc", "missing passwd file: " + dir + "//list"},
		{"ann@x.org\x00", "the name leads out of its folder"},
		{"ann@" + strings.Repeat("x", 1<<20), "stat("},
	} {
		fields, err := f.pass.Find(context.Background(), request(tc.user))
		if got := words(fields, err); !strings.HasPrefix(got, tc.want) {
			t.Errorf("%.40q: %.200s, want %s", tc.user, got, tc.want)
		}
	}
	if n := len(f.files.lists); n != 1 {
		t.Errorf("%d lists are kept, want the one that is there", n)
	}
	for name, err := range f.user.Users(context.Background(), &auth.Request{}) {
		if err == nil || name != "" {
			t.Errorf("listing gave %q, %v", name, err)
		}
	}
}

func TestUsersAreListedInTheOrderOfTheFile(t *testing.T) {
	f := newFixture(t, "b:x:5:6\n#c\nname\ntwo:x\na:x:5:6\nb:y:7:8\n"+`o\'brien:x:5:6`+"\n:no\nthree:x:5")
	for _, tc := range []struct {
		alone bool
		want  []string
	}{
		{true, []string{"b", "name", "two", "a", "b", "o'brien", "three"}},
		{false, []string{"b", "a", "b", "o'brien", "three"}},
	} {
		db := NewUserDB(Options{Files: f.files, Alone: tc.alone})
		var got []string
		for name, err := range db.Users(context.Background(), &auth.Request{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, name)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("alone %v: %q, want %q", tc.alone, got, tc.want)
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range f.user.Users(ended, &auth.Request{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after the end: %v", err)
		}
	}
}

func TestSettingAPasswordChangesNothingElse(t *testing.T) {
	const text = "# our users\n\nann:{PLAIN}one:5:6:Ann:/h::x=1\r\nbob\ncy:old[13]:5:6\nbad:x:0:6\nbad:y:5:6\nann:{PLAIN}second:7:8\n" + `o\'brien:x:5:6`
	f := newFixture(t, text)
	for _, tc := range []struct{ user, old, new string }{
		{"ann", "ann:{PLAIN}one:", "ann:{NEW}$1:"},
		{"bob", "bob\n", "bob:{NEW}$1\n"},
		{"cy", "cy:old[13]:", "cy:{NEW}$1:"},
		{"bad", "bad:y:", "bad:{NEW}$1:"},
		{"o'brien", `o\'brien:x:`, `o\'brien:{NEW}$1:`},
	} {
		f.write(text)
		if os.Geteuid() == 0 {
			if err := os.Chown(f.path, 1234, 5678); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := os.Stat(f.path)
		f.clock.tick()
		have, err := f.pass.Find(context.Background(), request(tc.user))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.pass.Set(context.Background(), request(tc.user), have.Value("password"), "{NEW}$1"); err != nil {
			t.Fatalf("%s: %v", tc.user, err)
		}
		got, err := os.ReadFile(f.path)
		if want := strings.Replace(text, tc.old, tc.new, 1); string(got) != want || err != nil {
			t.Errorf("%s:\n%q, want\n%q", tc.user, got, want)
		}
		after, _ := os.Stat(f.path)
		a, b := before.Sys().(*syscall.Stat_t), after.Sys().(*syscall.Stat_t)
		if a.Uid != b.Uid || a.Gid != b.Gid || before.Mode() != after.Mode() {
			t.Errorf("%s: %d:%d %v became %d:%d %v", tc.user, a.Uid, a.Gid, before.Mode(), b.Uid, b.Gid, after.Mode())
		}
		if got := f.says(tc.user); !strings.HasPrefix(got, "password={NEW}$1") {
			t.Errorf("%s: asked at once: %s", tc.user, got)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(f.path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestSettingAPasswordThatCannotBeSet(t *testing.T) {
	f := newFixture(t, "ann:{PLAIN}one:5:6\n")
	for name, stored := range map[string]string{"a colon": "{PLAIN}secret:", "a newline": "{PLAIN}secret\nroot:x", "nothing": "", "a zero byte": "{PLAIN}secret\x00"} {
		if err := f.pass.Set(context.Background(), request("ann"), "{PLAIN}one", stored); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := f.pass.Set(context.Background(), request("ann"), "{PLAIN}other", "{PLAIN}x"); !errors.Is(err, auth.ErrChanged) {
		t.Errorf("what has changed meanwhile: %v", err)
	}
	if err := f.pass.Set(context.Background(), request("nosuch"), "{PLAIN}one", "{PLAIN}x"); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("unknown user: %v", err)
	}
	link := f.path + ".link"
	if err := os.Symlink(f.path, link); err != nil {
		t.Fatal(err)
	}
	f.open(link, nil)
	if err := f.pass.Set(context.Background(), request("ann"), "{PLAIN}one", "{PLAIN}new"); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(link); target != f.path || err != nil {
		t.Errorf("the link is now %q, %v", target, err)
	}
	if got := f.says("ann"); !strings.HasPrefix(got, "password={PLAIN}new") {
		t.Error(got)
	}
}

// Many set passwords of their own at once, in two databases on the same file; nobody's is lost.
func TestPasswordsSetAtTheSameTimeAreAllKept(t *testing.T) {
	const users = 40
	var text strings.Builder
	for n := range users {
		fmt.Fprintf(&text, "u%d:{PLAIN}old:5:6\n", n)
	}
	f := newFixture(t, text.String())
	g := &fixture{t: t, path: f.path, clock: f.clock}
	g.open(f.path, nil)
	var wait sync.WaitGroup
	for n := range users {
		wait.Go(func() {
			db := f.pass
			if n%2 == 0 {
				db = g.pass
			}
			if err := db.Set(context.Background(), request(fmt.Sprint("u", n)), "{PLAIN}old", fmt.Sprint("{PLAIN}new", n)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	f.clock.tick()
	for n := range users {
		if got, want := f.says(fmt.Sprint("u", n)), fmt.Sprint("password={PLAIN}new", n, " "); !strings.HasPrefix(got, want) {
			t.Errorf("u%d: %s", n, got)
		}
	}
}

// While one replaces the file again and again, every lookup sees a complete one.
func TestLookupsWhileTheFileIsReplaced(t *testing.T) {
	f := newFixture(t, "ann:{PLAIN}0:5:6\n")
	var now struct {
		sync.Mutex
		time.Time
	}
	f.files.Now = func() time.Time {
		now.Lock()
		defer now.Unlock()
		now.Time = now.Add(time.Second)
		return now.Time
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 200 {
			text := strings.Repeat("# filler\n", n) + fmt.Sprintf("ann:{PLAIN}%d:5:6\n", n)
			if err := os.WriteFile(f.path+".new", []byte(text), 0o600); err != nil {
				t.Error(err)
			}
			if err := os.Rename(f.path+".new", f.path); err != nil {
				t.Error(err)
			}
		}
	}()
	for {
		if got := f.says("ann"); !strings.HasPrefix(got, "password={PLAIN}") || !strings.HasSuffix(got, "uid=5 gid=6") {
			t.Errorf("in between: %s", got)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestManyAccountsTakeLittleMemory(t *testing.T) {
	const accounts = 200_000
	var text strings.Builder
	for n := range accounts {
		fmt.Fprintf(&text, "user%06d@example.com:{SHA512-CRYPT}$6$saltsalt$0123456789012345678901234567890123456789:5:6::/srv/mail/%d::\n", n, n)
	}
	f := newFixture(t, text.String())
	size := text.Len()
	text.Reset()
	before := heap()
	if got := f.says("user199999@example.com"); !strings.HasPrefix(got, "password={SHA512-CRYPT}$6$") {
		t.Fatal(got)
	}
	used := heap() - before
	runtime.KeepAlive(f)
	t.Logf("%d bytes of file, %d of memory", size, used)
	if used > int64(size)+accounts*80 {
		t.Errorf("%d accounts in %d bytes take %d bytes", accounts, size, used)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestStoredPasswords(t *testing.T) {
	for in, want := range map[string]string{"": "", "[13]": "[13]", "x[13]": "{CRYPT}x", "{PLAIN}x[13]": "{PLAIN}x[13]", "x[1]": "x[1]", "x[34]y": "x[34]y"} {
		if got, err := stored(in); got != want || err != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}
