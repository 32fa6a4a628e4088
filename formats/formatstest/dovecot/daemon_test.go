package dovecot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// Users of a passwd-file log in by both protocols, with any characters in name and password, and see Courier's namespace.
func TestDaemonServesUsers(t *testing.T) {
	dir := dovecot.TempDir(t)
	uid, gid := dovecot.IDs()
	users := filepath.Join(dir, "users")
	text := ""
	for _, user := range []string{"ann@example.com", "neil+x=y/z@example.com"} {
		text += fmt.Sprintf("%s:{PLAIN}pass word:%d:%d::%s::\n", user, uid, gid, filepath.Join(dir, user))
	}
	if err := os.WriteFile(users, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d := dovecot.Serve(t, users)
	for _, user := range []string{"ann@example.com", "neil+x=y/z@example.com"} {
		s := d.Login(user, "pass word")
		s.Cmd("CREATE INBOX.Work")
		s.Append("INBOX", `\Seen`, "", "Subject: x\r\n\r\nx\r\n")
		if got := s.List(); len(got) != 2 || got[1].Name != "INBOX.Work" {
			t.Errorf("LIST %+v", got)
		}
		st := s.Status("INBOX")
		s.Close()
		p := d.LoginPOP(user, "pass word")
		if all := p.All(); len(all) != 1 || all[0].UIDL != fmt.Sprintf("UID1-%d", st.UIDValidity) {
			t.Errorf("POP3 shows %+v", all)
		}
		p.Quit()
	}
	d.Stop()
	d.MustBeClean()
}
