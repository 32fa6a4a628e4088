package authconf

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/auth/passwd"
	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// accountsMachine has accounts that only a module of the name service switch knows, too.
func accountsMachine(t *testing.T) (*authtest.Machine, passwd.Options) {
	t.Helper()
	m := authtest.NewMachine(t)
	if !m.Mounted() {
		t.Skip("Dovecot sees other users only where mounts can be private (CAP_SYS_ADMIN)")
	}
	m.Etc("passwd", readFile(t, "/etc/passwd")+"ann:x:20001:20001:Ann,,,:/home/ann:/bin/sh\n4711:x:20002:20001::/home/digits:/bin/sh\n"+
		"nohome:x:20003:20001:::\nold:$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2:20004:20001::/home/old:\n")
	m.Etc("shadow", "ann:$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2:19000::::::\nlocked:!$5$x:1::::::\n4711:*:1::::::\nnohome:x:1::::::\n")
	m.Etc("nsswitch.conf", "passwd: files extrausers\ngroup: files extrausers\nshadow: files extrausers\n")
	m.File("/var/lib/extrausers/passwd", "elsa:x:21001:21002::/home/elsa:/bin/sh\n0815:x:21003:21002::/home/0815:/bin/sh\n")
	m.File("/var/lib/extrausers/group", "elves:x:21002:\n")
	m.File("/var/lib/extrausers/shadow", "elsa:$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2:19000::::::\n")
	m.Library(authtest.Unpacked(t, "usr/lib/libnss_extrausers.so.2"))
	return m, passwd.Options{Etc: filepath.Join(m.Root, "etc"), Getent: m.Program("/usr/bin/getent"), FirstUID: 20000, LastUID: 60000}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// in starts Dovecot in the machine.
func in(t *testing.T, m *authtest.Machine, settings string) *dovecot.Daemon {
	t.Helper()
	dovecot.Need(t)
	program, err := exec.LookPath("dovecot")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(program, m.Root) { // else it is the one of an earlier call
		t.Setenv("PATH", filepath.Dir(m.Program(program))+":"+os.Getenv("PATH"))
	}
	// What Dovecot starts gets no library path but of its own making.
	t.Setenv("LD_LIBRARY_PATH", filepath.Join(m.Root, "libraries"))
	m.File("dovecot.conf", "protocols = imap\nssl = no\nauth_verbose = yes\nauth_username_chars =\nfirst_valid_uid = 20000\nlast_valid_uid = 60000\n"+
		"import_environment = $import_environment LD_LIBRARY_PATH\nmail_location = maildir:/nonexistent\n"+settings)
	d := dovecot.ServeConf(t, filepath.Join(m.Root, "dovecot.conf"))
	s := client.Dial(t, client.IMAP, d.IMAPAddr, d.Log)
	s.Next() // its sockets are there
	s.Kill()
	return d
}

func TestUserdbPasswdBesideDovecot(t *testing.T) {
	m, o := accountsMachine(t)
	d := in(t, m, "passdb {\n  driver = static\n  args = password=x\n}\nuserdb {\n  driver = passwd\n}\n")
	db, err := passwd.NewUserDB(o)
	if err != nil {
		t.Fatal(err)
	}
	service, err := auth.New(auth.Options{FirstUID: 20000, LastUID: 60000, Accounts: passwd.NewAccounts(o), Log: slog.New(slog.DiscardHandler)},
		nil, []auth.UserEntry{{Driver: "passwd", DB: db, ImportAll: true}})
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"ann", "4711", "nohome", "elsa", "0815", "nosuch", "0", "20001", "+0", "-x", "o'brien"} {
		out, err := exec.Command("timeout", "60", "doveadm", "-c", d.Config(), "user", "--", user).Output()
		want := map[string]string{}
		for line := range strings.Lines(string(out)) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if key == "uid" || key == "gid" || key == "home" || key == "system_groups_user" {
				want[key] = value
			}
		}
		got := map[string]string{}
		u, ourErr := service.User(context.Background(), auth.Request{Service: "doveadm"}, user)
		if (err == nil) != (ourErr == nil) {
			t.Errorf("%s: Dovecot %v, here %v", user, err, ourErr)
			continue
		}
		if u != nil {
			for _, f := range u.Fields {
				got[f.Key] = f.Value
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: here %v, Dovecot %v", user, got, want)
		}
	}
	// The module's list ends with an error for Dovecot ("Address family not supported").
	m.Etc("nsswitch.conf", "passwd: files\n")
	d.Stop()
	d = in(t, m, "passdb {\n  driver = static\n  args = password=x\n}\nuserdb {\n  driver = passwd\n}\n")
	out, err := exec.Command("timeout", "60", "doveadm", "-c", d.Config(), "user", "*").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, d.Log())
	}
	var names strings.Builder
	for name, err := range service.Users(context.Background(), auth.Request{Service: "doveadm"}) {
		if err != nil {
			t.Fatal(err)
		}
		names.WriteString(name + "\n")
	}
	if names.String() != string(out) {
		t.Errorf("users here\n%sDovecot\n%s", names.String(), out)
	}
}

var authLine = regexp.MustCompile(`auth-worker<\d+>: \w+\([^)]*\): (.*)`)

func TestPassdbPasswdAndShadowBesideDovecot(t *testing.T) {
	m, o := accountsMachine(t)
	for driver, create := range map[string]func(passwd.Options) (*passwd.PassDB, error){"passwd": passwd.NewPassDB, "shadow": passwd.NewShadow} {
		d := in(t, m, fmt.Sprintf("passdb {\n  driver = %s\n}\nuserdb {\n  driver = passwd\n}\nservice auth-worker {\n  user = root\n}\n", driver))
		db, err := create(o)
		if err != nil {
			t.Fatal(err)
		}
		s := newSite(t, "", nil)
		service, err := auth.New(auth.Options{Verbose: true, Log: slog.New(lines{&s.log})}, []auth.PassEntry{{Driver: driver, DB: db, Scheme: "CRYPT", ImportAll: true}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, user := range []string{"ann", "elsa", "old", "nohome", "nosuch"} {
			for _, password := range []string{"secret", "wrong"} {
				path := filepath.Join(filepath.Dir(d.Config()), "info.log")
				before, _ := os.ReadFile(path)
				dovecotErr := exec.Command("timeout", "60", "doveadm", "-c", d.Config(), "auth", "test", "--", user, password).Run()
				after, _ := os.ReadFile(path)
				want := ""
				for _, l := range authLine.FindAllStringSubmatch(string(after[len(before):]), -1) {
					want += l[1] + "\n"
				}
				s.log.Reset()
				reply := service.Login(context.Background(), auth.Request{Service: "doveadm"}, user, password)
				got := ""
				for line := range strings.Lines(s.log.String()) {
					_, text, _ := strings.Cut(line, "): ")
					got += text
				}
				if reply.OK != (dovecotErr == nil) {
					t.Errorf("%s %s %q: here %+v, Dovecot %v", driver, user, password, reply, dovecotErr)
				}
				if want = strings.ReplaceAll(want, "invalid password field 'x'", "invalid password field"); got != want {
					t.Errorf("%s %s %q: here %q, Dovecot %q", driver, user, password, got, want)
				}
			}
		}
		d.Stop()
	}
}
