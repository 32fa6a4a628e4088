package courier_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/convert/courier"
	judge "dovetail/formats/formatstest/courier"
	"dovetail/formats/formatstest/couriersite"
	"dovetail/formats/formatstest/dovecot"
)

// mustBeCourierAgain shows every user to Courier: real Courier 5 for those of version 5, its rules for those of version 4.
func mustBeCourierAgain(t *testing.T, s *couriersite.Site) {
	t.Helper()
	for _, name := range s.Names() {
		seen := func() *judge.Seen { return judge.Rules(t, s.Maildir(name)) }
		if s.Users[name].Courier == 5 {
			judge.Need(t)
			seen = func() *judge.Seen {
				j := judge.New(t, s.Maildir(name))
				defer j.MustBeClean()
				return j.Seen()
			}
		}
		for _, d := range s.Differences(name, seen()) {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// forgetCourier removes Courier's control files, so that nothing but Dovecot's can say what is back.
func forgetCourier(t *testing.T, s *couriersite.Site) {
	t.Helper()
	err := filepath.WalkDir(s.Domains(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch name := d.Name(); {
		case name == "courierimapuiddb", name == "courierpop3dsizelist", name == "courierimapsubscribed":
			return os.Remove(path)
		case name == "courierimapkeywords":
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// useDovecot lets clients of Dovecot look into every folder and every message, which numbers new mail and makes its files.
func useDovecot(t *testing.T, s *couriersite.Site) {
	t.Helper()
	d := s.Serve("")
	s.MustBeWhole("served by Dovecot", d)
	d.Stop()
	d.MustBeClean()
}

// From Courier to Dovecot and back, everything is again as clients knew it.
func TestShippedSiteThereAndBack(t *testing.T) {
	for _, c := range []struct {
		name string
		then []func(*testing.T, *couriersite.Site)
		over courier.Options
	}{
		{name: "at once"},
		{name: "after Dovecot served it", then: []func(*testing.T, *couriersite.Site){useDovecot}},
		{name: "R-309 out of Dovecot's files alone", then: []func(*testing.T, *couriersite.Site){forgetCourier}},
		{name: "out of Dovecot's files alone, after Dovecot served it", then: []func(*testing.T, *couriersite.Site){useDovecot, forgetCourier}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dovecot.Need(t)
			s := couriersite.Unpack(t)
			runSite(t, s, courier.Options{Convert: true})
			for _, then := range c.then {
				then(t, s)
			}
			looked := runSite(t, s, courier.Options{To: courier.ToCourier})
			done := runSite(t, s, courier.Options{To: courier.ToCourier, Convert: true})
			mustSayTheSame(t, looked, done)
			for _, u := range done.Users {
				for _, l := range u.Losses {
					t.Errorf("%s lost %+v", u.User, l)
				}
				if u.Outcome == courier.Skipped || u.Outcome == courier.Partly {
					t.Errorf("%s: %s: %s", u.User, u.Outcome, u.Reason)
				}
			}
			mustBelongTo(t, s)
			before := snapshot(t, s.Root)
			again := runSite(t, s, courier.Options{To: courier.ToCourier, Convert: true})
			mustBeUntouched(t, "a second run", before, snapshot(t, s.Root))
			if steps := wrote(again); len(steps) > 0 {
				t.Errorf("the second run says it does %q", steps)
			}
			mustBeCourierAgain(t, s)
		})
	}
}

// A run in the wrong direction changes nothing: before Dovecot was ever there, it has nothing to say.
func TestR376ShippedSiteInTheWrongDirection(t *testing.T) {
	s := couriersite.Unpack(t)
	before := snapshot(t, s.Root)
	for _, o := range []courier.Options{{To: courier.ToCourier, Convert: true}, {To: courier.ToCourier, Convert: true, Overwrite: true}} {
		r := runSite(t, s, o)
		if r.Outcomes[courier.Nothing] != len(s.Users) {
			t.Errorf("outcomes %v", r.Outcomes)
		}
	}
	mustBeUntouched(t, "the wrong direction", before, snapshot(t, s.Root))
	mustBeCourierAgain(t, s)
	for _, name := range s.Names() {
		if found, _ := filepath.Glob(filepath.Join(s.Maildir(name), "dovecot*")); len(found) > 0 {
			t.Errorf("%s has %s", name, strings.Join(found, ", "))
		}
	}
}
