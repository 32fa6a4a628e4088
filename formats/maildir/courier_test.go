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
		l, skipped, err := parseCourierPOP3([]byte(c.in))
		if err != nil || skipped != 0 || len(l.Records) != 1 || l.Records[0].uidl() != c.uidl {
			t.Errorf("%q: %+v, %d, %v, want UIDL %q", c.in, l, skipped, err, c.uidl)
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
		db, _, err := parseCourierUIDDB(b)
		if err != nil {
			return
		}
		again, skipped, err := parseCourierUIDDB(db.append(nil))
		if err != nil || skipped != 0 || !reflect.DeepEqual(again, db) {
			t.Fatalf("%q gave %+v, written and read again %+v, %d, %v", b, db, again, skipped, err)
		}
		db.undisputed()
	})
}

func FuzzCourierPOP3List(f *testing.F) {
	f.Add([]byte(courierTree[courierPOP3Name]))
	f.Add([]byte("1.a host:2,S 12\n"))
	f.Add([]byte("/3 7 99\n1.host:2, 12 5:98:1\n"))
	f.Add([]byte("/1 7\n1.host 12 5\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, _, err := parseCourierPOP3(b)
		if err != nil {
			return
		}
		again, skipped, err := parseCourierPOP3(l.append(nil))
		if err != nil || skipped != 0 || !reflect.DeepEqual(again, l) {
			t.Fatalf("%q gave %+v, written and read again %+v, %d, %v", b, l, again, skipped, err)
		}
		l.sorted()
	})
}

func FuzzCourierKeywords(f *testing.F) {
	f.Add([]byte(courierTree[courierKeywordsDir+"/:list"]))
	f.Fuzz(func(t *testing.T, b []byte) {
		k := parseCourierKeywords(b)
		if again := parseCourierKeywords(k.append(nil)); !reflect.DeepEqual(again, k) {
			t.Fatalf("%q gave %+v, written and read again %+v", b, k, again)
		}
		k.of()
	})
}

func FuzzCourierSubscribed(f *testing.F) {
	f.Add([]byte(courierTree[courierSubscribedName]))
	f.Fuzz(func(t *testing.T, b []byte) {
		names := ParseCourierSubscribed(b)
		if again := ParseCourierSubscribed(AppendCourierSubscribed(nil, names)); !slices.Equal(again, names) {
			t.Fatalf("%q gave %q, written and read again %q", b, names, again)
		}
		parseCourierUpdate(b)
		courierUpdateName(string(bytes.TrimSpace(b)))
	})
}
