package maildir

import (
	"os"
	"path/filepath"
	"testing"

	"dovetail/formats"
)

func TestUIDLsThatDovecotMakes(t *testing.T) {
	for _, c := range []struct{ format, want string }{ // "": Courier cannot hold it
		{"UID%u-%v", "UID7-300"},
		{"UID%{uid}-%{uidvalidity}", "UID7-300"},
		{"UID%u", "UID7"},
		{"%f", "1.host,S=5"},
		{"%{filename}", "1.host,S=5"},
		{"%08Xu%08Xv", ""},
		{"%v.%u", ""},
		{"%g", ""},
		{"%m", ""},
		{"UID%v", ""},
		{"UID5", ""},
		{"UID%u-%v%", ""},
		{"UID%u-%v%%", ""},
		{"UID%{uid | hex(8)}", ""},
		{"UID0%u", ""},
		{"", ""},
	} {
		f := uidlFormat(c.format)
		base := []byte("1.host,S=5")
		m := madeUIDLs{format: f, held: f.holds()}
		m.short, _ = f.simple()
		got, ok := m.uidl(300, 7, base)
		if string(got) != c.want || ok != (c.want != "") || m.held != ok {
			t.Errorf("%q makes %q, %v, want %q", c.format, got, ok, c.want)
		}
	}
}

func TestCourierTakesUIDLsThatDovecotMade(t *testing.T) {
	tree := map[string]string{
		uidlistName:  "3 V300 N9\n1 PUID3-77 :1.a\n2 :2.b+\n5 :3.c\n",
		"cur/1.a:2,": "", "cur/2.b+:2,": "", "cur/3.c:2,": "x\n", "cur/4.d:2,": "", "new/5.e": "",
	}
	for _, c := range []struct {
		name, format string
		more         map[string]string
		want         string
		lost         int
		state        TakeState
	}{
		{"without a format Courier numbers them", "", nil, "/2 4 77\n1.a:2, 0 3:77\n", 0, TakeAbsent},
		{"what Dovecot numbered has them, what it did not number has none", "UID%u-%v", nil,
			"/2 4 77\n1.a:2, 0 3:77\n2.b+:2, 0 2:300\n3.c:2, 3 5:300\n", 0, TakeAbsent},
		{"a name with characters that Courier escapes is another UIDL", "%f", nil, "/2 4 77\n1.a:2, 0 3:77\n3.c:2, 3 0:77\n", 1, TakeAbsent},
		{"another form is lost", "%08Xu%08Xv", nil, "/2 4 77\n1.a:2, 0 3:77\n", 1, TakeAbsent},
		{"records that are there count as long as Dovecot was not here", "UID%u-%v",
			map[string]string{uiddb: "1 300 10\n1 1.a\n2 2.b+\n5 3.c\n9 4.d\n", pop3: "/2 9 77\n1.a:2, 0 3:77\n2.b+:2, 0 4:77\n"},
			"/2 9 77\n1.a:2, 0 3:77\n2.b+:2, 0 4:77\n", 0, TakeSame},
		{"once Dovecot was here, what it showed counts", "UID%u-%v",
			map[string]string{uiddb: "1 300 10\n1 1.a\n2 2.b+\n5 3.c\n9 4.d\n", pop3: "/2 9 77\n1.a:2, 0 3:77\n2.b+:2, 0 4:77\n", "dovecot.index.cache": ""},
			"/2 9 77\n1.a:2, 0 3:77\n2.b+:2, 0 2:300\n3.c:2, 3 5:300\n", 0, TakeDiffers},
		{"Courier does not go on from IMAP's UIDVALIDITY", "UID%u-%v",
			map[string]string{uiddb: "1 300 10\n1 1.a\n2 2.b+\n5 3.c\n", pop3: "/2 9 300\n"},
			"/2 9 77\n1.a:2, 0 3:77\n2.b+:2, 0 2:300\n3.c:2, 3 5:300\n", 0, TakeDiffers},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			writeFiles(t, root, tree)
			writeFiles(t, root, c.more)
			os.Mkdir(filepath.Join(root, "tmp"), 0o700)
			dovecot, err := openStore(t, Options{Root: root, POP3UIDLFormat: c.format}).OpenFolder(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer dovecot.Close()
			_, courier := bothSides(t, root, "")
			got := take(t, courier, dovecot, TakeOptions{Replace: true})
			if text := readList(t, filepath.Join(root, pop3)); text != c.want {
				t.Errorf("the list is\n%swant\n%s", text, c.want)
			}
			if len(got.Lost) != c.lost || got.State != c.state {
				t.Errorf("%s, lost %+v", got.State, got.Lost)
			}
			if again := take(t, courier, dovecot, TakeOptions{}); again.State != TakeSame {
				t.Errorf("a second run is %s", again.State)
			}
		})
	}
}

func FuzzUIDLFormat(f *testing.F) {
	for _, s := range []string{"UID%u-%v", "%{uid}%%%f", "%08Xu", "%%{uid}", "%", "UID%{uidvalidity}"} {
		f.Add(s, uint32(300), uint32(7))
	}
	f.Fuzz(func(t *testing.T, format string, validity, uid uint32) {
		m := madeUIDLs{format: uidlFormat(format)}
		m.short, _ = m.format.simple()
		m.held = m.format.holds()
		base := []byte("1.host")
		got, ok := m.uidl(formats.UIDValidity(validity), formats.UID(uid), base)
		if _, _, held := parseCourierUIDL(got, base); ok != held || ok && !m.held {
			t.Errorf("%q made %q, %v", format, got, ok)
		}
	})
}
