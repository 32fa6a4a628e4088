package convert

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/conf"
)

// debian is the configuration of Debian's packages.
const debian = "/etc/dovecot/dovecot.conf"

// Debian's tree goes to 2.4 and back without a loss, and Dovecot 2.3 says the
// same of what came back.
func TestDebiansTreeConvertsBothWays(t *testing.T) {
	if _, err := os.Stat(debian); err != nil {
		t.Skip("Debian's packages are not installed")
	}
	there, back := filepath.Join(t.TempDir(), "24"), filepath.Join(t.TempDir(), "23")
	for _, step := range []struct {
		path, out string
		to        conf.Dialect
	}{{debian, there, conf.V24}, {there + "/dovecot.conf", back, conf.V23}} {
		o := options(step.to)
		o.Out = step.out
		r, err := Convert(t.Context(), step.path, o)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Clean() {
			t.Error(r.Losses, r.Differences)
		}
		if err := WriteTree(step.out, r.Files, false); err != nil {
			t.Fatal(err)
		}
	}
	doveconf, err := exec.LookPath("doveconf")
	if err != nil {
		t.Skip("doveconf is not installed")
	}
	before, _, _ := ask(t, doveconf, debian)
	after, stderr, ok := ask(t, doveconf, back+"/dovecot.conf")
	if !ok {
		t.Fatal(stderr)
	}
	clean := strings.NewReplacer(`" imap lmtp pop3"`, "imap lmtp pop3", `" imap lmtp pop3 submission"`, "imap lmtp pop3 submission",
		"submission_max_mail_size = 0\n", "")
	if got, want := clean.Replace(after), clean.Replace(before); got != want {
		t.Errorf("came back as\n%s\nand was\n%s", got, want)
	}
}

// Dovecot 2.3 reads what the configurations of 2.4's vectors become.
func TestDovecotReadsVectorsOf24(t *testing.T) {
	doveconf, err := exec.LookPath("doveconf")
	if err != nil {
		t.Skip("doveconf is not installed")
	}
	read := 0
	for _, v := range vectors(t, "doveconf-2.4.4") {
		if _, ok := v.Files["d.conf"]; !ok || v.RC != 0 {
			continue
		}
		o := options(conf.V23)
		o.Read.Dialect = conf.V24
		r, err := Convert(t.Context(), v.layOut(t)+"/d.conf", o)
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		out := filepath.Join(t.TempDir(), "out")
		if err := WriteTree(out, r.Files, false); err != nil {
			t.Fatal(err)
		}
		if _, stderr, ok := ask(t, doveconf, out+"/d.conf"); !ok {
			t.Errorf("%s: %s\nfrom:\n%s\ninto:\n%s", v.Name, stderr, v.Files["d.conf"], r.Files[0].Text)
		}
		read++
	}
	t.Logf("Dovecot reads %d", read)
}
