package variable

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dovecot23 lets real Dovecot 2.3 expand templates for a user: the prefix of
// the one log line that an IMAP session without commands writes.
func dovecot23(t *testing.T, user string, templates []string) []string {
	t.Helper()
	program, err := exec.LookPath("doveadm")
	if err != nil {
		t.Skip("doveadm of Dovecot 2.3 is not installed")
	}
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o777); err != nil {
		t.Fatal(err)
	}
	owner := os.Getuid()
	if owner == 0 { // Dovecot does not open root's mail
		owner = 65534
		if err := errors.Join(os.Chown(home, owner, owner), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	const between = "\x02"
	prefix := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(between + strings.Join(templates, between) + between)
	text := fmt.Sprintf("base_dir = %s\nlog_path = /dev/stderr\nlog_timestamp = \"\"\nmail_location = maildir:~/mail\n"+
		"mail_log_prefix = \"%s\"\nfirst_valid_uid = 0\nmail_uid = %d\nmail_gid = %d\nprotocols = imap\n", dir, prefix, owner, owner)
	path := filepath.Join(dir, "d.conf")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", path, "exec", "imap")
	cmd.Env = []string{"USER=" + user, "HOME=" + home, "PATH=" + os.Getenv("PATH")}
	cmd.Stdin = strings.NewReader("a logout\r\n")
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	parts := strings.Split(log.String(), between)
	if len(parts) != len(templates)+2 {
		t.Fatalf("asked for %q, Dovecot logged %q", templates, log.String())
	}
	return parts[1 : len(parts)-1]
}

// mailUser answers as an IMAP session of 2.3 does.
func mailUser(user string) Lookup {
	local, domain, _ := strings.Cut(user, "@")
	return Values(map[string]string{"u": user, "user": user, "n": local, "username": local, "d": domain, "domain": domain,
		"s": "imap", "service": "imap", "l": "", "lip": "", "r": "", "rip": "", "auth_user": user})
}

// hardTemplates are forms that are easily got wrong.
var hardTemplates = []string{
	"%0.-1u", "%-4.-1u", "%0.-20u", "%3.-2u", "%-5u", "%-30.2u", "%.2u", "%1.u", "%00u", "%012u", "%2.08u", "%1.0-2u", "%-0.3u",
	"%1.2.3u", "%--3u", "%Xu", "%X{rip}x", "%LUu", "%ULu", "%MMu", "%HMu", "%MHu", "%2.256HLu", "%8.0Nu", "%4.7Hu", "%4.7Nu",
	"%-2.256Nu", "%2.-256Nu", "%0256Nu", "%Eu", "%E{env:ODD}", "%Du", "%Dd", "%Td", "%RTu", "%LLLLLLLLLLu", "%LLLLLLLLLLLu",
	"%{u}", "%{}", "%{user}}", "%{{user}}", "%{us\\er}", "a%%b%%%%", "%%%u", "%1%", "%L%", "%$", "% u", "%{nope:x}", "%nope",
	"%{md4:user}", "%{md5:user}", "%{sha1:user}", "%{sha256:user}", "%{sha384:user}", "%{sha512:user}", "%{sha3-256:user}",
	"%{sha3-512:user}", "%{size:user}", "%{md5;rounds=2:user}", "%{md5;salt=%u:user}", "%{md5;salt=x,rounds=2:user}",
	"%{md5;x,y=z,rounds=3:user}", "%{md5;format=hexuc:user}", "%{md5;format=base64:user}", "%{md5;truncate=1:user}",
	"%{md5;truncate=9:user}", "%{md5;truncate=23:user}", "%{md5;truncate=128:user}", "%{md5;truncate=999:user}", "%{md5:sha1:user}",
	"%{pkcs5;truncate=64:user}", "%{pkcs5;rounds=3,salt=%d:user}", "%4.8{sha1:user}", "%U{sha1:user}", "%{md5:env:ODD}",
	"%{if;%u;eq;alice;y;n}", "%{if;1;==;1;y}", "%{if;1;==;2;y}", "%{if;2;!=;10;a;b}", "%{if;a;lt;b;%{if;%d;eq;;none;%d};x}",
	"%{if;a\\;b;eq;a\\;b;y;n}", "%{if;a\\:b;eq;a\\:b;y;n}", "%{if;%{user};*;*\\@*;y;n}", "%{if;%u;!~;^[A-Z];y;n}", "%{if;b;ge;a;y:z;n}",
	"%{if;%u;*;al?ce;y;n}", "%{if;x%yz;eq;x;y;n}", "%U{if;a;eq;a;yes;no}", "%{if;-1;<;0;neg;pos}", "%{if;%u}", "%{if;a;b;c;d;e;f}",
	"%{env:ODD}", "%{env:}",
}

func TestHardTemplatesExpandAsInDovecot23(t *testing.T) {
	for _, user := range []string{"alice", "Alice.Smith@Example.COM", "a@b@c"} {
		compareLive(t, user, hardTemplates)
	}
}

func TestRandomTemplatesExpandAsInDovecot23(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	var templates []string
	for range 150 {
		s := "%" + pick("", "", "-") + pick("", "", "0") + pick("", "1", "3", "16")
		if r.IntN(2) == 0 {
			s += "." + pick("", "", "0") + pick("", "", "-") + pick("", "2", "5", "100")
		}
		s += pick("", "L", "U", "R", "M", "H", "N", "X", "D", "E") + pick("", "", "L", "R", "M", "H", "N")
		templates = append(templates, s+pick("u", "n", "d", "{user}", "{sha1:user}", "%"))
	}
	compareLive(t, "Alice.Smith@Example.COM", templates)
}

func compareLive(t *testing.T, user string, templates []string) {
	t.Helper()
	for batch := range slices.Chunk(templates, 25) {
		compareBatch(t, user, batch)
	}
}

func compareBatch(t *testing.T, user string, templates []string) {
	t.Helper()
	for i, want := range dovecot23(t, user, templates) {
		if want == "" && strings.HasPrefix(templates[i], "%{if") {
			continue // Dovecot's text for a wrong "if" is empty; ours is an error
		}
		got, err := Expand23(templates[i], mailUser(user))
		if got != want {
			t.Errorf("%s for %s: got %q (%v), Dovecot gives %q", templates[i], user, got, err, want)
		}
	}
}
