package couriersite_test

import (
	"os"
	"path/filepath"
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
