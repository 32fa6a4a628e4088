package config

import (
	"strings"
	"testing"
	"testing/fstest"

	"dovetail/formats/conf"
)

func TestRulesOf23HoldFor24(t *testing.T) {
	const head = "dovecot_config_version = 2.4.4\ndovecot_storage_version = 2.4.4\nprotocols = imap\n"
	for _, c := range []struct{ name, text, want string }{
		{"more spare workers than workers", "ssl = no\nservice imap-login {\n process_limit = 2\n process_min_avail = 3\n}", "d.conf:7 service(imap-login): process_min_avail is higher than process_limit"},
		{"a service of an unknown type", "ssl = no\nservice imap {\n type = x\n}", "d.conf:6 Unknown service type: x"},
		{"little memory", "ssl = no\nservice imap {\n vsz_limit = 10 k\n}", "d.conf:6 service(imap): vsz_limit is too low"},
		{"one port twice", "ssl = no\nservice imap-login {\n inet_listener a {\n  port = 143\n }\n}", "d.conf:7 duplicate listener: 143:"},
		{"uids the wrong way round", "ssl = no\nfirst_valid_uid = 9\nlast_valid_uid = 8", "d.conf:5 first_valid_uid can't be larger than last_valid_uid"},
		{"a user that is not there", "ssl = no\ndefault_login_user = nobody-here", "d.conf:5 default_login_user doesn't exist: nobody-here"},
		{"NFS with maps", "ssl = no\nmail_nfs_index = yes", "d.conf:5 mail_nfs_index=yes requires mmap_disable=yes"},
		{"a workaround that is none", "ssl = no\nimap_client_workarounds = delay-newmail nothing", "d.conf:5 imap_client_workarounds: Unknown workaround: nothing"},
		{"a facility that is none", "ssl = no\nsyslog_facility = x", "d.conf:5 Unknown syslog_facility: x"},
		{"no certificate", "ssl = yes", "d.conf:4 ssl enabled, but ssl_server_cert_file not set"},
		{"a certificate that is none", "ssl = yes\nssl_server_cert_file = /bad.pem\nssl_server_key_file = /bad.pem", "d.conf:5 There is no valid PEM certificate."},
		{"a certificate that is missing", "ssl = yes\nssl_server_cert_file = /none.pem\nssl_server_key_file = /bad.pem",
			"d.conf:5 ssl_server_cert_file: Can't open file /none.pem: No such file or directory"},
		{"no INBOX", "ssl = no\nnamespace a {\n prefix = a/\n separator = /\n}", "d.conf:5 namespace configuration error: inbox=yes namespace missing"},
		{"a long separator", "ssl = no\nnamespace a {\n inbox = yes\n separator = //\n}", "d.conf:7 Namespace '': Hierarchy separator must be only one character long"},
		{"a special use that is none", "ssl = no\nnamespace a {\n inbox = yes\n mailbox b {\n  special_use = \\Bin\n }\n}", `d.conf:8 mailbox b: unknown special_use: \Bin`},
		{"a protocol's own mistake", "ssl = no\nprotocol imap {\n mail_nfs_index = yes\n}", "d.conf:6 mail_nfs_index=yes requires mmap_disable=yes"},
		{"a service of one's own", "ssl = no\nservice mine {\n executable = x\n}", "d.conf:5 nothing serves service mine"},
		{"decimal modes", "ssl = no\nservice auth {\n unix_listener x {\n  mode = 660\n }\n}", "d.conf:7 decimal mode, did you mean 0660?"},
		{"nothing wrong", "ssl = no", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := fstest.MapFS{"d.conf": {Data: []byte(head + c.text + "\n")}, "bad.pem": {Data: []byte("x")}}
			_, problems := Load(t.Context(), "/d.conf", Options{Source: conf.In{FS: files}, Expand: true,
				User: func(name string) bool { return !strings.HasSuffix(name, "-here") }})
			var all []string
			for _, p := range problems.All {
				line := strings.TrimPrefix(p.Pos.String(), "/") + " " + p.Text
				if !strings.Contains(line, "not needed") && !strings.Contains(line, "no effect yet") {
					all = append(all, line)
				}
			}
			if got := strings.Join(all, "\n"); c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if lines := problems.Stderr(PrintOptions{}); len(lines) > 0 {
				t.Errorf("2.4's doveconf would not say %q", lines)
			}
		})
	}
}
