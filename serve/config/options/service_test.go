package options

import (
	"fmt"
	"slices"
	"testing"

	"dovetail/serve/config"
)

// ports are the ports that mail clients find, with "s" for those of TLS.
func ports(t *testing.T, v config.View) string {
	t.Helper()
	list, err := ReadServices(v)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range list {
		for _, l := range s.Inet {
			text := fmt.Sprintf("%s %v%d", s.Name, l.Addresses, l.Port)
			if l.TLS {
				text += "s"
			}
			all = append(all, text)
		}
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}

func TestListenersOfWholeConfigurations(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"without TLS only ports without it", "basics-static.conf", "[imap-login [* ::]143]"},
		{"ports of a user without privileges", "rootless-23.conf", "[imap-login [* ::]10143 pop3-login [* ::]10110]"},
		{"the same in 2.4", "rootless-24.conf", "[imap-login [* ::]10143 pop3-login [* ::]10110]"},
		{"2.4: own addresses of a listener", "services-24.conf", "[imap-login [* ::]10143 imap-login [127.0.0.1 ::1]143]"},
		{"LMTP over TCP", "rhel-lmtp-inet.conf", "[imap-login [* ::]143 imap-login [* ::]993s lmtp [* ::]24 lmtp [* ::]2424s]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf, _ := seed(t, c.file)
			if got := ports(t, conf.For(config.Filter{})); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestServicesAreThoseOfProtocolsThatAreServed(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"none", "protocols = none\nssl = no", "[]"},
		{"one without TLS", "protocols = pop3\nssl = no", "[pop3-login [* ::]110]"},
		{"port 0", "protocols = pop3\nservice pop3-login {\n inet_listener pop3 {\n  port = 0\n }\n}", "[pop3-login [* ::]995s]"},
		{"one's own service of a protocol", "protocols = pop3\nssl = no\nservice mine {\n protocol = imap\n inet_listener {\n  port = 1\n }\n}", "[pop3-login [* ::]110]"},
		{"one's own service", "protocols = none\nservice mine {\n inet_listener {\n  port = 1\n  address = ::1\n }\n}", "[mine [::1]1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ports(t, view(t, c.text)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestLimitsOfServicesFollowTheirDefaults(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Service
	}{
		{"defaults of all services", "default_process_limit = 7\ndefault_client_limit = 8\ndefault_vsz_limit = 9 M\n", Service{ProcessLimit: 7, ClientLimit: 8, MemoryLimit: 9 << 20}},
		{"no memory limit", "service x {\n vsz_limit = 0\n}", Service{ProcessLimit: 100, ClientLimit: 1000}},
		{"no memory limit in 2.4", "dovecot_config_version = 2.4.4\ndovecot_storage_version = 2.4.4\nservice x {\n vsz_limit = unlimited\n}", Service{ProcessLimit: 100, ClientLimit: 1000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := c.text
			if !slices.Contains([]byte(text), '{') {
				text += "service x {\n}\n"
			}
			list, err := ReadServices(view(t, text))
			i := slices.IndexFunc(list, func(s Service) bool { return s.Name == "x" })
			if i < 0 || err != nil {
				t.Fatal(list, err)
			}
			got := Service{ProcessLimit: list[i].ProcessLimit, ClientLimit: list[i].ClientLimit, MemoryLimit: list[i].MemoryLimit}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
