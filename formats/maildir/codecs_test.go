package maildir

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestCourierACLs(t *testing.T) {
	text := "owner aceilrstwx\nadministrators aceilrstwx\nuser=bob@example.com lrs\n-user=mallory r\nuser=a b l\n\nnorights\nx y!\nanyone \n"
	entries, bad := ParseCourierACL([]byte(text))
	want := []ACLEntry{{Identifier: "owner", Rights: "aceilrstwx"}, {Identifier: "administrators", Rights: "aceilrstwx"},
		{Identifier: "user=bob@example.com", Rights: "lrs"}, {Negative: true, Identifier: "user=mallory", Rights: "r"},
		{Identifier: "user=a b", Rights: "l"}, {Identifier: "anyone"}}
	if !reflect.DeepEqual(entries, want) || !slices.Equal(bad, []int{7, 8}) {
		t.Errorf("read %+v, bad %v", entries, bad)
	}
	if out := string(AppendCourierACL(nil, want[:4])); out != text[:strings.Index(text, "user=a b")] {
		t.Errorf("written %q", out)
	}
}

func TestDovecotACLs(t *testing.T) {
	text := "# who may\nowner lrwstipekxa\n\"user=a \\\"b\\\"\" lr :post\n-user=bob s\ngroup=x l:insert expunge\n\"open\nx 1!\n"
	entries, bad := ParseDovecotACL([]byte(text))
	want := []ACLEntry{{Identifier: "owner", Rights: "lrwstipekxa"}, {Identifier: `user=a "b"`, Rights: "lr", Named: []string{"post"}},
		{Negative: true, Identifier: "user=bob", Rights: "s"}, {Identifier: "group=x", Rights: "l", Named: []string{"insert", "expunge"}}}
	if !reflect.DeepEqual(entries, want) || !slices.Equal(bad, []int{6, 7}) {
		t.Errorf("read %+v, bad %v", entries, bad)
	}
	if out := string(AppendDovecotACL(nil, want)); out != "owner lrwstipekxa\n\"user=a \\\"b\\\"\" lr :post\n-user=bob s\ngroup=x l :insert expunge\n" {
		t.Errorf("written %q", out)
	}
}

func TestMaildirSizes(t *testing.T) {
	for _, c := range []struct {
		in      string
		want    MaildirSize
		skipped int
	}{
		{"10000000S,1000C\n   4096    2\n  -100 -1\n", MaildirSize{10000000, 1000, []SizeChange{{4096, 2}, {-100, -1}}}, 0},
		{"50C\n4096 2\nx 1\n7 7", MaildirSize{0, 50, []SizeChange{{4096, 2}}}, 2},
		{"\n1 1\n", MaildirSize{0, 0, []SizeChange{{1, 1}}}, 0},
	} {
		m, skipped, err := ParseMaildirSize([]byte(c.in))
		if err != nil || skipped != c.skipped || !reflect.DeepEqual(m, c.want) {
			t.Errorf("%q: %+v, %d, %v", c.in, m, skipped, err)
		}
	}
	for _, bad := range []string{"", "100", "100\n", "1S,xC\n", "-5S\n"} {
		if m, _, err := ParseMaildirSize([]byte(bad)); err == nil {
			t.Errorf("%q is read as %+v", bad, m)
		}
	}
}

func TestUIDLsThatCourierCanShow(t *testing.T) {
	for _, c := range []struct {
		uidl, base    string
		uid, validity uint32
		ok            bool
	}{
		{"UID5-77", "x", 5, 77, true}, {"UID5", "x", 5, 0, true}, {"1.a+2Bb", "1.a+b", 0, 0, true},
		{"UID0-77", "x", 0, 0, false}, {"UID05-77", "x", 0, 0, false}, {"UID5-0", "x", 0, 0, false}, {"UID5-077", "x", 0, 0, false},
		{"0000000a4e5f", "x", 0, 0, false}, {"UID5-77", "UID5-77", 5, 77, true}, {"UID-", "UID-", 0, 0, true},
	} {
		uid, validity, ok := parseCourierUIDL([]byte(c.uidl), []byte(c.base))
		if uid != c.uid || validity != c.validity || ok != c.ok {
			t.Errorf("%q of %q: %d, %d, %v", c.uidl, c.base, uid, validity, ok)
		}
	}
}

func TestPOP3OrderOfNames(t *testing.T) {
	sorted := []string{"9.z:2,S", "10.\xff:2,", "10.a-b:2,", "10.a:2,", "10.ab:2,", "11"}
	got := slices.Clone(sorted)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b string) int { return comparePOP3([]byte(a), []byte(b)) })
	if !slices.Equal(got, sorted) {
		t.Errorf("sorted as %q", got)
	}
}

func FuzzACL(f *testing.F) {
	f.Add([]byte("owner lrs\n-user=a b r\n"))
	f.Add([]byte("\"user=\\\"\" l :x\n#\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, _ := ParseCourierACL(b)
		if again, bad := ParseCourierACL(AppendCourierACL(nil, entries)); len(bad) > 0 || len(again) > len(entries) || !containsCR(entries) && !reflect.DeepEqual(again, entries) {
			t.Fatalf("%q gave %+v, written and read again %+v, bad %v", b, entries, again, bad)
		}
		entries, _ = ParseDovecotACL(b)
		if again, bad := ParseDovecotACL(AppendDovecotACL(nil, entries)); len(bad) > 0 || !containsCR(entries) && !reflect.DeepEqual(again, entries) {
			t.Fatalf("%q gave %+v, written and read again %+v, bad %v", b, entries, again, bad)
		}
	})
}

// containsCR: identifiers with a carriage return are left out when written.
func containsCR(entries []ACLEntry) bool {
	return slices.ContainsFunc(entries, func(e ACLEntry) bool { return slices.Contains([]byte(e.Identifier), '\r') })
}

func FuzzMaildirSize(f *testing.F) {
	f.Add([]byte("10000000S,1000C\n   4096    2\n  -100 -1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, _, err := ParseMaildirSize(b)
		if err != nil {
			return
		}
		again, skipped, err := ParseMaildirSize(AppendMaildirSize(nil, m))
		if err != nil || skipped != 0 || !reflect.DeepEqual(again, m) {
			t.Fatalf("%q gave %+v, written and read again %+v, %d, %v", b, m, again, skipped, err)
		}
		m.Used()
	})
}

func FuzzTaken(f *testing.F) {
	f.Add("1\nletters - ab\ndovecot-uidlist - 00\n")
	f.Fuzz(func(t *testing.T, text string) {
		note := parseTaken(text)
		if note == nil {
			return
		}
		if again := parseTaken(string(note.append(nil))); !reflect.DeepEqual(again, note) {
			t.Fatalf("%q gave %v, written and read again %v", text, note, again)
		}
	})
}
