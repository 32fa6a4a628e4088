package location_test

import (
	"strings"
	"testing"

	"dovetail/formats/disk"
	"dovetail/formats/formatstest/samples"
	"dovetail/formats/location"
)

// Every sample comes out as its expect.json says: as Dovecot shows it, or, where it is broken, as whole as it can be.
func TestSamples(t *testing.T) {
	for _, name := range samples.Names(t) {
		t.Run(name, func(t *testing.T) {
			dir, e := samples.Load(t, name)
			where := e.Location
			for _, line := range e.Settings {
				if path, ok := strings.CutPrefix(line, "mail_attachment_dir = "); ok {
					where += ":ATTACHMENTS=" + strings.ReplaceAll(path, "%r", dir)
				}
			}
			l, err := location.Parse(where, location.Vars{})
			if err != nil {
				t.Fatal(err)
			}
			s, err := location.Open(t.Context(), l, location.Options{FS: &disk.FS{ReadOnly: true}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			samples.Compare(t, s, e)
		})
	}
}
