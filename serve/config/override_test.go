package config

import (
	"testing"
)

const overridden23 = `mail_location = maildir:~/Maildir
plugin {
  quota = maildir
}
namespace inbox {
  inbox = yes
  separator = .
}
namespace other {
  prefix = other.
  separator = .
}
`

const overridden24 = `dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
mail_driver = maildir
mail_path = ~/Maildir
namespace inbox {
  inbox = yes
  separator = .
}
`

func TestSettingsOfOneUserHoldForHimAlone(t *testing.T) {
	for _, tc := range []struct {
		name, text, key, value string
		read, was, want        string
	}{
		{"a setting of the top level", overridden23, "mail_location", "sdbox:~/d", "mail_location", "maildir:~/Maildir", "sdbox:~/d"},
		{"a setting of a namespace", overridden23, "namespace/inbox/separator", "/", "namespace/inbox/separator", ".", "/"},
		{"the other namespace stays", overridden23, "namespace/inbox/separator", "/", "namespace/other/separator", ".", "."},
		{"a plugin's by its bare name", overridden23, "quota", "count", "plugin/quota", "maildir", "count"},
		{"a plugin's that is new", overridden23, "quota_rule", "*:storage=1G", "plugin/quota_rule", "", "*:storage=1G"},
		{"a plugin's by its path", overridden23, "plugin/quota", "count", "plugin/quota", "maildir", "count"},
		{"more of what is there", overridden23, "quota+", ":x", "quota", "", ""},
		{"more of a setting", overridden23, "mail_location+", ":INDEX=/i", "mail_location", "maildir:~/Maildir", "maildir:~/Maildir:INDEX=/i"},
		{"a section that is not there", overridden23, "namespace/none/separator", "/", "namespace/none/separator", "", ""},
		{"a value in another spelling", overridden23, "mail_debug", "y", "mail_debug", "no", "yes"},
		{"2.4: a setting of the top level", overridden24, "mail_path", "~/x", "mail_path", "~/Maildir", "~/x"},
		{"2.4: a setting of a namespace", overridden24, "namespace/inbox/separator", "/", "namespace/inbox/separator", ".", "/"},
		{"2.4: no setting at all", overridden24, "nonsense", "/", "nonsense", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, problems := Load(t.Context(), "d.conf", Options{Source: memory(tc.text), Expand: true})
			if problems.Fatal() != nil || c == nil {
				t.Fatal(problems)
			}
			before := c.For(Filter{Protocol: "imap"})
			after := before.With([]Override{{Key: tc.key, Text: tc.value}})
			if got, _ := after.Get(tc.read); got.Text != tc.want {
				t.Errorf("%s is %q, want %q", tc.read, got.Text, tc.want)
			}
			if got, _ := before.Get(tc.read); got.Text != tc.was {
				t.Errorf("the view without it says %q, want %q", got.Text, tc.was)
			}
		})
	}
}
