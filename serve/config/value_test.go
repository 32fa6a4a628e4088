package config

import (
	"strings"
	"testing"

	"dovetail/formats/conf"
)

// Whoever gives a value of the wrong type is told what would be right, in both dialects.
func TestWrongValuesAreAnsweredWithWhatIsAccepted(t *testing.T) {
	const head = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
	for _, line := range []struct{ text, want string }{
		{"ssl = maybe", "one of: yes no required"},
		{"shutdown_clients = on", "yes or no"},
		{"mail_max_userip_connections = x", "a number"},
		{"auth_failure_delay = 5", "a number and a unit"},
		{"default_vsz_limit = much", "bytes"},
		{"doveadm_port = 70000", "65535"},
	} {
		for d, text := range map[conf.Dialect]string{conf.V23: line.text + "\n", conf.V24: head + line.text + "\n"} {
			_, problems := parse(t, text, d)
			if p := problems.Fatal(); p == nil || !strings.Contains(p.Instead, line.want) {
				t.Errorf("%v, %q: %v", d, line.text, p)
			}
		}
	}
}
