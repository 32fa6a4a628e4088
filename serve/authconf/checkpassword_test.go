package authconf

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"dovetail/auth"
	"dovetail/auth/checkpassword"
	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// checkScript knows ann, and shows by its exit codes what it thinks of some others.
const checkScript = `#!/bin/sh
{ read -r user; read -r password; } <<EOF
$(tr '\0' '\n' <&3)
EOF
case "$user" in
exit*) exit ${user#exit};;
silent) test -n "$AUTHORIZED" && exit 2; exit 0;;
ann|o\'brien) ;;
*) test -n "$AUTHORIZED" && exit 3; exit 1;;
esac
if test -n "$AUTHORIZED"; then AUTHORIZED=2; export AUTHORIZED
elif test "$password" != secret; then exit 1; fi
USER="$user-real" HOME="/home/ann dir" userdb_uid=1001 userdb_gid=1002 userdb_x="a=b" foo=bar
EXTRA="userdb_uid userdb_gid userdb_x foo missing"
export USER HOME EXTRA userdb_uid userdb_gid userdb_x foo
exec "$@"
`

const checkConf = `passdb {
  driver = checkpassword
  args = DIR/check
}
userdb {
  driver = checkpassword
  args = DIR/check
}
protocols = imap
ssl = no
auth_verbose = yes
auth_username_chars =
auth_failure_delay = 0
first_valid_uid = 1
mail_location = maildir:/nonexistent
`

// Both ask the same program with the same answers; the program that replies is Dovecot's for both.
func TestCheckpasswordBesideDovecot(t *testing.T) {
	dovecot.Need(t)
	if _, err := checkpassword.Locate(); err != nil {
		t.Skip(err)
	}
	s := newSite(t, checkConf, map[string]string{"check": checkScript})
	if err := os.Chmod(filepath.Join(s.dir, "check"), 0o755); err != nil {
		t.Fatal(err)
	}
	service := s.must()
	d := dovecot.ServeConf(t, s.conf)
	c := client.Dial(t, client.IMAP, d.IMAPAddr, d.Log)
	c.Next() // its sockets are there
	c.Kill()
	for _, tc := range []struct{ user, password string }{
		{"ann", "secret"}, {"ann", "wrong"}, {"ann", ""}, {"o'brien", "secret"}, {"bob", "secret"}, {"exit111", "x"}, {"exit2", "x"}, {"exit3", "x"},
		{"silent", "x"}, {"ann", strings.Repeat("x", 600)},
	} {
		want, code := fieldsOf(d, "auth", "test", tc.user, tc.password)
		reply := service.Login(context.Background(), auth.Request{Service: "doveadm"}, tc.user, tc.password)
		got := map[string]string{"user": reply.User}
		for _, f := range reply.Fields {
			if f.Key != "original_user" && !strings.HasPrefix(f.Key, "userdb_") {
				got[f.Key] = f.Value
			}
		}
		if reply.Code != "" {
			got["code"] = string(reply.Code)
		}
		if reply.OK != (code == 0) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s %.10s: here %v %v, Dovecot %v %v", tc.user, tc.password, reply.OK, got, code, want)
		}
	}
	for _, user := range []string{"ann", "o'brien", "bob", "exit111", "exit1", "exit0", "silent"} {
		want, code := fieldsOf(d, "user", user)
		u, err := service.User(context.Background(), auth.Request{Service: "doveadm"}, user)
		got := map[string]string{}
		if u != nil {
			for _, f := range u.Fields {
				got[f.Key] = f.Value
			}
		}
		if (err == nil) != (code == 0) || !reflect.DeepEqual(got, want) {
			t.Errorf("user %s: here %v %v, Dovecot %v %v", user, got, err, code, want)
		}
	}
}

// fieldsOf gives the fields that doveadm prints of a user, and its exit code.
func fieldsOf(d *dovecot.Daemon, args ...string) (fields map[string]string, code int) {
	cmd := exec.Command("timeout", append([]string{"60", "doveadm", "-c", d.Config()}, args...)...)
	out, _ := cmd.Output() // its exit code tells
	fields = map[string]string{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "\t")
		if !ok {
			key, value, ok = strings.Cut(line, "=")
		}
		if ok && key != "field" && key != "mail" && key != "original_user" {
			fields[key] = value
		}
	}
	return fields, cmd.ProcessState.ExitCode()
}
