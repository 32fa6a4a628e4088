package config

import (
	"net/netip"
	"testing"

	"dovetail/formats/conf"
)

const file23 = `
mail_plugins = quota
protocol imap {
  mail_plugins = $mail_plugins imap_quota
}
local 10.0.0.0/8 {
  login_greeting = net
}
local 10.1.0.0/16 {
  login_greeting = smaller net
  protocol imap {
    login_greeting = imap in it
  }
}
local_name mail.example.org {
  login_greeting = name
}
passdb {
  driver = pam
}
passdb {
  driver = static
}
plugin {
  quota = count
}
service imap-login {
  inet_listener other {
    port = 10143
  }
}
`

const file24 = `
dovecot_config_version = 2.4.4
dovecot_storage_version = 2.4.4
mail_plugins = quota
protocol imap {
  mail_plugins {
    imap_quota = yes
  }
  login_greeting = imap
}
local 10.0.0.0/8 {
  login_greeting = net
}
passdb sql {
  query = SELECT 1
}
group @mail here {
  mail_path = ~/group
}
@mail = here
ssl_server_cert_file = /c.pem
service imap {
  process_limit = 7
}
`

func TestWhatHoldsForAConnection(t *testing.T) {
	ten := netip.MustParsePrefix("10.1.2.3/32")
	for _, c := range []struct {
		name, text string
		dialect    conf.Dialect
		filter     Filter
		key, want  string
	}{
		{"a global setting", file23, conf.V23, Filter{}, "mail_plugins", "quota"},
		{"a protocol's own", file23, conf.V23, Filter{Protocol: "imap"}, "mail_plugins", "quota imap_quota"},
		{"another protocol's", file23, conf.V23, Filter{Protocol: "pop3"}, "mail_plugins", "quota"},
		{"the smaller net wins", file23, conf.V23, Filter{Local: ten}, "login_greeting", "smaller net"},
		{"a protocol in a net", file23, conf.V23, Filter{Local: ten, Protocol: "imap"}, "login_greeting", "imap in it"},
		{"a name weighs more than a net", file23, conf.V23, Filter{Local: ten, LocalName: "MAIL.example.org"}, "login_greeting", "name"},
		{"a setting of a plugin", file23, conf.V23, Filter{}, "plugin/quota", "count"},
		{"a default of a service", file23, conf.V23, Filter{}, "service/imap/client_limit", "1"},
		{"a listener", file23, conf.V23, Filter{}, "service/imap-login/inet_listener/other/port", "10143"},
		{"2.4: a list", file24, conf.V24, Filter{}, "mail_plugins", "quota"},
		{"2.4: a list that a protocol adds to", file24, conf.V24, Filter{Protocol: "imap"}, "mail_plugins", "quota imap_quota"},
		{"2.4: a net", file24, conf.V24, Filter{Local: ten}, "login_greeting", "net"},
		{"2.4: a net weighs more than a protocol", file24, conf.V24, Filter{Local: ten, Protocol: "imap"}, "login_greeting", "net"},
		{"2.4: a setting by its short name", file24, conf.V24, Filter{}, "passdb/sql/query", "SELECT 1"},
		{"2.4: a setting by its full name", file24, conf.V24, Filter{}, "passdb/sql/passdb_sql_query", "SELECT 1"},
		{"2.4: the driver is the name", file24, conf.V24, Filter{}, "passdb/sql/driver", "sql"},
		{"2.4: a section without a name", file24, conf.V24, Filter{}, "ssl_server/cert_file", "/c.pem"},
		{"2.4: a group", file24, conf.V24, Filter{}, "mail_path", "~/group"},
		{"2.4: a default", file24, conf.V24, Filter{}, "auth_failure_delay", "2 secs"},
		{"2.4: a default of a service", file24, conf.V24, Filter{}, "service/imap/client_limit", "1"},
		{"2.4: a service", file24, conf.V24, Filter{}, "service/imap/process_limit", "7"},
		{"2.4: a default listener", file24, conf.V24, Filter{}, "service/imap-login/inet_listener/imaps/port", "993"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, problems := parse(t, c.text, c.dialect)
			if p := problems.Fatal(); p != nil {
				t.Fatal(p)
			}
			if v, ok := got.Get(c.filter, c.key); !ok || v.Text != c.want {
				t.Errorf("%s = %q, %v, want %q", c.key, v.Text, ok, c.want)
			}
		})
	}
}

func TestSectionsComeInTheirOrder(t *testing.T) {
	c, _ := parse(t, file23, conf.V23)
	list := c.For(Filter{Protocol: "imap"}).Sections("passdb")
	if len(list) != 2 {
		t.Fatal(list)
	}
	for i, want := range []string{"pam", "static"} {
		if v, _ := list[i].Get("driver"); v.Text != want || v.Pos.Line == 0 {
			t.Errorf("passdb %d: %+v", i, v)
		}
	}
	names := ""
	for _, s := range c.For(Filter{}).Sections("service") {
		for _, l := range s.Sections("inet_listener") {
			if s.Name == "imap-login" {
				names += l.Name + " "
			}
		}
	}
	if names != "imap imaps other " {
		t.Error(names)
	}
}
