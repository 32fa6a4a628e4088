package settings

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/couriersite"
	"dovetail/formats/formatstest/dovecot"
)

var update = flag.Bool("update", false, "write the golden files anew")

// accepted has a real Dovecot read a configuration: it must have nothing to say. It gives what Dovecot understood.
func accepted(t *testing.T, r *Result) (conf, understood string) {
	t.Helper()
	dovecot.Need(t)
	dir := t.TempDir()
	if err := r.Write(dir, false); err != nil {
		t.Fatal(err)
	}
	conf = filepath.Join(dir, "dovecot.conf")
	var out, complaints bytes.Buffer
	cmd := exec.Command("doveconf", "-n", "-c", conf)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("doveconf -n: %v\n%s\n%s", err, complaints.String(), r.Files[0].Text)
	}
	return conf, out.String()
}

func TestRealDovecotTakesTheSettingsOfTheSampleSite(t *testing.T) {
	dovecot.Need(t)
	s := couriersite.Unpack(t)
	r := convert(t, filepath.Join(s.Root, "etc/courier"))
	conf, _ := accepted(t, r)
	for _, tc := range []struct{ setting, want string }{
		{"protocols", "imap pop3"},
		{"service/imap-login/inet_listener/imap/port", "143"},
		{"service/imap-login/inet_listener/imaps/port", "993"},
		{"service/imap-login/inet_listener/imaps/ssl", "yes"},
		{"service/pop3-login/inet_listener/pop3/port", "110"},
		{"service/pop3-login/inet_listener/pop3/address", "192.0.2.10"},
		{"service/pop3-login/inet_listener/pop3s/port", "995"},
		{"service/imap/process_limit", "160"},
		{"namespace/inbox/prefix", "INBOX."},
		{"namespace/inbox/separator", "."},
		{"namespace/inbox/mailbox/Trash/autoexpunge", "1 weeks"},
		{"pop3_uidl_format", "UID%u-%v"},
		{"mail_location", "maildir:~/Maildir"},
		{"auth_username_chars", ""},
	} {
		out, err := exec.Command("doveconf", "-c", conf, "-h", tc.setting).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != tc.want {
			t.Errorf("%s = %q (%v), want %q", tc.setting, got, err, tc.want)
		}
	}
	var left []string
	for _, setting := range r.Settings {
		if setting.Fate == NotCarried {
			left = append(left, setting.Name)
		}
	}
	// POP3STARTTLS is no setting of Courier's: the site has it misspelled.
	if want := []string{"IMAPACCESSFILE", "IMAP_SHAREDINDEXFILE", "POP3STARTTLS"}; !slices.Equal(left, want) || len(r.Problems) > 0 {
		t.Errorf("not carried: %v, want %v; problems %v", left, want, r.Problems)
	}
}

// TestASessionShowsCouriersFolders asks a real imap process with the new configuration.
func TestASessionShowsCouriersFolders(t *testing.T) {
	dovecot.Need(t)
	conf, _ := accepted(t, convert(t, filepath.Join("testdata", "debian")))
	libexec, err := exec.Command("doveconf", "-c", conf, "-h", "libexec_dir").Output()
	if err != nil {
		t.Fatal(err)
	}
	j := dovecot.New(t, "maildir:~/Maildir", "!include "+conf)
	if err := os.Chmod(filepath.Dir(conf), 0o755); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(filepath.Dir(j.Config()), "home")
	for _, name := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(home, "Maildir", name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "Maildir", "maildirsize"), []byte("512000S,4C\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, home)
	cmd := j.Command()
	cmd.Path = filepath.Join(strings.TrimSpace(string(libexec)), "imap") // "doveadm exec imap" leaves protocol imap { } out
	cmd.Args = []string{cmd.Path, "-c", j.Config()}
	cmd.Stdin = strings.NewReader("a NAMESPACE\r\nb CREATE INBOX.Trash\r\nc LIST (SPECIAL-USE) \"\" *\r\nd GETQUOTAROOT INBOX\r\ne MYRIGHTS INBOX\r\nf LOGOUT\r\n")
	out, err := cmd.Output()
	for _, want := range []string{`* NAMESPACE (("INBOX." ".")) NIL NIL`, `* LIST (\Trash) "." INBOX.Trash`,
		`* QUOTA "User quota" (STORAGE 0 500 MESSAGE 0 4)`, "* MYRIGHTS INBOX lrwst"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("%v: no %q in\n%s\n%s", err, want, out, j.Log())
		}
	}
}

func TestDebiansOwnSettings(t *testing.T) {
	r := convert(t, filepath.Join("testdata", "debian"))
	if !r.Complete() {
		t.Errorf("something of an untouched Courier is left over: %v, problems %v", r.Settings, r.Problems)
	}
	lines := bytes.SplitAfterN(r.Files[0].Text, []byte("\n"), 2) // the first one names the folder
	golden := filepath.Join("testdata", "debian.conf")
	if *update {
		if err := os.WriteFile(golden, lines[1], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(lines[1], want) {
		t.Errorf("%v: got\n%s\nwant\n%s", err, lines[1], want)
	}
	accepted(t, r)
}

// Each of these alone is accepted; here they meet, with awkward values.
func TestRealDovecotTakesAwkwardSettings(t *testing.T) {
	dovecot.Need(t)
	files := map[string]string{
		"imapd": `ADDRESS=127.0.0.1
PORT=143,::1.1143,10.0.0.1.1143
IMAPDSTART=YES
MAXDAEMONS=5000
MAXPERIP=1000
DEFDOMAIN="@ex ample.com"
IMAP_EMPTYTRASH="Trash:7,It's {x}:30,50% of \$all:2,Gel&APY-scht:3,A#B:1"
IMAP_TRASHFOLDERNAME="Deleted Items"
IMAP_LOG_DELETIONS=1
IMAP_ID_FIELDS=7
IMAP_ACL=1
IMAP_ULIMITD=4194304
IMAP_IDLE_TIMEOUT=1
MAILDIRPATH='My "Mail" # $dir 50%'
LOGGEROPTS="-facility=local0"
`,
		"imapd-ssl": `IMAPDSSLSTART=YES
IMAPDSTARTTLS=NO
TLS_CERTFILE=/c/imapd.pem
TLS_CIPHER_LIST='HIGH:!aNULL # "x" \y $z'
TLS_TRUSTCERTS=/c/ca.pem
TLS_VERIFYPEER=REQUIREPEER
TLS_EXTERNAL=emailaddress
`,
		"pop3d":     "POP3DSTART=YES\nPORT=995\nMAXDAEMONS=1\n",
		"pop3d-ssl": "POP3DSSLSTART=NO\nPOP3_STARTTLS=YES\nPOP3_TLS_REQUIRED=1\nTLS_CERTFILE=/c/pop3d.pem\nTLS_PROTOCOL=TLSv1.3\n",
		"authdaemonrc": "authmodulelist=\"authuserdb authpam authshadow authldap authmysql authpgsql authsqlite authpipe\"\n" +
			"DEBUG_LOGIN=2\nDEFAULTOPTIONS=\"disableinsecurepop3=1\"\n",
		"userdb":       "Bob@example.com\tuid=1\n",
		"authmysqlrc":  "MYSQL_SERVER db\nMYSQL_USERNAME c\nMYSQL_PASSWORD p\nMYSQL_DATABASE m\nMYSQL_USER_TABLE u\nMYSQL_CRYPT_PWFIELD crypt\n##NAME: MARKER:0\n",
		"authpgsqlrc":  "PGSQL_CONNECTION host=db\nPGSQL_SELECT_CLAUSE SELECT a, b, '(,', f(x, y), e, f FROM t WHERE l='$(local_part)'\n##NAME: MARKER:0\n",
		"authldaprc":   "LDAP_URI ldap://x\nLDAP_AUTHBIND 1\nLDAP_BASEDN o=x\nLDAP_GLOB_UID vmail\nLDAP_GLOB_GID mail\n##NAME: MARKER:0\n",
		"imapaccess/x": "192.0.2.66\tdeny\n",
	}
	files["imapd"] += "IMAPACCESSFILE=/etc/courier/imapaccess\n"
	dir := folder(t, files)
	for _, name := range []string{"imapd.pem.www.example.com", "imapd.pem.192.0.2.7", "imapd.pem.bak"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, understood := accepted(t, convert(t, dir))
	for _, want := range []string{"auth_username_format = %u", "mail_location = \"maildir:~/My \\\"Mail\\\" # $dir 50%%\"", "client_limit ="} {
		if !strings.Contains(understood, want) && !strings.Contains(understood, strings.ReplaceAll(want, `\"`, `"`)) {
			t.Errorf("no %s in\n%s", want, understood)
		}
	}
	files["pop3d-ssl"] = "POP3DSSLSTART=NO\nPOP3_STARTTLS=YES\nTLS_CERTFILE=/c/imapd.pem\n"
	dir = folder(t, files)
	for _, name := range []string{"imapd.pem.www.example.com", "imapd.pem.192.0.2.7", "imapd.pem.bak"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, understood = accepted(t, convert(t, dir)); !strings.Contains(understood, "local_name www.example.com {") ||
		!strings.Contains(understood, "local 192.0.2.7 {") || strings.Contains(understood, "bak") {
		t.Errorf("certificates of single names:\n%s", understood)
	}
	accepted(t, convert(t, folder(t, map[string]string{"imapd": "IMAPDSTART=NO\n", "authdaemonrc": "authmodulelist="})))
}
