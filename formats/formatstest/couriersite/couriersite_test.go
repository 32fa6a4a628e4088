package couriersite_test

import (
	"dovetail/formats/formatstest/courier"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dovetail/formats/formatstest/couriersite"
	"dovetail/formats/formatstest/dovecot"
)

// The sample is whole: users, owners, times, and the checker finds the losses that Dovecot alone brings about.
func TestSiteIsWhole(t *testing.T) {
	s := couriersite.Unpack(t)
	if len(s.Users) != 17 || s.Aliases["example.org"] != "example.com" {
		t.Fatalf("%d users, aliases %v", len(s.Users), s.Aliases)
	}
	uid, _ := couriersite.IDs()
	for _, name := range s.Names() {
		info, err := os.Stat(filepath.Join(s.Maildir(name), "cur"))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t); int(got.Uid) != uid || info.ModTime().Year() > 2026 {
			t.Errorf("%s: owner %d, time %v", name, got.Uid, info.ModTime())
		}
	}
	dovecot.Need(t)
	d := s.Serve("")
	if r := s.Check(d); r.Loss["uid"] != 1384 || r.Loss["uidl"] != 231 || r.Perfect() != 2 {
		t.Errorf("an unconverted site under Dovecot: %d perfect, lost %v", r.Perfect(), r.Loss)
	}
}

// Courier's rules for control files give what Courier gave, and Courier 5 shows today what it showed then.
func TestTruthIsWhatCourierShows(t *testing.T) {
	s := couriersite.Unpack(t)
	for _, name := range s.Names() {
		t.Run(name, func(t *testing.T) {
			if s.Users[name].Courier == 4 {
				for _, d := range s.Differences(name, courier.Rules(t, s.Maildir(name))) {
					t.Error(d)
				}
				return
			}
			j := courier.New(t, s.Maildir(name))
			for _, d := range s.Differences(name, j.Seen()) {
				t.Error(d)
			}
		})
	}
}

// Whoever compares must notice a loss of each kind.
func TestDifferencesAreNoticed(t *testing.T) {
	for _, c := range []struct{ what, user, file, old, new string }{
		{"a UID", "alice@example.com", "courierimapuiddb", "\n1 ", "\n9999 "},
		{"a UIDVALIDITY", "bob@example.com", "courierimapuiddb", "1 ", "1 7"},
		{"a UIDL", "alice@example.com", "courierpop3dsizelist", " 0:", " 9999:"},
		{"a subscription", "alice@example.com", "courierimapsubscribed", "INBOX.Sent\n", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := couriersite.Unpack(t)
			path := filepath.Join(s.Maildir(c.user), c.file)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(b), c.old, c.new, 1)
			if err := os.WriteFile(path, []byte(changed), 0o644); err != nil || changed == string(b) {
				t.Fatalf("%v, changed %t", err, changed != string(b))
			}
			if got := s.Differences(c.user, courier.Rules(t, s.Maildir(c.user))); len(got) == 0 {
				t.Error("nothing was noticed")
			}
		})
	}
}
