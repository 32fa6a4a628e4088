package settings

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// folder writes files ("name" or "dir/name" and content) and gives their directory.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func convert(t *testing.T, dir string) *Result {
	t.Helper()
	c, err := Read(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return c.Convert(Options{})
}

// squeezed is a configuration without comments, empty lines and indentation: "service imap {" "process_limit = 1" "}".
func squeezed(text []byte) string {
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// A site with one line in one file; both servers and both TLS servers are started.
func site(file, text string) map[string]string {
	files := map[string]string{
		"imapd": "PORT=143\nIMAPDSTART=YES\n", "imapd-ssl": "IMAPDSSLSTART=YES\nIMAPDSTARTTLS=YES\nTLS_CERTFILE=/c/imapd.pem\n",
		"pop3d": "PORT=110\nPOP3DSTART=YES\n", "pop3d-ssl": "POP3DSSLSTART=YES\nPOP3_STARTTLS=YES\nTLS_CERTFILE=/c/imapd.pem\n",
		"authdaemonrc": "authmodulelist=authpwd\n",
	}
	files[file] += text + "\n"
	return files
}

func TestWhatBecomesOfEachSetting(t *testing.T) {
	for _, tc := range []struct {
		name, file, line string
		fate             Fate
		want             string // lines of the configuration, "" when it does not matter
	}{
		{"any address", "imapd", "ADDRESS=0", Carried, "inet_listener imap {\nport = 143\n}"},
		{"one address", "imapd", "ADDRESS=192.0.2.1", Carried, "inet_listener imap {\naddress = 192.0.2.1\nport = 143\n}"},
		{"an address that is none", "imapd", "ADDRESS=mail", NotCarried, "inet_listener imap {\nport = 0\n}"},
		{"several ports", "imapd", "PORT=143,192.0.2.1.1143,::1.1143,0.144", Carried,
			"inet_listener imap {\nport = 143\n}\ninet_listener imap2 {\naddress = 192.0.2.1, ::1\nport = 1143\n}\ninet_listener imap3 {\nport = 144\n}"},
		{"a port that is none", "imapd", "PORT=143,70000", NotCarried, "inet_listener imap {\nport = 143\n}"},
		{"a port by its name", "pop3d", "PORT=pop3", Carried, "inet_listener pop3 {\nport = 110\n}"},
		{"the port for TLS", "imapd-ssl", "SSLPORT=1993", Carried, "inet_listener imaps {\nport = 1993\nssl = yes\n}"},
		{"the address for TLS", "pop3d-ssl", "SSLADDRESS=192.0.2.1", Carried, "inet_listener pop3s {\naddress = 192.0.2.1\nport = 995\nssl = yes\n}"},
		{"a server that is not started", "imapd", "IMAPDSTART=NO", Carried, "inet_listener imap {\nport = 0\n}"},
		{"a TLS server that is not started", "pop3d-ssl", "POP3DSSLSTART=NO", Carried, "inet_listener pop3s {\nport = 0\n}"},
		{"limits of the plain and the TLS server together", "imapd", "MAXDAEMONS=80", Carried, "service imap {\nprocess_limit = 160\n}"},
		{"a limit that only the TLS file has counts for both", "imapd-ssl", "MAXDAEMONS=5", Carried, "service imap {\nprocess_limit = 10\n}"},
		{"a limit that is none", "imapd", "MAXDAEMONS=many", NotCarried, ""},
		{"connections for each address", "pop3d", "MAXPERIP=4", Carried, "mail_max_userip_connections = 8"},
		{"options of couriertcpd that Dovecot needs not", "imapd", `TCPDOPTS="-nodnslookup -noidentlookup"`, NotNeeded, ""},
		{"other options of couriertcpd", "imapd", `TCPDOPTS="-block=rbl.example.com"`, NotCarried, ""},
		{"the facility of syslog", "imapd", `LOGGEROPTS="-name=imapd -facility=local1"`, Carried, "syslog_facility = local1"},
		{"TLS required", "imapd-ssl", "IMAP_TLS_REQUIRED=1", Carried, "ssl = required\ndisable_plaintext_auth = yes"},
		{"no STARTTLS", "pop3d-ssl", "POP3_STARTTLS=NO", Carried, "ssl = yes"},
		{"certificate and key in one file", "imapd-ssl", "TLS_CERTFILE=/c/x.pem", Carried, "ssl_key = </c/x.pem\nssl_cert = </c/x.pem"},
		{"a key of its own", "imapd-ssl", "TLS_PRIVATE_KEYFILE=/c/k.pem", Carried, "ssl_key = </c/k.pem"},
		{"a path that Dovecot cannot name", "imapd-ssl", `TLS_CERTFILE="/c/my pem"`, NotCarried, ""},
		{"the lowest version of TLS", "imapd-ssl", "TLS_PROTOCOL=TLS1_2+", Carried, "ssl_min_protocol = TLSv1.2"},
		{"a version in Debian's spelling", "imapd-ssl", "TLS_PROTOCOL=TLSv1.1++", Carried, "ssl_min_protocol = TLSv1.1"},
		{"a lower version for STARTTLS", "imapd-ssl", "TLS_PROTOCOL=TLSv1.3\nTLS_STARTTLS_PROTOCOL=TLSv1.1", Carried, "ssl_min_protocol = TLSv1.1"},
		{"no version", "imapd-ssl", `TLS_PROTOCOL=""`, NotNeeded, "ssl_min_protocol = TLSv1"},
		{"an unknown version", "imapd-ssl", "TLS_PROTOCOL=TLS9", NotCarried, ""},
		{"ciphers", "imapd-ssl", `TLS_CIPHER_LIST="HIGH:!aNULL@STRENGTH"`, Carried, "ssl_cipher_list = HIGH:!aNULL@STRENGTH"},
		{"GnuTLS's usual priorities", "imapd-ssl", "TLS_PRIORITY=NORMAL", NotNeeded, ""},
		{"other priorities", "imapd-ssl", "TLS_PRIORITY=NORMAL:-VERS-TLS1.0", NotCarried, ""},
		{"parameters for DH", "imapd-ssl", "TLS_DHPARAMS=/c/dh.pem", Carried, "ssl_dh = </c/dh.pem"},
		{"authorities that nobody asks", "imapd-ssl", "TLS_TRUSTCERTS=/etc/ssl/certs", NotNeeded, ""},
		{"certificates of clients", "imapd-ssl", "TLS_TRUSTCERTS=/c/ca.pem\nTLS_VERIFYPEER=REQUIREPEER", Carried,
			"ssl_ca = </c/ca.pem\nssl_verify_client_cert = yes\nssl_require_crl = no\nauth_ssl_require_client_cert = yes"},
		{"certificates of clients without an authority", "imapd-ssl", "TLS_VERIFYPEER=PEER", NotCarried, ""},
		{"the Maildir", "imapd", "MAILDIRPATH=./Mail", Carried, "mail_location = maildir:~/Mail"},
		{"a Maildir with a variable's sign", "imapd", "MAILDIRPATH=50%", Carried, "mail_location = maildir:~/50%%"},
		{"a domain for names without one", "imapd", `DEFDOMAIN="@example.com"`, Carried, "auth_default_realm = example.com"},
		{"a domain behind another sign", "imapd", `DEFDOMAIN="%example.com"`, NotCarried, ""},
		{"mechanisms", "imapd", `IMAP_CAPABILITY="IMAP4rev1 AUTH=CRAM-MD5 AUTH=LOGIN"`, Carried, "auth_mechanisms = plain cram-md5 login"},
		{"a mechanism that Dovecot lacks", "imapd", `IMAP_CAPABILITY="AUTH=CRAM-SHA1"`, NotCarried, "auth_mechanisms = plain"},
		{"a capability that Dovecot lacks", "imapd", `IMAP_CAPABILITY="IMAP4rev1 SMAP1"`, NotCarried, ""},
		{"no mechanisms", "pop3d", `POP3AUTH=""`, NotNeeded, "auth_mechanisms = plain"},
		{"POP3's mechanisms", "pop3d", `POP3AUTH_TLS="LOGIN PLAIN"`, Carried, "auth_mechanisms = plain login"},
		{"expiry", "imapd", `IMAP_EMPTYTRASH="Trash:7,Sent Items:30"`, Carried,
			"mailbox Trash {\nspecial_use = \\Trash\nautoexpunge = 7d\n}\nmailbox \"Sent Items\" {\nautoexpunge = 30d\n}"},
		{"expiry in Courier 4's spelling of names", "imapd", `IMAP_EMPTYTRASH="Gel&APY-scht:1"`, Carried, "mailbox Gelöscht {\nautoexpunge = 1d\n}"},
		{"expiry at once", "imapd", "IMAP_EMPTYTRASH=Trash:0", NotCarried, "mailbox Trash {\nspecial_use = \\Trash\n}"},
		{"expiry that is none", "imapd", "IMAP_EMPTYTRASH=Trash", NotCarried, ""},
		{"no expiry", "imapd", "IMAP_EMPTYTRASH=", NotNeeded, ""},
		{"another trash", "imapd", `IMAP_TRASHFOLDERNAME="Deleted Items"`, Carried, "mailbox \"Deleted Items\" {\nspecial_use = \\Trash\n}"},
		{"a trash that no configuration can name", "imapd", "IMAP_TRASHFOLDERNAME='a\"\nb'", NotCarried, ""},
		{"access lists", "imapd", "IMAP_ACL=1", Carried, "acl = vfile"},
		{"no access lists", "imapd", "IMAP_ACL=0", NotNeeded, "mail_plugins = quota"},
		{"keywords", "imapd", "IMAP_KEYWORDS=2", NotNeeded, ""},
		{"no keywords", "imapd", "IMAP_KEYWORDS=0", NotCarried, ""},
		{"how often to look while idle", "imapd", "IMAP_IDLE_TIMEOUT=60", Carried, "mailbox_idle_check_interval = 60 secs"},
		{"the usual umask", "imapd", "IMAP_UMASK=022", NotNeeded, ""},
		{"another umask", "imapd", "IMAP_UMASK=007", NotCarried, ""},
		{"little memory", "imapd", "IMAP_ULIMITD=65536", Carried, "vsz_limit = 262144 k"},
		{"much memory", "imapd", "IMAP_ULIMITD=1048576", Carried, "vsz_limit = 1048576 k"},
		{"what ID tells", "imapd", "IMAP_ID_FIELDS=3", Carried, "imap_id_send = name * version * os *\nimap_id_log = *"},
		{"deletions in the log", "pop3d", "POP3_LOG_DELETIONS=1", Carried, "mail_plugins = quota notify mail_log"},
		{"shared folders nobody has", "imapd", "IMAP_SHAREDINDEXFILE=/etc/courier/shared/index", NotNeeded, ""},
		{"folders that send mail", "imapd", "OUTBOX=.Outbox", NotCarried, ""},
		{"a feature switched off", "imapd", "IMAP_PROXY=0", NotNeeded, ""},
		{"a feature switched on", "imapd", "IMAP_MOVE_EXPUNGE_TO_TRASH=1", NotCarried, ""},
		{"the service for PAM that Dovecot uses too", "imapd", "AUTHSERVICE143=imap", Carried, ""},
		{"another service for PAM", "imapd", "AUTHSERVICE993=imaps", NotCarried, ""},
		{"a name that nobody knows", "imapd", "MY_OWN=1", NotCarried, ""},
		{"a name that only others are made of", "imapd", "MY_OWN=/x; PIDFILE=$MY_OWN/pid", NotNeeded, ""},
		{"a value that needs a shell", "imapd", "MAXPERIP=$(nproc)", NotCarried, ""},
		{"a value that needs a shell where nothing depends on it", "imapd", "PIDFILE=$(pwd)/x", NotNeeded, ""},
		{"PAM", "authdaemonrc", "authmodulelist=authpam", Carried, "passdb {\ndriver = pam\nargs = %s\n}"},
		{"a module without its file", "authdaemonrc", `authmodulelist="authmysql authpwd"`, Carried, "passdb {\ndriver = passwd\n}"},
		{"a module of the site's own", "authdaemonrc", "authmodulelist=authcustom", NotCarried, ""},
		{"login names in the log", "authdaemonrc", "DEBUG_LOGIN=1", Carried, "auth_verbose = yes\nauth_debug = yes"},
		{"passwords only with TLS for all", "authdaemonrc", "DEFAULTOPTIONS=disableinsecureimap=1", Carried, "protocol imap {\nmail_plugins = $mail_plugins imap_quota\ndisable_plaintext_auth = yes"},
		{"no IMAP for all", "authdaemonrc", `DEFAULTOPTIONS="disableimap=1"`, NotCarried, ""},
		{"options switched off", "authdaemonrc", "DEFAULTOPTIONS=disablepop3=0,disablewebmail=1", NotNeeded, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := convert(t, folder(t, site(tc.file, tc.line)))
			name, _, _ := strings.Cut(tc.line, "=")
			var got *Setting
			for _, s := range r.Settings {
				if s.File == tc.file && s.Name == name {
					got = s
				}
			}
			if got == nil || got.Fate != tc.fate || got.Fate != Carried && got.Why == "" {
				t.Errorf("%s: %v, want it %s", tc.line, got, tc.fate)
			}
			if text := squeezed(r.Files[0].Text); !strings.Contains("\n"+text, "\n"+tc.want) {
				t.Errorf("%s gives\n%s\nwithout\n%s", tc.line, text, tc.want)
			}
		})
	}
}

func TestEveryRuleOfTheTablesDecides(t *testing.T) {
	for _, table := range []struct {
		file, prefix string
		rules        map[string]rule
	}{{"imapd", "", serverRules}, {"authdaemonrc", "", authRules}, {"authmysqlrc", "MYSQL_", sqlRules}, {"authldaprc", "LDAP_", ldapRules}} {
		for name, rule := range table.rules {
			if rule.fate != Carried && rule.why == "" {
				t.Errorf("%s: no reason for %q", name, rule.fate)
			}
			if found, ok := ruleOf(table.file, table.prefix+name); !ok || found != rule {
				t.Errorf("%s%s: its rule is not found", table.prefix, name)
			}
		}
	}
}

func TestTheOrderOfTheFilesDecides(t *testing.T) {
	r := convert(t, folder(t, map[string]string{
		"imapd":     "IMAPDSTART=YES\nMAXPERIP=5\nIMAP_ACL=0\nMAXPERIP=7\nBASE=/c\n",
		"imapd-ssl": "IMAPDSSLSTART=YES\nIMAP_ACL=1\nMAXPERIP=100\nTLS_CERTFILE=$BASE/x.pem\n",
	}))
	text := squeezed(r.Files[0].Text)
	for _, want := range []string{"mail_max_userip_connections = 107\n", "acl = vfile\n", "ssl_cert = </c/x.pem\n", "protocols = imap\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if got := r.Settings[1]; got.Fate != NotNeeded || !strings.Contains(got.Why, "imapd-ssl:3") {
		t.Errorf("the first MAXPERIP: %v", got)
	}
}

func TestPasswordsAreOnlyInTheirFiles(t *testing.T) {
	const secret = "s3cr3t-word"
	dir := folder(t, map[string]string{
		"authdaemonrc": "authmodulelist=\"authmysql authpgsql authldap\"\n",
		"authmysqlrc": "MYSQL_SERVER db\nMYSQL_USERNAME c\nMYSQL_PASSWORD " + secret + "\nMYSQL_DATABASE m\nMYSQL_USER_TABLE u\n" +
			"MYSQL_CRYPT_PWFIELD crypt\n##NAME: MARKER:0\n",
		"authpgsqlrc": "PGSQL_CONNECTION host=db user=c \\\n password=" + secret + "\nPGSQL_DATABASE m\nPGSQL_USER_TABLE u\nPGSQL_CLEAR_PWFIELD c\n##NAME: MARKER:0\n",
		"authldaprc": "LDAP_URI ldaps://a, ldap://b\nLDAP_BASEDN o=x\nLDAP_BINDDN cn=y\nLDAP_BINDPW " + secret + "\nLDAP_MAIL mail\nLDAP_FILTER (a=b)\n" +
			"LDAP_CRYPTPW userPassword\nLDAP_HOMEDIR homeDirectory\nLDAP_MAILDIRQUOTA quota\nLDAP_GLOB_UID vmail\n##NAME: MARKER:0\n",
	})
	r := convert(t, dir)
	var report bytes.Buffer
	if err := r.WriteText(&report, true); err != nil || strings.Contains(report.String(), secret) {
		t.Errorf("%v\n%s", err, report.String())
	}
	if len(r.Files) != 4 || !r.Complete() {
		t.Errorf("%d files\n%s", len(r.Files), report.String())
	}
	for _, f := range r.Files {
		if has := bytes.Contains(f.Text, []byte(secret)); has != f.Secret {
			t.Errorf("%s: secret %v, but it holds the password: %v", f.Name, f.Secret, has)
		}
	}
	out := filepath.Join(t.TempDir(), "new")
	if err := errors.Join(r.Write(out, false), r.Write(out, false)); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Files {
		info, err := os.Stat(filepath.Join(out, f.Name))
		if err != nil || f.Secret != (info.Mode().Perm() == 0o600) {
			t.Errorf("%s: %v %v", f.Name, info.Mode(), err)
		}
	}
	want := "uris = ldaps://a ldap://b\nbase = o=x\ndn = cn=y\ndnpass = " + secret + "\npass_filter = (&(a=b)(mail=%u))\n"
	if got := squeezed(r.Files[3].Text); !strings.HasPrefix(got, want) {
		t.Errorf("LDAP:\n%s", got)
	}
}

func TestNothingIsReplacedUnasked(t *testing.T) {
	r := convert(t, folder(t, site("imapd", "")))
	dir := t.TempDir()
	path := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Write(dir, false); !errors.Is(err, ErrExists) {
		t.Errorf("got %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "mine" {
		t.Errorf("replaced by %q", text)
	}
	if err := r.Write(dir, true); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(path); !bytes.Equal(text, r.Files[0].Text) {
		t.Errorf("not replaced: %q", text)
	}
}

func TestWhatCannotBeReadIsTold(t *testing.T) {
	if _, err := Read(context.Background(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := Read(context.Background(), t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
	dir := folder(t, map[string]string{"imapd": "PORT=143\nA=\"open\n", "imapd-ssl/x": "", "authldaprc": "LDAP_URI x\n", "pop3d-ssl.dist": ""})
	if err := syscall.Mkfifo(filepath.Join(dir, "pop3d"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "authdaemonrc"), make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	r := convert(t, dir)
	var got []string
	for _, p := range r.Problems {
		got = append(got, p.String())
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{"imapd:2: nothing closes", "imapd-ssl: cannot be read", "pop3d: cannot be read", "pop3d-ssl: missing, though",
		"authdaemonrc: cannot be read", "authldaprc: has no"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not among\n%s", want, all)
		}
	}
	if r.Complete() {
		t.Error("complete")
	}
}

// filledWith gives every setting of the tables the same value.
func filledWith(value string) map[string]string {
	shell := "='" + strings.ReplaceAll(value, "'", `'\''`) + "'\n"
	field := " " + strings.NewReplacer("\n", " ", "\\", "/").Replace(value) + "\n"
	files := map[string]string{}
	for name := range serverRules {
		for _, file := range []string{"imapd", "imapd-ssl", "pop3d", "pop3d-ssl"} {
			files[file] += name + shell
		}
	}
	for _, file := range []string{"imapd", "pop3d", "imapd-ssl", "pop3d-ssl"} { // or nothing is started and nothing is set
		files[file] += "IMAPDSTART=YES\nIMAPDSSLSTART=YES\nIMAPDSTARTTLS=YES\nPOP3DSTART=YES\nPOP3_STARTTLS=YES\n"
	}
	for name := range authRules {
		files["authdaemonrc"] += name + shell
	}
	files["authdaemonrc"] += "authmodulelist='authuserdb authpam authmysql authpgsql authsqlite authldap'\n"
	for file, prefix := range map[string]string{"authmysqlrc": "MYSQL_", "authpgsqlrc": "PGSQL_", "authsqliterc": "SQLITE_"} {
		for name := range sqlRules {
			if name != "SELECT_CLAUSE" {
				files[file] += prefix + name + field
			}
		}
		files[file] += "##NAME: MARKER:0\n"
	}
	for name := range ldapRules {
		files["authldaprc"] += "LDAP_" + name + field
	}
	files["authldaprc"] += "##NAME: MARKER:0\n"
	files["userdb"] = value + "\tuid=1\n"
	return files
}

// wellFormed checks that values have not become lines, and that every setting has a fate.
func wellFormed(t *testing.T, r *Result) {
	t.Helper()
	for _, s := range r.Settings {
		if s.Fate == "" || s.Fate != Carried && s.Why == "" {
			t.Errorf("%v", s)
		}
	}
	for _, f := range r.Files {
		depth := 0
		for line := range strings.Lines(squeezed(f.Text)) {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasSuffix(line, " {") && (strings.HasPrefix(line, `mailbox "`) || !strings.Contains(line, " = ")):
				depth++
			case line == "}":
				depth--
			case !knownKey(line):
				t.Errorf("%s: a line of its own: %q", f.Name, line)
			}
		}
		if depth != 0 {
			t.Errorf("%s: braces do not match:\n%s", f.Name, f.Text)
		}
	}
}

func knownKey(line string) bool {
	key, _, found := strings.Cut(line, " =")
	return found && key != "" && strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_23") == ""
}

var awkward = []string{"x", "1", "Y", "-1", "0", " ", "a b", "#", "a # b", `"`, `"x`, `x"y"`, "'", `\`, `a\`, "{", "x {", "}", "$x", "$", "%", "%u",
	"%{x", "<", "</etc/passwd", "=", "a = b", "a = b {", "!include x", "a\nssl = no", "a\rb", "\x00", "\xff", "\u2028", "é", "@x\n}", "@a#b", "/x", "/x y", "../x",
	"::", "*", ",", "Trash:7,#:8", "a:1,{:2", "x:9,b\tc:9", "PEER", "&&&:1", "&AMQ-:1", strings.Repeat("9", 400), "\x1b[31m"}

func TestAwkwardValuesStayValues(t *testing.T) {
	for _, value := range awkward {
		t.Run(value, func(t *testing.T) {
			r := convert(t, folder(t, filledWith(value)))
			wellFormed(t, r)
			var out strings.Builder
			if err := r.WriteText(&out, true); err != nil || strings.ContainsAny(out.String(), "\x00\x1b\r") {
				t.Errorf("%v: control characters in the report", err)
			}
			accepted(t, r)
		})
	}
}

// FuzzConvert: whatever the settings are set to, nothing gets into the configuration as a line of its own.
func FuzzConvert(f *testing.F) {
	for _, value := range awkward {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if len(value) < 1000 {
			wellFormed(t, convert(t, folder(t, filledWith(value))))
		}
	})
}
