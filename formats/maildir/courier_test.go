package maildir

import (
	"bytes"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

func TestPOP3ListOfEveryVersion(t *testing.T) {
	for _, c := range []struct{ in, uidl string }{
		{"1.a+b host:2,S 12\n", "1.a+2Bb+20host"},
		{"/1 7\n1.host:2,S 12 5\n", "UID5"},
		{"/1 7\n1.host:2,S 12 0\n", "1.host"},
		{"/2 7 99\n1.host:2, 12 5:99\n", "UID5-99"},
		{"/2 7 99\n1.host:2, 12 5:0\n", "UID5"},
		{"/2 7 99\n1.host:2, 12 0:99\n", "1.host"},
		{"/3 7 99\n1.host:2, 12 5:98:1\n", "UID5-98"},
	} {
		h, rest, err := parseCourierPOP3Header([]byte(c.in))
		r, ok := parseCourierPOP3(h.Version, bytes.TrimSuffix(rest, []byte{'\n'}))
		if uidl := string(r.appendUIDL(nil)); err != nil || !ok || uidl != c.uidl {
			t.Errorf("%q: %+v, %v, UIDL %q, want %q", c.in, r, err, uidl, c.uidl)
		}
		if out := string(r.append(h.Version, h.append(nil))); out != c.in {
			t.Errorf("%q is written as %q", c.in, out)
		}
	}
}

// courierTree is an INBOX as Courier leaves it.
var courierTree = map[string]string{
	"cur/100.b.host,S=3:2,SP":                  "b\n\n",
	"cur/100.a.host:2,F":                       "a\n\n",
	"cur/50.moved.host:2,a":                    "old name\n",
	"new/200.new.host":                         "new\n",
	"tmp/x":                                    "not yet\n",
	courierUIDDBName:                           "1 142307211 48\n7 100.b.host,S=3\n12 100.a.host\n13 gone.host\nrubbish\n40 cut",
	courierPOP3Name:                            "/2 9 77\n100.a.host:2, 5 0:77\n100.b.host,S=3:2, 5 8:77\n",
	courierKeywordsDir + "/:list":              "$Forwarded\nblue\n\n100.a.host:0 1\n100.b.host,S=3:0\n",
	courierKeywordsDir + "/.5.100.b.host,S=3":  "older\n",
	courierKeywordsDir + "/.12.100.b.host,S=3": "green\nGreen\n",
	courierKeywordsDir + "/50.moved.host":      "newest\n",
	courierKeywordsDir + "/.9.50.moved.host":   "not this\n",
	courierSubscribedName:                      "INBOX\nINBOX.Sent\nshared.x\n",
}

func TestCourierTreeIsASource(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, courierTree)
	s := openStore(t, Options{Root: root, FS: &disk.FS{ReadOnly: true}})
	before := treeSum(t, root)
	b := openBox(t, s, "INBOX")
	st, err := b.Status(t.Context())
	if err != nil || st.UIDValidity != 142307211 || st.UIDNext != 50 || st.Volatile {
		t.Errorf("status %+v, %v", st, err)
	}
	list, _ := messages(t, b)
	type row struct {
		uid      formats.UID
		flags    formats.Flags
		keywords []string
		uidl     string
		order    uint32
	}
	want := []row{
		{7, formats.Seen, []string{"green"}, "UID8-77", 2},
		{12, formats.Flagged, []string{"$Forwarded", "blue"}, "100.a.host", 1},
		{48, 0, []string{"newest"}, "", 0},
		{49, 0, nil, "", 0},
	}
	var got []row
	for _, m := range list {
		got = append(got, row{m.UID, m.Flags & formats.SystemFlags, m.Keywords, m.POP3UIDL, m.POP3Order})
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v\nwant %+v", got, want)
	}
	names, err := s.Subscriptions(t.Context())
	if err != nil || !slices.Equal(names, []string{"INBOX", "Sent"}) {
		t.Errorf("subscriptions %q, %v", names, err)
	}
	if treeSum(t, root) != before {
		t.Error("the source was changed")
	}
}

func TestPlainTreeIsVolatile(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{"cur/2.host:2,S": "b\n", "new/1.host": "a\n", "cur/3.host:2,c": "c\n"})
	b := openBox(t, openStore(t, Options{Root: root, FS: &disk.FS{ReadOnly: true}}), "INBOX")
	st, err := b.Status(t.Context())
	if err != nil || !st.Volatile || st.UIDValidity != 0 || st.Messages != 3 {
		t.Errorf("status %+v, %v", st, err)
	}
	list, bodies := messages(t, b)
	if !slices.Equal(bodies, []string{"a\n", "b\n", "c\n"}) || list[2].UID != 3 || list[2].Keywords != nil {
		t.Errorf("read %+v %q", list, bodies)
	}
}

func TestCourierTreeBecomesDovecotsWhenItIsWritten(t *testing.T) {
	root := filepath.Join(t.TempDir(), "m")
	writeFiles(t, root, courierTree)
	b := openBox(t, openStore(t, Options{Root: root}), "INBOX")
	update(t, b, func(tx formats.Tx) error { return tx.Append(t.Context(), formats.Message{UID: 60}, newBody("x\n")) })
	list, _ := messages(t, b)
	st, err := b.Status(t.Context())
	if err != nil || st.UIDValidity != 142307211 || st.UIDNext != 61 || list[0].POP3UIDL != "UID8-77" || list[4].UID != 60 || !formats.SameKeywords(list[1].Keywords, []string{"blue", "$Forwarded"}) {
		t.Errorf("%+v, %v, %+v", st, err, list)
	}
}

func FuzzCourierUIDDB(f *testing.F) {
	f.Add([]byte(courierTree[courierUIDDBName]))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, l := range lines(b) {
			if h, err := parseCourierHeader(l.text); err == nil {
				if again, err := parseCourierHeader(bytes.TrimSuffix(h.append(nil), []byte{'\n'})); err != nil || again != h {
					t.Fatalf("%q gave %+v, written and read again %+v, %v", l.text, h, again, err)
				}
			}
			uid, name, ok := parseCourierUID(l.text)
			if !ok {
				continue
			}
			uid2, name2, ok := parseCourierUID(bytes.TrimSuffix(appendCourierUID(nil, uid, name), []byte{'\n'}))
			if !ok || uid2 != uid || !bytes.Equal(name2, name) {
				t.Fatalf("%q gave %d %q, written and read again %d %q", l.text, uid, name, uid2, name2)
			}
		}
	})
}

func FuzzCourierPOP3List(f *testing.F) {
	f.Add([]byte(courierTree[courierPOP3Name]))
	f.Add([]byte("1.a host:2,S 12\n"))
	f.Add([]byte("/3 7 99\n1.host:2, 12 5:98:1\n"))
	f.Add([]byte("/1 7\n1.host 12 5\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rest, err := parseCourierPOP3Header(b)
		if err != nil {
			return
		}
		if again, _, err := parseCourierPOP3Header(h.append(nil)); err != nil || again != h {
			t.Fatalf("%q gave %+v, written and read again %+v, %v", b, h, again, err)
		}
		for _, l := range lines(rest) {
			r, ok := parseCourierPOP3(h.Version, l.text)
			if !ok {
				continue
			}
			again, ok := parseCourierPOP3(h.Version, bytes.TrimSuffix(r.append(h.Version, nil), []byte{'\n'}))
			if !ok || !reflect.DeepEqual(again, r) {
				t.Fatalf("%q gave %+v, written and read again %+v", l.text, r, again)
			}
			uidl := r.appendUIDL(nil)
			if uid, validity, ok := parseCourierUIDL(uidl, baseName(r.Name)); !ok || uid != r.UID || uid != 0 && validity != r.UIDValidity {
				t.Fatalf("%q has the UIDL %q, which is read as %d, %d, %v", l.text, uidl, uid, validity, ok)
			}
		}
	})
}

func FuzzCourierKeywords(f *testing.F) {
	f.Add([]byte(courierTree[courierKeywordsDir+"/:list"]))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, rest := parseCourierKeywords(b)
		if again, _ := parseCourierKeywords(appendCourierKeywordNames(nil, names)); !slices.Equal(again, names) {
			t.Fatalf("%q gave %q, written and read again %q", b, names, again)
		}
		for _, l := range lines(rest) {
			base, places, _ := parseCourierKeywordsLine(l, len(names), nil)
			if base == nil {
				continue
			}
			line := bytes.TrimSuffix(appendCourierKeywordsLine(nil, base, places), []byte{'\n'})
			base2, again, bad := parseCourierKeywordsLine(controlLine{line, true}, len(names), nil)
			if bad || !bytes.Equal(base2, base) || !slices.Equal(again, places) {
				t.Fatalf("%q gave %q %v, written and read again %q %v", l.text, base, places, base2, again)
			}
		}
		parseCourierUpdate(b)
		courierUpdateName(string(b))
	})
}

func FuzzCourierSubscribed(f *testing.F) {
	f.Add([]byte(courierTree[courierSubscribedName]))
	f.Fuzz(func(t *testing.T, b []byte) {
		names := ParseCourierSubscribed(b)
		if again := ParseCourierSubscribed(AppendCourierSubscribed(nil, names)); !slices.Equal(again, names) {
			t.Fatalf("%q gave %q, written and read again %q", b, names, again)
		}
	})
}
