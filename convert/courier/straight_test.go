package courier_test

import (
	"fmt"
	"os"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
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
		src := openLocation(t, from, &disk.FS{ReadOnly: true}, false)
		dst := openLocation(t, "sdbox:"+s.Maildir(name)+"-sdbox", siteFS(), true)
		for round := range 2 {
			report, err := sync.Mirror(t.Context(), src, dst, sync.Options{})
			if err != nil || len(report.SetAside) > 0 {
				t.Fatalf("%s: %v, set aside %+v", name, err, report.SetAside)
			}
			for _, l := range report.Losses {
				t.Logf("%s, round %d: %+v", name, round, l)
			}
		}
	}
	d := s.Serve(sdboxOf)
	s.MustBeWhole("served from sdbox", d)
	d.Stop()
	d.MustBeClean()
}
