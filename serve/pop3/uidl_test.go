package pop3_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// login starts a POP3 session on a server of ours.
func login(t *testing.T, address string, log func() string) client.POP3 {
	t.Helper()
	p := client.POP3{Session: client.Dial(t, client.POP, address, log)}
	if greeting := p.Next(); !strings.HasPrefix(greeting, "+OK") {
		t.Fatalf("greeting %q", greeting)
	}
	p.Cmd("USER tester")
	p.Cmd("PASS secret")
	return p
}

// uidlFormats are values of pop3_uidl_format, most of them of sites that came from other servers.
var uidlFormats = []string{
	"%08Xu%08Xv", "%08Xv%08Xu", "%v.%u", "UID%u-%v", "%u", "%v-%u", "%Xu.%Xv", "%04u", "%-8u|%v", "%2.5v.%u", "%Rv%u", "%Hu.%u",
	"%5Nu.%u", "x%%%u", "%Uu%Lv", "%MXu",
}

// ofFiles can only be had where each message is a file; ofHeaders where messages are compared by their headers.
var (
	ofFiles   = []string{"%f", "%Uf", "%Mf", "%3f-%u"}
	ofHeaders = []string{"%m", "%Um", "%Lm.%u"}
	ofGUIDs   = []string{"%g", "%Ug", "%Mg", "%.8g.%u"}
)

func TestEveryUIDLFormatGivesWhatDovecotGives(t *testing.T) {
	dovecot.Need(t)
	for format, which := range map[string][]string{
		"maildir": slices.Concat(uidlFormats, ofFiles, ofGUIDs),
		"sdbox":   slices.Concat(uidlFormats, ofGUIDs),
		"mdbox":   {"%08Xu%08Xv", "%g"},
		"mbox":    slices.Concat(uidlFormats[:4], ofHeaders, ofGUIDs),
	} {
		_, dir := twins(t, format, nil)
		for _, uidl := range which {
			t.Run(format+" "+strings.ReplaceAll(uidl, "%", "="), func(t *testing.T) {
				j := dovecot.New(t, dovecot.Location(format, filepath.Join(dir, "mail")), "pop3_uidl_format = "+uidl)
				theirs := j.POP3()
				want := theirs.Multi("UIDL")
				theirs.Close()
				address, log := start(t, configuration(t, format, dir, "pop3_uidl_format = "+uidl))
				ours := login(t, address, log.String)
				if got := ours.Multi("UIDL"); !slices.Equal(got, want) || len(got) != len(samples) {
					t.Errorf("got %q, Dovecot %q", got, want)
				}
				ours.Close()
				j.MustBeClean()
			})
		}
	}
}

var storedUIDL = regexp.MustCompile(`(?m)^(\d+) .*?P(\S*) `)

// What pop3_save_uidl leaves in a Maildir is what Dovecot leaves, so that another pop3_uidl_format changes nothing for
// messages whose UIDL a client has seen.
func TestUIDLsAreSavedAsDovecotSavesThem(t *testing.T) {
	for name, setting := range map[string]string{
		"of UIDs":        "pop3_uidl_format = UID%u-x",
		"names of files": "pop3_uidl_format = %f",
		"renamed":        "pop3_uidl_format = y%v\npop3_uidl_duplicates = rename",
		"of messages":    "pop3_reuse_xuidl = yes",
	} {
		t.Run(name, func(t *testing.T) {
			dovecot.Need(t)
			a, b := twins(t, "maildir", stored)
			d := dovecot.ServeConf(t, configuration(t, "maildir", a, "pop3_save_uidl = yes", setting))
			theirs := d.LoginPOP("tester", "secret")
			want := theirs.Multi("UIDL")
			theirs.Quit()
			d.Stop()
			address, log := start(t, configuration(t, "maildir", b, "pop3_save_uidl = yes", setting))
			ours := login(t, address, log.String)
			if got := ours.Multi("UIDL"); !slices.Equal(got, want) {
				t.Fatalf("got %q, Dovecot %q", got, want)
			}
			ours.Quit()
			if got, want := savedIn(t, b), savedIn(t, a); !slices.Equal(got, want) || len(got) != len(samples) {
				t.Errorf("saved are %q, Dovecot saves %q", got, want)
			}
			again := dovecot.New(t, dovecot.Location("maildir", filepath.Join(b, "mail")), "pop3_uidl_format = other-%u").POP3()
			for i, got := range again.Multi("UIDL") {
				want := strings.TrimRight(want[i], " ") // the list holds no more of it
				if i > 2 && got != want {               // before them are those that had one
					t.Errorf("Dovecot reads %q, want %q", got, want)
				}
			}
			again.Close()
		})
	}
}

func savedIn(t *testing.T, dir string) (fields []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "mail", "dovecot-uidlist"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range storedUIDL.FindAllStringSubmatch(string(text), -1) {
		fields = append(fields, m[1]+" "+m[2])
	}
	return fields
}
