package checkpassword

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// The test's program is the program reply when it is called so.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == Program {
		os.Exit(ThisProcess().Reply())
	}
	os.Exit(m.Run())
}

// options are for a program with this text, which sees the folder of the test as $1 and reply as $2.
func options(t testing.TB, text string) (o Options, dir string) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "check")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o.Reply = filepath.Join(dir, Program)
	if err := os.Symlink(self, o.Reply); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{path, dir} {
		o.Command = append(o.Command, template(t, word))
	}
	return o, dir
}

func template(t testing.TB, text string) *variable.Template {
	t.Helper()
	parsed, err := variable.Parse23(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// knows is a program with one user, ann.
const knows = `dir=$1; shift
tr '\0' '\n' <&3 >$dir/read
{ read user; read password; } <$dir/read
if test "$user" != ann; then test -n "$AUTHORIZED" && exit 3; exit 1; fi
if test -n "$AUTHORIZED"; then export AUTHORIZED=2
elif test "$password" != secret; then exit 1; fi
export USER=$user HOME="/home/ann dir" userdb_uid=1001 userdb_gid=1002 userdb_quota_rule='*:storage=1G' allow_nets=192.0.2.0/24 tab="a	b"
export EXTRA="userdb_uid userdb_gid userdb_quota_rule allow_nets tab missing"
exec "$@"
`

func login(o Options, user, password string) (auth.Fields, error) {
	db, err := NewPassDB(o)
	if err != nil {
		return nil, err
	}
	return db.Verify(context.Background(), &auth.Request{Service: "imap", User: user}, password)
}

var answered = auth.Fields{{Key: "user", Value: "ann"}, {Key: "userdb_home", Value: "/home/ann dir"}, {Key: "userdb_uid", Value: "1001"},
	{Key: "userdb_gid", Value: "1002"}, {Key: "userdb_quota_rule", Value: "*:storage=1G"}, {Key: "allow_nets", Value: "192.0.2.0/24"}, {Key: "tab", Value: "a\tb"}}

func TestLogins(t *testing.T) {
	o, dir := options(t, knows)
	fields, err := login(o, "ann", "secret")
	if err != nil || !reflect.DeepEqual(fields, answered) {
		t.Errorf("%v, %v", fields, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "read"))
	if err != nil || string(text) != "ann\nsecret\n\n" {
		t.Errorf("the program read %q, %v", text, err)
	}
	for _, tc := range []struct{ user, password string }{{"ann", "wrong"}, {"ann", ""}, {"bob", "secret"}, {"ann'; exit 0 #", "x"}} {
		_, err := login(o, tc.user, tc.password)
		if !errors.Is(err, auth.ErrMismatch) || err.Error() != "Login failed (status=1)" {
			t.Errorf("%q: %v", tc, err)
		}
	}
	pass, _ := NewPassDB(o)
	if fields, err := pass.Find(context.Background(), &auth.Request{User: "ann"}); err != nil || !reflect.DeepEqual(fields, answered) {
		t.Errorf("lookup: %v, %v", fields, err)
	}
	users, _ := NewUserDB(o)
	want := auth.Fields{{Key: "home", Value: "/home/ann dir"}, {Key: "uid", Value: "1001"}, {Key: "gid", Value: "1002"}, {Key: "quota_rule", Value: "*:storage=1G"}}
	if fields, err := users.Find(context.Background(), &auth.Request{User: "ann"}); err != nil || !reflect.DeepEqual(fields, want) {
		t.Errorf("user: %v, %v", fields, err)
	}
	if _, err := users.Find(context.Background(), &auth.Request{User: "bob"}); !errors.Is(err, auth.ErrUnknown) || err.Error() != "User unknown" {
		t.Errorf("no user: %v", err)
	}
}

func TestProgramsThatFail(t *testing.T) {
	for _, tc := range []struct{ name, text, login, lookup string }{
		{"temporary", "exit 111", "Child N exited with status 111", "Child N exited with status 111"},
		{"only for lookups", "exit 2", "Child N exited with status 2 (tried to use userdb-only checkpassword program for passdb?)", "Received no input"},
		{"only for logins", "exit 0", "Received no input", "Child N exited with status 0"},
		{"complains", "echo no database >&2; exit 5", `Child N exited with status 5: "no database"`, `Child N exited with status 5: "no database"`},
		{"repeats the password", "tr '\\0' ' ' <&3 >&2; exit 5", `Child N exited with status 5: "ann <password>"`, `Child N exited with status 5: "ann"`},
		{"repeats it at length", "(tr -d '\\0' <&3; head -c 509 /dev/zero | tr '\\0' x) >&2; exit 5",
			`Child N exited with status 5: "` + strings.Repeat("x", 509) + `"`, `Child N exited with status 5: "ann` + strings.Repeat("x", 509) + `"`},
		{"dies", "kill -9 $$", "Child N died with signal 9", "Child N died with signal 9"},
		{"NUL", `printf 'user=a\0b' >&4; exit ${AUTHORIZED:+2}`, "NUL characters in checkpassword reply", "NUL characters in checkpassword reply"},
		{"newline", `echo user=a >&4; exit ${AUTHORIZED:+2}`, "LF characters in checkpassword reply", "LF characters in checkpassword reply"},
		{"endless", "exec cat /dev/zero >&4", "N: answers more than 65536 bytes", "N: answers more than 65536 bytes"},
		{"does not know of lookups", "shift; unset AUTHORIZED; export AUTHORIZED=1; exec \"$@\"", `Child N exited with status 111: "checkpassword: Script doesn't support passdb/userdb lookup"`,
			`Child N exited with status 111: "checkpassword: Script doesn't support passdb/userdb lookup"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, _ := options(t, tc.text+"\n")
			_, err := login(o, "ann", "secret")
			users, _ := NewUserDB(o)
			_, lookup := users.Find(context.Background(), &auth.Request{User: "ann"})
			for _, x := range []struct {
				err  error
				want string
			}{{err, tc.login}, {lookup, tc.lookup}} {
				if x.err == nil || !like(x.err.Error(), x.want) || errors.Is(x.err, auth.ErrMismatch) || errors.Is(x.err, auth.ErrUnknown) {
					t.Errorf("%v, want %s", x.err, x.want)
				}
			}
		})
	}
}

// like compares texts, in the second of which N is any word's part.
func like(got, want string) bool {
	before, after, ok := strings.Cut(want, "N")
	if !ok || strings.HasPrefix(want, "NUL") {
		return got == want
	}
	return strings.HasPrefix(got, before) && strings.HasSuffix(got, after)
}

func TestRefusedRequests(t *testing.T) {
	o, dir := options(t, "touch $1/ran; exit 0\n")
	for _, tc := range []struct{ user, password, want string }{
		{"ann", strings.Repeat("x", 507), "Username+password combination too long (513 bytes)"},
		{"ann", strings.Repeat("x", 1<<20), "Username+password combination too long (1048582 bytes)"},
		{"ann", "secret\x00", "user name or password has a NUL, where it would end for the program"},
		{"ann\x00secret", "", "user name or password has a NUL, where it would end for the program"},
		{"", "secret", "empty user name"},
	} {
		if _, err := login(o, tc.user, tc.password); !errors.Is(err, auth.ErrMismatch) || err.Error() != tc.want {
			t.Errorf("%v, want %s", err, tc.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("the program was started")
	}
	if _, err := login(o, "ann", strings.Repeat("x", 506)); err == nil || err.Error() != "Received no input" {
		t.Errorf("512 bytes: %v", err)
	}
}

// A name stays one argument, and a password is in neither arguments nor environment.
func TestArgumentsAndEnvironment(t *testing.T) {
	o, dir := options(t, "for a; do echo \"$a\"; done >$1/args; env >$1/env; exit 1\n")
	o.Command = append(o.Command, template(t, "%u"), template(t, "fixed"))
	db, err := NewPassDB(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &auth.Request{Service: "pop3", Mechanism: "PLAIN", User: "ann -x; id@dom", Requested: "Ann", Password: "swordfish", Session: "abc",
		Remote: netip.MustParseAddrPort("192.0.2.7:4711"), Local: netip.MustParseAddrPort("[2001:db8::1]:110"),
		Pass: auth.Fields{{Key: "quota", Value: "1"}, {Key: "ld_preload", Value: "/x.so"}, {Key: "path", Value: "/x"}, {Key: "a-b", Value: "1"}, {Key: "password", Value: "{PLAIN}swordfish"}, {Key: "authorized", Value: "2"}}}
	db.Verify(context.Background(), r, "swordfish")
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	if want := fmt.Sprintf("%s\nann -x; id@dom\nfixed\n%s\n", dir, o.Reply); err != nil || string(args) != want {
		t.Errorf("arguments %q, %v, want %q", args, err, want)
	}
	text, err := os.ReadFile(filepath.Join(dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	env := strings.Split(string(text), "\n")
	for _, want := range []string{"PROTO=TCP", "SERVICE=pop3", "TCPREMOTEIP=192.0.2.7", "TCPREMOTEPORT=4711", "TCPLOCALIP=2001:db8::1", "TCPLOCALPORT=110",
		"LOCAL_IP=2001:db8::1", "REMOTE_IP=192.0.2.7", fmt.Sprintf("ORIG_UID=%d", os.Getuid()), "AUTH_USER=ann -x; id@dom", "AUTH_DOMAIN=dom", "AUTH_ORIG_USER=Ann",
		"AUTH_MECH=PLAIN", "AUTH_SESSION=abc", "QUOTA=1"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is not in the environment\n%s", want, text)
		}
	}
	for _, no := range []string{"swordfish", "LD_PRELOAD", "PATH=/x\n", "AUTHORIZED", "A-B"} {
		if strings.Contains(string(text), no) {
			t.Errorf("%s is in the environment\n%s", no, text)
		}
	}
}

func TestALoginIsGivenUp(t *testing.T) {
	o, dir := options(t, "exec sleep 600 # and keeps descriptor 4\n")
	db, _ := NewPassDB(o)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := db.Verify(ctx, &auth.Request{User: "ann"}, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v in %s", err, dir)
	}
}

func TestWrongOptions(t *testing.T) {
	for _, tc := range []struct {
		words []string
		want  string
	}{
		{nil, "checkpassword: there is no program"},
		{[]string{"check"}, "checkpassword: check is no absolute path"},
	} {
		var o Options
		for _, w := range tc.words {
			o.Command = append(o.Command, template(t, w))
		}
		if _, err := NewPassDB(o); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%v, want %s", err, tc.want)
		}
	}
	o := Options{Command: []*variable.Template{template(t, "/nonexistent/check")}, Reply: "/bin/true"}
	if _, err := login(o, "ann", "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	o.Command[0] = template(t, "%u")
	if _, err := login(o, "ann", "x"); err == nil || err.Error() != `"ann" is no absolute path` {
		t.Errorf("%v", err)
	}
}

func TestReply(t *testing.T) {
	for _, tc := range []struct {
		name   string
		env    map[string]string
		uid    int
		status int
		answer string
	}{
		{"ids of the process", map[string]string{"ORIG_UID": "7", "USER": "ann", "HOME": "/h"}, 7, 0, "user=ann\tuserdb_home=/h\tuserdb_uid=7\tuserdb_gid=8\t"},
		{"ids of the program", map[string]string{"ORIG_UID": "7", "EXTRA": "userdb_gid x none userdb_uid", "userdb_uid": "1", "userdb_gid": "2", "x": "\x01\t\n\r"}, 7, 0,
			"userdb_gid=2\tx=\x011\x01t\x01n\x01r\tuserdb_uid=1\t"},
		{"lookup", map[string]string{"ORIG_UID": "7", "AUTHORIZED": "2"}, 7, 2, "userdb_uid=7\tuserdb_gid=8\t"},
		{"lookup that was not understood", map[string]string{"ORIG_UID": "7", "AUTHORIZED": "1"}, 7, 111, "userdb_uid=7\tuserdb_gid=8\t"},
		{"tab in the name", map[string]string{"ORIG_UID": "7", "USER": "a\tb"}, 7, 1, ""},
		{"tab in the home", map[string]string{"ORIG_UID": "7", "HOME": "a\tb"}, 7, 1, ""},
		{"another uid", map[string]string{"ORIG_UID": "0", "USER": "ann"}, 7, 111, ""},
		{"no uid", map[string]string{"USER": "ann"}, 7, 111, ""},
		{"another uid, but it is wanted", map[string]string{"INSECURE_SETUID": "1"}, 9, 0, "userdb_uid=9\tuserdb_gid=8\t"},
	} {
		var answer, complaints bytes.Buffer
		a := Answerer{func(name string) (string, bool) { v, ok := tc.env[name]; return v, ok }, tc.uid, tc.uid, 8, 8, &answer, &complaints}
		if status := a.Reply(); status != tc.status || answer.String() != tc.answer || (status%111 == 1 || status == 111) != (complaints.Len() > 0) {
			t.Errorf("%s: %d, %q, %q", tc.name, status, answer.String(), complaints.String())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("user=ann\tuserdb_home=/h\ta\x01t=b\x011\t"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, err := parse(b)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, x := range fields {
			again.WriteString(escape.Replace(x.Key) + "=" + escape.Replace(x.Value) + "\t")
		}
		if again.Len() == 0 {
			return
		}
		if got, err := parse([]byte(again.String())); err != nil || !reflect.DeepEqual(got, fields) {
			t.Errorf("%q gave %q, written and read again %q, %v", b, fields, got, err)
		}
	})
}
