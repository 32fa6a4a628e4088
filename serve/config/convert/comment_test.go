package convert

import (
	"os"
	"strings"
	"testing"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// comments gives the comments of files that are prose, without "#" and blanks.
func comments(files []*conf.File) []string {
	var all []string
	for _, f := range files {
		for _, l := range f.Lines {
			text := l.Comment
			if l.Kind == conf.Comment {
				text = l.Raw()
			}
			for line := range strings.Lines(text) {
				line = strings.Trim(line, "# \t\r\n")
				if !settingLike.MatchString(line) && line != "" {
					all = append(all, line)
				}
			}
		}
	}
	return all
}

// missing gives the comments of a configuration that its conversion does not
// have.
func missing(t testing.TB, path string, o config.Options, r *Result) []string {
	t.Helper()
	c, err := conf.Load(conf.OS{}, path, conf.Options{Dialect: o.Dialect})
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range r.Files {
		all.WriteString(f.Text)
	}
	var lost []string
	for _, text := range comments(c.Files) {
		if !strings.Contains(all.String(), text) {
			lost = append(lost, text)
		}
	}
	return lost
}

func TestNoCommentIsLost(t *testing.T) {
	root := seeds(t)
	paths := mains(t, root)
	if _, err := os.Stat(debian); err == nil {
		paths = append(paths, debian)
	}
	for _, path := range paths {
		for _, to := range []conf.Dialect{conf.V23, conf.V24} {
			o := options(to)
			r, err := Convert(t.Context(), path, o)
			if err != nil {
				continue // is one already
			}
			for _, text := range missing(t, path, o.Read, r) {
				t.Errorf("%s to %s: lost: %s", strings.TrimPrefix(path, root), to, text)
			}
		}
	}
}

// What stands beside a line stays with what the line becomes.
func TestCommentsStayWithTheirLines(t *testing.T) {
	for _, c := range []struct{ name, from, want string }{
		{"above and beside a renamed setting", "# above\ndisable_plaintext_auth = no # beside\n", "# above\nauth_allow_cleartext = yes # beside\n"},
		{"beside a setting that becomes several", "mail_location = maildir:~/M:INDEX=~/I # beside\n",
			"mail_driver = maildir # beside\nmail_path = ~/M\nmail_index_path = ~/I\n"},
		{"beside a line that vanishes", "passdb {\n  driver = pam # PAM\n}\n", "passdb pam {\n  # PAM\n}\n"},
		{"in a section that vanishes", "plugin {\n  # why\n  sieve_max_actions = 7\n}\n", "# why\nsieve_max_actions = 7\n"},
		{"settings in comments", "#disable_plaintext_auth = yes\n# ssl_cert = <x\n", "#auth_allow_cleartext = no\n#ssl_server_cert_file = x\n"},
		{"prose that looks like a setting", "# with ssl=yes all is well\n", "# with ssl=yes all is well\n"},
		{"beside something that is lost", "config_cache_size = 2 M # big\n",
			"# not in 2.4: there is no such setting any more\n#config_cache_size = 2 M # big\n"},
		{"indentation and order", "service imap {\n\tservice_count = 0 # for ever\n\t# end\n}\n",
			"service imap {\n\trestart_request_count = unlimited # for ever\n\t# end\n}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := convertText(t, c.from, conf.V24)
			if got != c.want {
				t.Errorf("got:\n%swant:\n%s", got, c.want)
			}
		})
	}
}

// convertText converts one file and leaves out the versions and defaults.
func convertText(t testing.TB, text string, to conf.Dialect) string {
	t.Helper()
	o := options(to)
	o.KeepDefaults = true
	o.Read.Source = overlay{nil, tree{"/d.conf": text}}
	r, _, err := convert(t.Context(), "/d.conf", withVersion(o))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(r.Files[0].Text, "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n\n")
}

func withVersion(o Options) Options {
	o.Version = "2.4.0"
	return o
}
