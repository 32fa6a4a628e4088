package config

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// startLive starts with a configuration whose file can be written again.
func startLive(t *testing.T, text string) (l *Live, write func(string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.conf")
	write = func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	l, problems := Start(t.Context(), path, Options{})
	if l == nil {
		t.Fatal(problems.All)
	}
	return l, write
}

func greeting(c *Config) string {
	v, _ := c.Get(Filter{}, "login_greeting")
	return v.Text
}

func TestReloadPutsANewConfigurationInPlaceAndChangesNone(t *testing.T) {
	l, write := startLive(t, "login_greeting = one\nssl = no\n")
	old := l.Config()
	write("login_greeting = two\nssl = no\n")
	if p := l.Reload(t.Context()); !p.OK() {
		t.Fatal(p.All)
	}
	if greeting(old) != "one" || greeting(l.Config()) != "two" {
		t.Error(greeting(old), greeting(l.Config()))
	}
}

func TestReloadOfABrokenFileKeepsTheOldConfiguration(t *testing.T) {
	l, write := startLive(t, "login_greeting = one\nssl = no\n")
	for _, broken := range []string{"login_greeting = two\nssl = maybe\n", "login_greeting = two\nno_such = x\n", "ssl_cert = </no/such/file\n", "passdb {\n"} {
		write(broken)
		p := l.Reload(t.Context())
		if p.OK() || greeting(l.Config()) != "one" {
			t.Errorf("%q was taken", broken)
		}
		if lines := p.Stderr(PrintOptions{}); len(lines) == 0 || !strings.Contains(strings.Join(lines, "\n"), "Error in configuration file") {
			t.Errorf("%q: %q", broken, lines)
		}
	}
}

func TestABrokenFileStartsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.conf")
	if l, p := Start(t.Context(), path, Options{}); l != nil || p.OK() {
		t.Error(l, p.All)
	}
}

func TestReloadsAndReadersDoNotDisturbEachOther(t *testing.T) {
	l, _ := startLive(t, "login_greeting = one\nssl = no\nprotocol imap {\n mail_max_userip_connections = 3\n}\n")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				l.Reload(t.Context())
				if v, _ := l.Config().For(Filter{Protocol: "imap"}).Get("mail_max_userip_connections"); v.Text != "3" {
					t.Error(v)
				}
			}
		})
	}
	all.Wait()
}
