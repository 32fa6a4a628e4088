package convert

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/conf"
)

// testdata/everything.conf holds what changed most between the versions, and
// nothing that is lost.
func TestEverythingWithACounterpartSurvives(t *testing.T) {
	r, err := Convert(t.Context(), "testdata/everything.conf", options(conf.V24))
	if err != nil {
		t.Fatal(err)
	}
	if !r.Clean() {
		t.Errorf("lost: %v\ndiffers: %s", r.Losses, strings.Join(r.Differences, "\n"))
	}
	for _, want := range []string{
		"service auth-worker {\n  process_limit = 50\n}\n", "prefix = \"shared/$user/\"\n", "local_name b.example.org {\n",
		"  inet_listener port-1143 {\n    port = 1143\n    listen = 127.0.0.1 ::1\n", "  mail_compress = yes\n",
		"mailbox Junk {\n  sieve_script imapsieve1-before {\n", "acl_sharing_map {\n  dict file {\n    path = /var/lib/shared\n",
	} {
		if !strings.Contains(r.Files[0].Text, want) {
			t.Errorf("without %q", want)
		}
	}
}

func TestWhatHasNoCounterpartIsListed(t *testing.T) {
	for _, c := range []struct {
		name, text string
		to         conf.Dialect
		want       string
	}{
		{"director", "director_servers = 10.0.0.1\n", conf.V24, "no such setting"},
		{"replication as a plug-in", "mail_plugins = notify replication\n", conf.V24, "no such plug-in"},
		{"replication as a service", "service replicator {\n process_min_avail = 1\n}\n", conf.V24, "no replication"},
		{"unknown settings of plug-ins", "plugin {\n nonsense = 1\n}\n", conf.V24, "no such plug-in setting"},
		{"a negated protocol with content", "protocol !imap {\n mail_max_userip_connections = 3\n}\n", conf.V24, "not for"},
		{"a PJW hash", "mail_location = maildir:/m/%Hu\n", conf.V24, "H"},
		{"a database that is gone", "passdb {\n driver = checkpassword\n args = /bin/x\n}\n", conf.V24, "no passdb"},
		{"a group", "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\ngroup @g n {\n mail_debug = yes\n}\n", conf.V23, "no groups"},
		{"what is new in 2.4", "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\nssl_peer_certificate_fingerprint_hash = x\n",
			conf.V23, "no such setting"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(c.to)
			o.Read.Source = overlay{nil, tree{"/d.conf": c.text}}
			r, err := Convert(t.Context(), "/d.conf", o)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(r.Losses, func(l Loss) bool { return strings.Contains(l.Text+l.Why, c.want) }) {
				t.Errorf("losses %v, differences %v", r.Losses, r.Differences)
			}
			if !readable(r) {
				t.Error(r.Differences)
			}
		})
	}
}

func TestTreesAreWrittenAsAWhole(t *testing.T) {
	dir := t.TempDir() + "/out"
	files := []File{{Name: "dovecot.conf", Text: "a"}, {Name: "conf.d/x.conf", Text: "b", Secret: true}}
	if err := WriteTree(dir, files, false); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(dir + "/conf.d/x.conf")
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if err := WriteTree(dir, files, false); err == nil {
		t.Error("a directory that is not empty was written to")
	}
	if err := WriteTree(dir, files, true); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir + "/..")
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// FuzzConvert converts anything: nothing may panic, and what was written must
// be readable.
func FuzzConvert(f *testing.F) {
	for _, name := range []string{"doveconf-2.3.19", "doveconf-2.4.4", "doveconf-1.1rc8"} {
		for i, v := range vectors(f, name) {
			if i%5 == 0 { // the others are converted by a test
				f.Add(v.Files["d.conf"], i%2 == 0)
			}
		}
	}
	b, err := os.ReadFile("testdata/everything.conf")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b), true)
	f.Fuzz(func(t *testing.T, text string, up bool) {
		o := options(map[bool]conf.Dialect{true: conf.V24, false: conf.V23}[up])
		o.Read.Source = overlay{nil, tree{"/d.conf": text}}
		o.Read.Lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
		r, err := Convert(t.Context(), "/d.conf", o)
		if err == nil && len(r.Losses) == 0 && !readable(r) {
			t.Errorf("%v\n%q", r.Differences, r.Files[0].Text)
		}
	})
}
