package imapwire

import (
	"reflect"
	"testing"
)

func TestSectionsOfURLs(t *testing.T) {
	for text, want := range map[string]Section{
		"":                            {Peek: true},
		"TEXT":                        {Specifier: Text, Peek: true},
		"1.2":                         {Part: []uint32{1, 2}, Peek: true},
		"3.mime":                      {Part: []uint32{3}, Specifier: MIME, Peek: true},
		"HEADER.FIELDS (From \"To\")": {Specifier: HeaderFields, Fields: []string{"From", "To"}, Peek: true},
	} {
		got, err := ParseSection(text)
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"FOO", "1.", "0", "MIME", "TEXT]", "TEXT<0>", "HEADER.FIELDS ({3}", "1 2", "HEADER.FIELDS ()"} {
		if got, err := ParseSection(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func FuzzSection(f *testing.F) {
	f.Add("1.2.HEADER.FIELDS.NOT (Date)")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSection(text)
		if err != nil {
			return
		}
		written := string(s.Append(nil))
		again, err := ParseSection(written[1 : len(written)-1])
		if err == nil && !reflect.DeepEqual(s, again) {
			t.Errorf("%q is %+v, written as %s is %+v", text, s, written, again)
		}
	})
}
