package checkpassword

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Program is how the program reply is called.
const Program = "checkpassword-reply"

// places are where Dovecot's own program is, which does the same.
var places = []string{"/usr/libexec/dovecot", "/usr/lib/dovecot", "/usr/local/libexec/dovecot"}

// Locate finds the program reply: a link to dovetail beside the running program or in ../libexec/dovetail, else Dovecot's.
func Locate() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	here := filepath.Dir(self)
	for _, folder := range append([]string{here, filepath.Join(here, "..", "libexec", "dovetail")}, places...) {
		path := filepath.Join(folder, Program)
		if s, err := os.Stat(path); err == nil && s.Mode().IsRegular() && s.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("checkpassword: there is no program %s\nlink it beside %s: ln -s %s %s (make install does)", Program, self,
		filepath.Base(self), filepath.Join(here, Program))
}

// What Reply ends with.
const (
	replied   = 0
	refused   = 1
	found     = 2
	temporary = 111
)

// Answerer is what Reply knows of the process that it is.
type Answerer struct {
	Getenv             func(string) (string, bool)
	UID, EUID          int
	GID, EGID          int
	Answer, Complaints io.Writer // descriptor 4, standard error
}

// ThisProcess is the one that runs.
func ThisProcess() Answerer {
	return Answerer{os.LookupEnv, os.Getuid(), os.Geteuid(), os.Getgid(), os.Getegid(), os.NewFile(4, "descriptor 4"), os.Stderr}
}

// Reply writes the answer that the environment has: USER is user, HOME is userdb_home, and each variable that EXTRA names is a
// field in lower case. Without userdb_uid and userdb_gid there, those are of this process. It gives the exit code: 0, for a
// lookup (AUTHORIZED=2) 2, 1 for what cannot be said, 111.
//
// A process with the ids of a user could be made to say anything by other processes of that user. So the answer is given
// only if the program has not changed its uid (ORIG_UID says from what), or this process was started with ids of
// its file, or INSECURE_SETUID is set.
func (a Answerer) Reply() int {
	if err := a.safe(); err != nil {
		return a.complain(temporary, err)
	}
	var b strings.Builder
	add := func(key, value string) { b.WriteString(escape.Replace(key) + "=" + escape.Replace(value) + "\t") }
	for _, v := range []struct{ name, field string }{{"USER", "user"}, {"HOME", "userdb_home"}} {
		value, ok := a.Getenv(v.name)
		if strings.Contains(value, "\t") {
			return a.complain(refused, errors.New(v.name+" contains TAB"))
		}
		if ok {
			add(v.field, value)
		}
	}
	ids := map[string]int{"userdb_uid": a.UID, "userdb_gid": a.GID}
	extra, _ := a.Getenv("EXTRA")
	for name := range strings.SplitSeq(extra, " ") {
		if value, ok := a.Getenv(name); ok && name != "" {
			key := strings.ToLower(name)
			delete(ids, key)
			add(key, value)
		}
	}
	for _, key := range []string{"userdb_uid", "userdb_gid"} {
		if id, own := ids[key]; own {
			add(key, strconv.Itoa(id))
		}
	}
	if _, err := io.WriteString(a.Answer, b.String()); err != nil {
		return a.complain(temporary, err)
	}
	switch authorized, lookup := a.Getenv("AUTHORIZED"); {
	case !lookup:
		return replied
	case authorized == "2":
		return found
	}
	return a.complain(temporary, failure("Script doesn't support passdb/userdb lookup"))
}

func (a Answerer) complain(status int, err error) int {
	fmt.Fprintf(a.Complaints, "checkpassword: %v\n", err)
	return status
}

func (a Answerer) safe() error {
	if _, insecure := a.Getenv("INSECURE_SETUID"); insecure || a.UID != a.EUID || a.GID != a.EGID {
		return nil
	}
	text, there := a.Getenv("ORIG_UID")
	if uid, err := strconv.Atoi(text); err == nil && uid == a.UID {
		return nil
	}
	if !there {
		return errors.New("ORIG_UID was dropped from the environment, so it is not known whether other processes can change the answer")
	}
	return errors.New("the program has changed its uid, so that other processes can change the answer; let it put userdb_uid into EXTRA instead")
}
