package config

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dovetail/formats/conf"
)

// parse reads a configuration of one file.
func parse(t *testing.T, text string, d conf.Dialect) (*Config, *Problems) {
	t.Helper()
	return Load(t.Context(), "d.conf", Options{Source: memory(text), Dialect: d, Lookup: noHosts})
}

// printed gives what doveconf's arguments print of a file of 2.3.
func printed(t *testing.T, text string, args ...string) string {
	t.Helper()
	c, _ := parse(t, text, conf.V23)
	o, _, _ := flags(t, args)
	var out strings.Builder
	if err := c.Print(&out, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// said tells whether a problem with such a text was found at a line.
func (p *Problems) said(line int, text string) bool {
	for _, q := range p.All {
		if q.Pos.Line == line && strings.Contains(q.Text, text) {
			return true
		}
	}
	return false
}

func TestDefaults(t *testing.T) {
	for _, c := range []struct{ row, key, want string }{
		{"R-164 the first uid for mail", "first_valid_uid", "500"},
		{"R-171 protocols that are on when nothing is set", "protocols", "imap pop3 lmtp"},
		{"R-407 an idle time that means never", "service/anvil/idle_kill", "4294967295 secs"},
		{"R-407 an idle time that means never, in service log", "service/log/idle_kill", "4294967295 secs"},
		{"R-448 the folder of anvil", "service/anvil/chroot", "empty"},
		{"R-448 the user of anvil", "service/anvil/user", "$default_internal_user"},
		{"R-448 the processes of anvil", "service/anvil/process_limit", "1"},
		{"R-464 connections of an auth-worker", "service/auth-worker/service_count", "0"},
		{"R-464 clients of an auth-worker", "service/auth-worker/client_limit", "1"},
		{"R-484 processes of imap", "service/imap/process_limit", "1024"},
		{"R-484 processes of pop3", "service/pop3/process_limit", "1024"},
		{"R-484 processes of submission", "service/submission/process_limit", "1024"},
		{"R-484 processes of managesieve", "service/managesieve/process_limit", "0"},
		{"R-512 the mode of a listener", "service/config/unix_listener/config/mode", "0600"},
		{"R-513 the type of auth-worker", "service/auth-worker/type", "worker"},
		{"R-513 the service_count of auth-worker", "service/auth-worker/service_count", "0"},
		{"R-514 the folder of the director", "service/director/chroot", "."},
		{"R-515 the process_limit of managesieve", "service/managesieve/process_limit", "0"},
		{"R-515 the default process_limit", "default_process_limit", "100"},
		{"R-017 the port of imap", "service/imap-login/inet_listener/imap/port", "143"},
		{"R-017 the port of imaps", "service/imap-login/inet_listener/imaps/port", "993"},
		{"R-017 the port of pop3", "service/pop3-login/inet_listener/pop3/port", "110"},
		{"R-017 the port of pop3s", "service/pop3-login/inet_listener/pop3s/port", "995"},
		{"R-017 the port of sieve", "service/managesieve-login/inet_listener/sieve/port", "4190"},
		{"R-017 the port of submission", "service/submission-login/inet_listener/submission/port", "587"},
	} {
		t.Run(c.row, func(t *testing.T) {
			if v, ok := Defaults().Get(Filter{}, c.key); !ok || v.Text != c.want {
				t.Errorf("%s = %q, want %q", c.key, v.Text, c.want)
			}
		})
	}
}

func TestPrinted(t *testing.T) {
	t.Run("R-014 an empty chroot replaces the default", func(t *testing.T) {
		got := printed(t, "service anvil {\n chroot =\n}\n", "service/anvil/chroot")
		if got != "service/anvil/chroot = \n" {
			t.Errorf("%q", got)
		}
	})
	t.Run("R-089 only what differs is printed of a listener", func(t *testing.T) {
		text := "service imap-login {\n inet_listener imap {\n  port = 143\n }\n inet_listener imaps {\n }\n}\n"
		want := "service imap-login {\n  inet_listener imap {\n    port = 143\n  }\n}\n"
		if got := printed(t, text, "-n"); got != want {
			t.Errorf("%q", got)
		}
		if got := printed(t, text, "service/imap-login/inet_listener/imaps/ssl"); !strings.HasSuffix(got, "= yes\n") {
			t.Errorf("%q", got)
		}
	})
	t.Run("R-251 all settings hold the line of protocols", func(t *testing.T) {
		if got := printed(t, "", "-a"); !strings.Contains(got, "\nprotocols = imap pop3 lmtp\n") {
			t.Error(got)
		}
	})
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		row, text string
		line      int
		want      string
	}{
		{"R-403 a type that does not exist", "service foo {\n type = weird\n}\n", 2, "Unknown service type: weird"},
		{"R-421 more spare processes than processes", "service imap {\n process_min_avail = 9\n process_limit = 5\n}\n", 2,
			"service(imap): process_min_avail is higher than process_limit"},
		{"R-429 a service of the administrator's own", "service own {\n unix_listener x {\n }\n}\n", 1, "nothing serves service own"},
		{"R-432 a decimal mode", "service auth {\n unix_listener a {\n  mode = 600\n }\n}\n", 3, "decimal mode, did you mean 0600?"},
		{"R-465 fewer processes than lookups", "service auth-worker {\n process_limit = 10\n}\n", 2, "auth_worker_max_count"},
		{"R-517 the one process of auth", "service auth {\n process_limit = 2\n}\n", 2, "service(auth): process_limit must be 1"},
		{"R-517 the one process of the log", "service log {\n process_limit = 2\n}\n", 2, "service(log): process_limit must be 1"},
		{"R-149 TLS without a certificate", "", 0, "ssl enabled, but ssl_cert not set"},
		{"R-148 a certificate without its <", "ssl_cert = /etc/x.pem\n", 1,
			"There is no valid PEM certificate. (You probably forgot '<' from ssl_cert=</etc/x.pem)"},
		{"a location of an unknown format", "mail_location = foo:/x\n", 1, "Unknown mail storage driver foo"},
		{"a location with an unknown key", "mail_location = maildir:~/M::x:INDEX=MEMORY:FOO=1\n", 1, "Unknown setting: FOO"},
		{"namespaces without an INBOX", "namespace a {\n prefix = a/\n separator = /\n}\n", 1, "inbox=yes namespace missing"},
		{"a prefix without its separator", "namespace a {\n inbox = yes\n prefix = INBOX\n separator = .\n}\n", 3,
			"list=yes requires prefix=INBOX to end with separator ."},
		{"R-156 mail of a helper's user", "mail_uid = dovenull\n", 1, "mail_uid is the same user as default_login_user"},
		{"R-156 mail of a helper's user, by the userdb", "userdb {\n driver = static\n args = uid=dovecot gid=x\n}\n", 3,
			"mail belongs to the same user as default_internal_user"},
		{"a passdb that lets in whom it refuses", "passdb {\n driver = passwd-file\n args = /x\n result_failure = return-ok\n}\n", 4,
			"result_failure = return-ok accepts logins that the passdb does not"},
		{"a passdb that lets in everybody while it is down", "passdb {\n driver = passwd-file\n args = /x\n result_internalfail = continue-ok\n}\n", 4,
			"result_internalfail = continue-ok accepts logins that the passdb does not"},
		{"a passdb without passwords", "passdb {\n driver = static\n args = nopassword=y\n}\n", 3,
			"passdb static with nopassword accepts every password"},
		{"R-023 PAM without root", "default_internal_user = ann\ndefault_login_user = ann\npassdb {\n driver = pam\n}\n", 3,
			"passdb pam needs root, and all processes are those of user ann"},
	} {
		t.Run(c.row, func(t *testing.T) {
			if _, problems := parse(t, c.text, conf.V23); !problems.said(c.line, c.want) {
				t.Errorf("%q not said at line %d: %v", c.want, c.line, problems.All)
			}
		})
	}
}

func TestPassdbsThatAreNotToldOf(t *testing.T) {
	for name, text := range map[string]string{
		"a list of whom to refuse":    "passdb {\n driver = passwd-file\n args = /x\n deny = yes\n result_failure = return-ok\n}\n",
		"a proxy":                     "passdb {\n driver = static\n args = nopassword=y proxy=y host=192.0.2.1\n}\n",
		"who may come from somewhere": "passdb {\n driver = static\n args = nopassword=y allow_nets=192.0.2.0/24\n}\n",
		"PAM as root":                 "passdb {\n driver = pam\n}\n",
	} {
		_, problems := parse(t, text, conf.V23)
		for _, p := range problems.All {
			if strings.Contains(p.Text, "accepts") || strings.Contains(p.Text, "needs root") {
				t.Errorf("%s: %s", name, p.Text)
			}
		}
	}
}

func TestTypesOfServices(t *testing.T) {
	for _, kind := range serviceTypes {
		t.Run("R-403 type "+strconv.Quote(kind), func(t *testing.T) {
			if _, problems := parse(t, "service foo {\n type = "+kind+"\n}\n", conf.V23); problems.Failed() != nil {
				t.Error(problems.Failed())
			}
		})
	}
}

func TestR021FragmentWithoutVersion(t *testing.T) {
	text := "passdb passwd-file {\n passwd_file_path = /etc/imap.passwd\n}\nuserdb passwd {\n}\n"
	c, problems := parse(t, text, conf.Unknown)
	warnings := 0
	for _, p := range problems.All {
		if p.Severity == Warning {
			warnings++
		}
	}
	if !problems.OK() || warnings != 1 || problems.All[0].Instead != "dovecot_config_version = 2.4.4" {
		t.Fatal(problems.All)
	}
	if c.Dialect != conf.V24 {
		t.Error(c.Dialect)
	}
}

// TestR319OldFile compares what a file of 1.0 means here with what dovecot -n
// of 1.1.rc8 says of it.
func TestR319OldFile(t *testing.T) {
	root := t.TempDir()
	layOut(t, "testdata/configs", root)
	c, problems := Load(t.Context(), root+"/vpopmail-10.conf", Options{})
	if c.Dialect != conf.V1 || problems.Fatal() != nil || problems.Failed() != nil {
		t.Fatal(c.Dialect, problems.All)
	}
	for key, want := range map[string]string{
		"protocols":     "imap pop3",
		"log_timestamp": "",
		"mail_location": "maildir:~/Maildir",
		"listen":        "*",
		"service/imap-login/inet_listener/imap/address":  "127.0.0.1",
		"service/imap-login/inet_listener/imap/port":     "143",
		"service/imap-login/inet_listener/imaps/address": "127.0.0.1",
		"service/imap-login/inet_listener/imaps/port":    "993",
		"service/pop3-login/inet_listener/pop3/port":     "0",
		"service/pop3-login/inet_listener/pop3s/port":    "995",
		"namespace/0/type":      "private",
		"namespace/0/prefix":    "INBOX.",
		"namespace/0/separator": ".",
		"namespace/0/inbox":     "yes",
		"service/auth/user":     "vpopmail",
		"first_valid_uid":       "89",
		"verbose_proctitle":     "yes",
		"auth_username_format":  "",
	} {
		if v, ok := c.Get(Filter{}, key); !ok || v.Text != want {
			t.Errorf("%s = %q, %v, want %q", key, v.Text, ok, want)
		}
	}
}

func TestR333LostLineEnds(t *testing.T) {
	for _, c := range []struct {
		text, want, hint string
		d                conf.Dialect
	}{
		{"protocols imap imaps pop3s\n", "Expecting '='", `did you mean "protocols = imap imaps pop3s"?`, conf.V1},
		{"protocols imap imaps pop3s\n", "Expecting '{'", `did you mean "protocols = imap imaps pop3s"?`, conf.V23},
		{"protocols: imap imaps\nlisten(default): *\n", "Expecting '{'", "what dovecot -n of 1.x prints", conf.V23},
		{"namespace private { separator = . }\n", "Garbage after '{'", "line", conf.V23},
	} {
		_, problems := parse(t, c.text, c.d)
		p := problems.Fatal()
		if p == nil || p.Pos.Line != 1 || p.Text != c.want || !strings.Contains(p.Instead, c.hint) {
			t.Errorf("%q: %v, instead: %q", c.text, p, p.Instead)
		}
	}
}

var originOf = regexp.MustCompile(`^\s*(\S+) = .* # (\S+):(\d+)$`)

// TestR108Origins looks each printed line of Debian's tree up where it says that
// it was set.
func TestR108Origins(t *testing.T) {
	c, _ := Load(t.Context(), "testdata/configs/debian-tree/dovecot.conf", Options{NoProtocols: true})
	var out strings.Builder
	if err := c.Print(&out, PrintOptions{Scope: NonDefault, Origin: true}); err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(out.String()) {
		m := originOf.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			if strings.Contains(line, " = ") && !strings.Contains(line, "location = ") && !strings.Contains(line, "prefix = ") {
				t.Errorf("no origin: %q", line)
			}
			continue
		}
		found++
		n, _ := strconv.Atoi(m[3])
		if got := lineOfFile(t, m[2], n); !strings.HasPrefix(got, m[1]) {
			t.Errorf("%s was not set at %s:%d: %q", m[1], m[2], n, got)
		}
	}
	if found < 10 {
		t.Errorf("only %d lines have an origin", found)
	}
}

func lineOfFile(t *testing.T, path string, n int) string {
	t.Helper()
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for range n {
		lines.Scan()
	}
	return strings.TrimSpace(lines.Text())
}

func TestEachPortOfAnOldFileIsListenedOn(t *testing.T) {
	c, problems := parse(t, "protocol imap {\n listen = 127.0.0.1:1143, [::1]:1143, 127.0.0.2:2143\n}\n"+
		"auth default {\n passdb pam {\n }\n userdb passwd {\n }\n}\n", conf.V1)
	if p := problems.Fatal(); p != nil {
		t.Fatal(p)
	}
	for key, want := range map[string]string{
		"imap/address": "127.0.0.1, [::1]", "imap/port": "1143", "imap-2143/address": "127.0.0.2", "imap-2143/port": "2143",
	} {
		if v, ok := c.Get(Filter{}, "service/imap-login/inet_listener/"+key); !ok || v.Text != want {
			t.Errorf("%s = %q, want %q", key, v.Text, want)
		}
	}
}

func TestR324OneEndOfARangeIsNotBoth(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"first_valid_uid = 89\n", "first_valid_uid is set, last_valid_uid has its default 0"},
		{"last_valid_uid = 900\n", "last_valid_uid is set, first_valid_uid has its default 500"},
		{"first_valid_uid = 89\nlast_valid_uid = 89\n", ""},
	} {
		_, problems := parse(t, "ssl = no\n"+c.text, conf.V23)
		var got string
		for _, p := range problems.All {
			if strings.Contains(p.Text, "has its default") {
				got += p.Text
			}
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// 2.3 itself keeps only the last port of such a list.
func TestR337SeveralAddressesOfOneProtocol(t *testing.T) {
	c, _ := parse(t, "auth default {\n}\nprotocols = imap\nprotocol imap {\n  listen = 127.0.0.1:10143, 127.0.0.2:10144\n}\n", conf.V1)
	var got []string
	for _, service := range c.For(Filter{}).Sections("service") {
		for _, l := range service.Sections("inet_listener") {
			address, _ := l.Get("address")
			port, _ := l.Get("port")
			if port.Text != "0" && strings.HasPrefix(address.Text, "127.") {
				got = append(got, address.Text+":"+port.Text)
			}
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"127.0.0.1:10143", "127.0.0.2:10144"}) {
		t.Errorf("listeners: %q", got)
	}
}
