package passwd_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/auth/passwd"
)

// extra is a system with users that only a module of the name service switch knows.
func extra(t testing.TB) passwd.Options {
	t.Helper()
	module := authtest.Unpacked(t, "usr/lib/libnss_extrausers.so.2")
	m := authtest.NewMachine(t)
	m.User("ann:x:20001:20001::/home/ann:/bin/sh", "!:1::::::")
	m.Etc("nsswitch.conf", "passwd: files extrausers\ngroup: files extrausers\nshadow: files extrausers\n")
	m.File("/var/lib/extrausers/passwd", "elsa:x:21001:21002::/home/elsa:/bin/sh\n4711:x:24711:21002::/home/4711:\n-dash:x:21003:21002::/home/dash:\n")
	m.File("/var/lib/extrausers/shadow", "elsa:$6$salt$hash:1::::::\n")
	m.File("/var/lib/extrausers/group", "users2:x:21002:\nclub:x:21050:elsa,ann\n")
	m.Library(module)
	return passwd.Options{Etc: filepath.Join(m.Root, "etc"), Getent: m.Program("/usr/bin/getent"), FirstUID: 20000}
}

func TestR137UsersOfAModule(t *testing.T) {
	o := extra(t)
	db, _ := passwd.NewUserDB(o)
	for user, want := range map[string]auth.Fields{
		"elsa":  {{Key: "system_groups_user", Value: "elsa"}, {Key: "uid", Value: "21001"}, {Key: "gid", Value: "21002"}, {Key: "home", Value: "/home/elsa"}},
		"4711":  {{Key: "system_groups_user", Value: "4711"}, {Key: "uid", Value: "24711"}, {Key: "gid", Value: "21002"}, {Key: "home", Value: "/home/4711"}},
		"21001": nil, "0": nil, "nosuch": nil, "--help": nil, "-": nil,
	} {
		got, err := db.Find(context.Background(), &auth.Request{User: user})
		if !reflect.DeepEqual(got, want) || (err != nil) != errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%s: %v, %v", user, got, err)
		}
	}
	var all []string
	for name, err := range db.Users(context.Background(), &auth.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
	}
	if got := strings.Join(all, " "); !strings.Contains(got, "ann elsa 4711") {
		t.Errorf("users %s", got)
	}
	a := passwd.NewAccounts(o)
	for user, want := range map[string][]uint32{"elsa": {21002, 21050}, "ann": {20001, 21050}} {
		if groups, err := a.Groups(context.Background(), user); err != nil || !reflect.DeepEqual(groups, want) {
			t.Errorf("groups of %s: %v, %v", user, groups, err)
		}
	}
	if gid, err := a.GID(context.Background(), "club"); err != nil || gid != 21050 {
		t.Errorf("club is %d, %v", gid, err)
	}
	shadow, _ := passwd.NewShadow(o)
	if f, err := shadow.Find(context.Background(), &auth.Request{User: "elsa"}); err != nil || f.Value("password") != "$6$salt$hash" {
		t.Errorf("shadow: %v, %v", f, err)
	}
}

// Who may not read shadow is told what to do, and no password is called wrong.
func TestShadowIsForRoot(t *testing.T) {
	const mark = "DOVETAIL_TEST_ETC"
	if dir := os.Getenv(mark); dir != "" {
		db, _ := passwd.NewShadow(passwd.Options{Etc: dir})
		_, err := db.Find(context.Background(), &auth.Request{User: "ann"})
		if !errors.Is(err, os.ErrPermission) || errors.Is(err, auth.ErrUnknown) || !strings.Contains(err.Error(), "run the auth service as root, or use passdb pam") {
			t.Errorf("%v", err)
		}
		return
	}
	m := authtest.NewMachine(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The test's program is where only root can go.
	copied := filepath.Join(m.Root, "passwd.test")
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, text, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(copied, "-test.run", "TestShadowIsForRoot$")
	cmd.Env, cmd.Dir = append(os.Environ(), mark+"="+filepath.Join(m.Root, "etc")), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func BenchmarkFind(b *testing.B) {
	run := func(name string, o passwd.Options, user string) {
		db, _ := passwd.NewUserDB(o)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := db.Find(context.Background(), &auth.Request{User: user}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("file", passwd.Options{}, "root")
	etc := b.TempDir()
	if err := os.WriteFile(filepath.Join(etc, "nsswitch.conf"), []byte("passwd: compat\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	run("getent", passwd.Options{Etc: etc}, "root")
}
