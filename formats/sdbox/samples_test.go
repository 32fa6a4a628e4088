package sdbox_test

import (
	"strings"
	"testing"

	"dovetail/formats/disk"
	"dovetail/formats/formatstest/samples"
	"dovetail/formats/sdbox"
)

// sampleOptions reads a location; ok tells that it is of this format.
func sampleOptions(e samples.Expect) (o sdbox.Options, ok bool) {
	location, ok := strings.CutPrefix(e.Location, "sdbox:")
	parts := strings.Split(location, ":")
	o.Root, o.FS = parts[0], &disk.FS{ReadOnly: true}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "LAYOUT":
			o.Layout = value
		case "INDEX":
			o.Index = value
		case "CONTROL":
			o.Control = value
		case "ALT":
			o.Alt = value
		case "UTF-8":
			o.UTF8 = true
		}
	}
	for _, line := range e.Settings {
		if dir, ok := strings.CutPrefix(line, "mail_attachment_dir = "); ok {
			o.Attachments = dir
		}
	}
	return o, ok
}

func TestSamplesAreReadAsDovecotReadsThem(t *testing.T) {
	for _, name := range samples.Names(t) {
		if !strings.Contains(name, "sdbox") {
			continue
		}
		_, e := samples.Load(t, name)
		o, ok := sampleOptions(e)
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s, err := sdbox.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			samples.Compare(t, s, e)
		})
	}
}
