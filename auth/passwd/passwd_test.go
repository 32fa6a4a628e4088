package passwd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dovetail/auth"
)

// etc writes the files of a system and gives the options for it, with a getent that fails.
func etc(t testing.TB, files map[string]string) Options {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Options{Etc: dir, Getent: script(t, "echo nobody asks getent >&2; exit 1")}
}

func script(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "getent")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

const accountsFile = `root:x:0:0:root:/root:/bin/bash
# a comment
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
+nis::::::
broken:x:none:100::/:
  ann:x:1001:1001:Ann,,,:/home/ann:/bin/sh
1000:x:1002:1001::/home/digits:
short:x:1003:1001:
neil:$6$salt$hash:1004:100::/home/neil:/bin/sh
ann:x:9999:9999:second::
last:x:60001:1001::/home/last:
`

func find(db auth.UserDB, user string) (string, error) {
	f, err := db.Find(context.Background(), &auth.Request{User: user})
	var words []string
	for _, x := range f {
		words = append(words, x.Key+"="+x.Value)
	}
	return strings.Join(words, " "), err
}

func TestFindInFiles(t *testing.T) {
	o := etc(t, map[string]string{"passwd": accountsFile, "nsswitch.conf": "passwd: files # and no more\n"})
	db, err := NewUserDB(o)
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{
		"ann":                      "system_groups_user=ann uid=1001 gid=1001 home=/home/ann",
		"root":                     "system_groups_user=root uid=0 gid=0 home=/root",
		"1000":                     "system_groups_user=1000 uid=1002 gid=1001 home=/home/digits",
		"short":                    "system_groups_user=short uid=1003 gid=1001 home=",
		"ANN":                      "",
		"broken":                   "",
		"nis":                      "",
		"+nis":                     "",
		"# a comment":              "",
		"nosuch":                   "",
		"0":                        "",
		"":                         "",
		"ann:x":                    "",
		"ann\x00":                  "",
		"ann\nroot":                "",
		"-ann":                     "",
		"../passwd":                "",
		strings.Repeat("a", 1<<20): "",
	} {
		got, err := find(db, user)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%.20q: %s, %v", user, got, err)
		}
	}
}

func names(t *testing.T, db auth.Lister) []string {
	t.Helper()
	var list []string
	for name, err := range db.Users(context.Background(), &auth.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, name)
	}
	return list
}

func TestUsersWithinBounds(t *testing.T) {
	o := etc(t, map[string]string{"passwd": accountsFile})
	for _, tc := range []struct {
		first, last, firstGID, lastGID uint32
		want                           string
	}{
		{500, 0, 0, 0, "ann 1000 short neil ann last"},
		{500, 60000, 0, 0, "ann 1000 short neil ann"},
		{500, 60000, 1, 999, "neil"},
		{0, 0, 0, 0, "root mail ann 1000 short neil ann last"},
	} {
		o.FirstUID, o.LastUID, o.FirstGID, o.LastGID = tc.first, tc.last, tc.firstGID, tc.lastGID
		db, _ := NewUserDB(o)
		if got := strings.Join(names(t, db), " "); got != tc.want {
			t.Errorf("%+v: %s", tc, got)
		}
	}
}

func TestFilesAreReadAgainWhenTheyChange(t *testing.T) {
	o := etc(t, map[string]string{"passwd": accountsFile})
	db, _ := NewUserDB(o)
	if _, err := find(db, "new"); !errors.Is(err, auth.ErrUnknown) {
		t.Fatal(err)
	}
	path := filepath.Join(o.Etc, "passwd")
	if err := os.WriteFile(path, []byte(accountsFile+"new:x:5:5::/n:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := find(db, "new"); err != nil || !strings.Contains(got, "uid=5 ") {
		t.Errorf("%s, %v", got, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := find(db, "new"); !errors.Is(err, os.ErrNotExist) || errors.Is(err, auth.ErrUnknown) {
		t.Errorf("without the file: %v", err)
	}
}

func TestSources(t *testing.T) {
	for conf, want := range map[string]string{
		"":                                       "file",
		"group: sss\n":                           "file",
		"passwd: files\n":                        "file",
		"passwd:\tfiles systemd\n":               "file getent",
		"passwd: files sss # both\n":             "file getent",
		"passwd: sss files\n":                    "getent",
		"passwd: files [NOTFOUND=return] sss\n":  "getent",
		"passwd: compat\n":                       "getent",
		"#passwd: sss\npasswd: files\n":          "file",
		"passwd: sss\nshadow: files\n passwd:\n": "file",
	} {
		s := newSystem(etc(t, map[string]string{"nsswitch.conf": conf}))
		file, other, err := s.sources("passwd")
		var got []string
		if file {
			got = append(got, "file")
		}
		if other {
			got = append(got, "getent")
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v", conf, got, err)
		}
	}
}

// What getent is asked, and what its answers mean.
func TestGetent(t *testing.T) {
	o := etc(t, map[string]string{"passwd": accountsFile, "nsswitch.conf": "passwd: files sss\ngroup: files sss\n", "group": ""})
	asked := filepath.Join(o.Etc, "asked")
	o.Getent = script(t, fmt.Sprintf(`echo "$@" >>%s
case "$*" in
*passwd*Bob) echo 'bob:*:2001:2002::/home/bob:/bin/sh';;
passwd) printf 'root:x:0:0::/root:\n77:x:2077:2002::/home/77:\n';;
*group*staff) echo 'staff:*:2050:bob,ann';;
*initgroups*bob) echo 'bob                   2050 2051 2002 2050';;
*strange) echo '?';;
*crash) echo 'library is broken' >&2; exit 127;;
*) exit 2;;
esac`, asked))
	db, _ := NewUserDB(o)
	for user, want := range map[string]string{
		"Bob":  "user=bob system_groups_user=bob uid=2001 gid=2002 home=/home/bob",
		"77":   "system_groups_user=77 uid=2077 gid=2002 home=/home/77",
		"0":    "",
		"+0":   "",
		"--":   "",
		"-s":   "",
		"'":    "",
		"none": "",
	} {
		got, err := find(db, user)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%q: %s, %v", user, got, err)
		}
	}
	for user, want := range map[string]string{
		"strange": `getent passwd: cannot read what it gives for "strange"`,
		"crash":   `getent passwd: exit status 127: "library is broken\n"`,
	} {
		if _, err := find(db, user); err == nil || err.Error() != want || errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%s: %v", user, err)
		}
	}
	a := NewAccounts(o)
	if groups, err := a.Groups(context.Background(), "Bob"); err != nil || !reflect.DeepEqual(groups, []uint32{2002, 2050, 2051}) {
		t.Errorf("groups %v, %v", groups, err)
	}
	if gid, err := a.GID(context.Background(), "staff"); err != nil || gid != 2050 {
		t.Errorf("group %d, %v", gid, err)
	}
	for _, no := range []string{"nosuch", "2050", "", "a:b"} {
		if _, err := a.GID(context.Background(), no); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("group %q: %v", no, err)
		}
	}
	text, err := os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, line := range []string{"passwd -- Bob", "passwd -- -s", "passwd -- --", "passwd"} {
		if !slices.Contains(lines, line) {
			t.Errorf("nobody asked %q of %q", line, lines)
		}
	}
	if slices.Contains(lines, "passwd -- 0") || slices.Contains(lines, "group -- 2050") {
		t.Error("getent is asked for an id")
	}
}

func TestALookupIsGivenUp(t *testing.T) {
	o := etc(t, map[string]string{"passwd": "", "nsswitch.conf": "passwd: files sss\n"})
	o.Getent = script(t, "exec sleep 600")
	db, _ := NewUserDB(o)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := db.Find(ctx, &auth.Request{User: "ann"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	o.Getent = "/nonexistent/getent"
	db, _ = NewUserDB(o)
	if _, err := find(db, "ann"); err == nil || errors.Is(err, auth.ErrUnknown) {
		t.Errorf("without getent: %v", err)
	}
}

func TestGroupsInFiles(t *testing.T) {
	o := etc(t, map[string]string{"passwd": accountsFile, "group": "root:x:0:\nann:x:1001:\nstaff:x:50:ann,neil\n# x\nmail:x:8:ann\nempty:x\nstaff:x:51:ann\n"})
	a := NewAccounts(o)
	groups, err := a.Groups(context.Background(), "ann")
	if err != nil || !reflect.DeepEqual(groups, []uint32{1001, 50, 8, 51}) {
		t.Errorf("%v, %v", groups, err)
	}
	if _, err := a.Groups(context.Background(), "nosuch"); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("%v", err)
	}
	if gid, err := a.GID(context.Background(), "staff"); err != nil || gid != 50 {
		t.Errorf("%d, %v", gid, err)
	}
	if uid, err := a.UID(context.Background(), "neil"); err != nil || uid != 1004 {
		t.Errorf("%d, %v", uid, err)
	}
}

func TestPasswords(t *testing.T) {
	o := etc(t, map[string]string{"passwd": accountsFile + "star:*:1:1::/:\nempty::1:1::/:\n",
		"shadow": "ann:$6$s$h:1:0:99999:7:::\nlocked:!$6$s$h:1::::::\nnone:*:1::::::\nempty:::::::\n"})
	pass, _ := NewPassDB(o)
	shadow, _ := NewShadow(o)
	for _, tc := range []struct {
		db   auth.PassDB
		user string
		want string
		err  error
	}{
		{pass, "neil", "password=$6$salt$hash", nil},
		{pass, "ann", "", auth.ErrMismatch}, // it is in shadow
		{pass, "star", "", auth.ErrDisabled},
		{pass, "empty", "", auth.ErrDisabled},
		{pass, "nosuch", "", auth.ErrUnknown},
		{shadow, "ann", "password=$6$s$h", nil},
		{shadow, "locked", "", auth.ErrDisabled},
		{shadow, "none", "", auth.ErrDisabled},
		{shadow, "empty", "", auth.ErrDisabled},
		{shadow, "neil", "", auth.ErrUnknown},
		{shadow, "ann\x00", "", auth.ErrUnknown},
	} {
		got, err := find(tc.db, tc.user)
		if got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: %s, %v", tc.user, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "$6") {
			t.Errorf("%s: %v shows a hash", tc.user, err)
		}
	}
}

func FuzzFiles(f *testing.F) {
	f.Add([]byte(accountsFile))
	f.Add([]byte("passwd: files [NOTFOUND=return] sss\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, a := range parsePasswd(text).list {
			again, ok := parseAccount(fmt.Sprintf("%s:%s:%d:%d::%s:", a.name, a.password, a.uid, a.gid, a.home))
			if !ok || again != a {
				t.Errorf("%+v, written and read again %+v", a, again)
			}
		}
		parseShadows(text)
		parseGroups(text)
		parseSwitches(text)
	})
}
