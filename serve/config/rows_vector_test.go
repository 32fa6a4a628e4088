package config

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"testing"

	"dovetail/formats/conf"
)

// TestRowsOfVectors runs the recorded answers that rows of the acceptance table
// name; patterns are those of path.Match.
func TestRowsOfVectors(t *testing.T) {
	files := map[conf.Dialect][]vector{
		conf.V23: loadVectors(t, "doveconf-2.3.19.jsonl"), conf.V24: loadVectors(t, "doveconf-2.4.4.jsonl"),
	}
	for _, c := range []struct {
		row      string
		dialect  conf.Dialect
		patterns []string
	}{
		{"R-019 a passdb of 2.4 has its driver from its name", conf.V24, []string{"sec-passdb-passwd-file"}},
		{"R-090 a listener of any name", conf.V23, []string{"sec-listener-extra", "sec-listener-new-name-ssl"}},
		{"R-091 a port of 0 is no listener", conf.V23, []string{"port-0", "chkp-dup-listener*"}},
		{"R-093 listeners in a protocol", conf.V23, []string{"old-proto-listen-*"}},
		{"R-147 a file is not shown", conf.V23, []string{"file-hidden"}},
		{"R-244 sections merge by name in any case", conf.V23, []string{"sec-merge-namespace-named", "mailbox-merge-case"}},
		{"R-245 an automatic creation that is none", conf.V23, []string{"enum-auto-*"}},
		{"R-246 special uses", conf.V23, []string{"chk-special-use-*"}},
		{"R-292 includes", conf.V23, []string{"inc-*"}},
		{"R-327 the namespace of Courier's users", conf.V23, []string{"old-namespace-private"}},
		{"R-335 listeners of protocols become services", conf.V23, []string{"old-proto-listen-*"}},
		{"R-414 privileges dropped before a chroot", conf.V23, []string{"chk-drop-priv-chroot", "chkp-drop-priv-*"}},
		{"R-417 the requests of a process", conf.V24, []string{"restart-*"}},
		{"R-427 limits of auth and anvil", conf.V23, []string{"chk-auth-*limit*", "chk-anvil-limit", "chkp-auth-client-limit", "chkp-anvil-client-limit"}},
		{"R-433 a mode of 0 is no listener", conf.V23, []string{"chkp-dup-unix-mode0"}},
		{"R-436 names of listeners", conf.V23, []string{"sec-listener-*"}},
		{"R-519 the old name of dns-client", conf.V23, []string{"old-dns-client"}},
	} {
		t.Run(c.row, func(t *testing.T) {
			for _, p := range c.patterns {
				if n := runMatching(t, files[c.dialect], c.dialect, p); n == 0 {
					t.Errorf("no vector is called %s", p)
				}
			}
		})
	}
}

func runMatching(t *testing.T, all []vector, d conf.Dialect, pattern string) (n int) {
	for _, v := range all {
		if ok, _ := path.Match(pattern, v.Name); !ok {
			continue
		}
		n++
		if err := v.run(t, d).differs(v); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
	return n
}

// TestRowsOfWholeConfigurations does so for rows that name a configuration.
func TestRowsOfWholeConfigurations(t *testing.T) {
	for _, c := range []struct{ row, name, key, want string }{
		{"R-082 an include in a folder of includes", "basics-tree", "passdb/0/driver", "static"},
		{"R-104 the namespace of the INBOX", "basics-tree", "namespace/inbox/inbox", "yes"},
		{"R-219 a list with its own old value", "rhel-replication-a", "mail_plugins", " notify replication"},
		{"R-276 a protocol more", "rhel-sieve", "protocols", "imap lmtp sieve"},
		{"R-474 a director that is only described", "services-all", "service/director/chroot", "."},
	} {
		t.Run(c.row, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join("testdata/configs", c.name+".expect.json"))
			if err != nil {
				t.Fatal(err)
			}
			var s seed
			if err := json.Unmarshal(b, &s); err != nil {
				t.Fatal(err)
			}
			if err := s.run(t); err != nil {
				t.Error(err)
			}
			root := t.TempDir()
			layOut(t, "testdata/configs", root)
			got, _ := Load(t.Context(), filepath.Join(root, s.Config), Options{NoProtocols: true, Expand: true})
			if v, ok := got.Get(Filter{}, c.key); !ok || v.Text != c.want {
				t.Errorf("%s = %q, %v, want %q", c.key, v.Text, ok, c.want)
			}
		})
	}
}

func TestR446TypesOfListenersOf24(t *testing.T) {
	for _, name := range []string{"admin", "auth", "login", "master", "token", "userdb", "tcp", "http", "penalty", "connect-limit", "reader", "writer"} {
		text := "dovecot_config_version = 2.4.4\ndovecot_storage_version = 2.4.4\nservice x {\n unix_listener y {\n  type = " + name + "\n }\n}\n"
		c, problems := parse(t, text, conf.V24)
		v, _ := c.Get(Filter{}, "service/x/unix_listener/y/type")
		if p := problems.Fatal(); p != nil || v.Text != name {
			t.Errorf("%s: %v, %q", name, p, v.Text)
		}
	}
}
