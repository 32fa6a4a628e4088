package courier_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/courier"
	"dovetail/formats/formatstest/couriersite"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/location"
	"dovetail/sync"
)

// siteFS makes files that belong to the site's mail users.
func siteFS() *disk.FS {
	uid, gid := couriersite.IDs()
	return &disk.FS{Own: os.Getuid() == 0, UID: uid, GID: gid}
}

func openLocation(t *testing.T, where string, fsys *disk.FS, create bool) formats.Store {
	t.Helper()
	l, err := location.Parse(where, location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := location.Open(t.Context(), l, location.Options{FS: fsys, Create: create})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// sdboxOf is where a user's mail goes that is converted straight to sdbox.
const sdboxOf = "sdbox:MAILDIR-sdbox"

// The site is read as Courier left it and written as sdbox, and no client of either protocol notices.
func TestSiteStraightToSdbox(t *testing.T) {
	dovecot.Need(t)
	s := couriersite.Unpack(t)
	for _, name := range s.Names() {
		from := fmt.Sprintf("courier:%s:VERSION=%d", s.Maildir(name), s.Users[name].Courier)
		for range 2 {
			for _, l := range mirror(t, from, "sdbox:"+s.Maildir(name)+"-sdbox").Losses {
				if !l.Harmless {
					t.Errorf("%s: %+v", name, l)
				}
			}
		}
	}
	d := s.Serve(sdboxOf)
	s.MustBeWhole("served from sdbox", d)
	d.Stop()
	d.MustBeClean()
}

// From sdbox into Maildirs for Courier 5: real Courier shows what it showed before. Courier knows no GUIDs, and where an UIDL
// is the name of a file the order of POP3 may have to change, which is announced.
func TestSiteFromSdboxToCourier(t *testing.T) {
	courier.Need(t)
	s := couriersite.Unpack(t)
	for _, name := range s.Names() {
		if s.Users[name].Courier != 5 {
			continue
		}
		middle, end := s.Maildir(name)+"-sdbox", filepath.Join(filepath.Dir(s.Maildir(name)), "again")
		mirror(t, "courier:"+s.Maildir(name)+":VERSION=5", "sdbox:"+middle)
		reordered := false
		for _, l := range mirror(t, "sdbox:"+middle, "courier:"+end+":VERSION=5").Losses {
			reordered = reordered || l.What == "pop3-order"
			if !l.Harmless && l.What != "guid" && l.What != "pop3-order" {
				t.Errorf("%s: %+v", name, l)
			}
		}
		j := courier.New(t, end)
		for _, d := range s.Differences(name, j.Seen()) {
			if !reordered || !strings.Contains(d, "comes too early") {
				t.Errorf("%s: %s", name, d)
			}
		}
		j.MustBeClean()
	}
}

func mirror(t *testing.T, from, to string) *sync.Report {
	t.Helper()
	src := openLocation(t, from, &disk.FS{ReadOnly: true}, false)
	dst := openLocation(t, to, siteFS(), true)
	report, err := sync.Mirror(t.Context(), src, dst, sync.Options{})
	if err != nil || len(report.SetAside) > 0 {
		t.Fatalf("%s to %s: %v, set aside %+v", from, to, err, report.SetAside)
	}
	return report
}
