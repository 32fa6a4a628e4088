package location

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	vars := Vars{Home: "/home/ann", User: "ann@example.org"}
	for _, tc := range []struct {
		in   string
		want Location
	}{
		{"maildir:~/Maildir", Location{Driver: "maildir", Root: "/home/ann/Maildir"}},
		{"maildir:~", Location{Driver: "maildir", Root: "/home/ann"}},
		{"mbox:~/mail:INBOX=/var/mail/%u", Location{Driver: "mbox", Root: "/home/ann/mail", Inbox: "/var/mail/ann@example.org"}},
		{"sdbox:/srv/%d/%n/", Location{Driver: "sdbox", Root: "/srv/example.org/ann"}},
		{"dbox:/srv/x", Location{Driver: "sdbox", Root: "/srv/x"}},
		{"mdbox:%h/m:ALT=/alt/%n:INDEX=/i:CONTROL=/c", Location{Driver: "mdbox", Root: "/home/ann/m", Alt: "/alt/ann", Index: "/i", Control: "/c"}},
		{"maildir:/m::x:LAYOUT=FS:UTF-8", Location{Driver: "maildir", Root: "/m:x", Layout: "fs", UTF8: true}},
		{"maildir:/m:LISTINDEX=x:NO-NOSELECT", Location{Driver: "maildir", Root: "/m", Kept: []string{"LISTINDEX=x", "NO-NOSELECT"}}},
		{"sdbox:/srv/%{domain}/%{username}:", Location{Driver: "sdbox", Root: "/srv/example.org/ann"}},
		{"maildir:/100%%/x", Location{Driver: "maildir", Root: "/100%/x"}},
		{"/some/where", Location{Root: "/some/where"}},
		{"/some/where:INDEX=MEMORY", Location{Root: "/some/where", Index: "MEMORY"}},
		{"maildir", Location{Root: "./maildir"}},
		{"mbox:a.mbox:DIALECT=rd", Location{Driver: "mbox", Root: "a.mbox", Dialect: "rd"}},
	} {
		got, err := Parse(tc.in, vars)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", tc.in, got, err, tc.want)
		}
	}
}

func TestParseSaysWhatIsWrongAndWhere(t *testing.T) {
	for _, tc := range []struct {
		in     string
		offset int
		want   string
	}{
		{"maildirs:/x", 0, "unknown driver"},
		{"maildir:", 8, "no path"},
		{"maildir:/x:INDX=/y", 11, `the nearest is "INDEX"`},
		{"maildir:/x:INDEX", 11, "needs a value"},
		{"maildir:~ann/x", 8, "only ~/"},
		{"maildir:~/x", 8, "home directory"},
		{"mbox:/x:LAYOUT=Maildir++", 0, "not possible with mbox"},
		{"maildir:/x:ALT=/y", 0, "not for maildir"},
		{"sdbox:/x:DIRNAME=mails", 9, "only dbox-Mails"},
		{"maildir:/x:ESCAPE=ab", 0, "one character"},
		{"sdbox:/x:INDEX=MEMORY", 0, "only in its index"},
		{"sdbox:/x:INDEX=/i:FULLDIRNAME=dbox-Mails", 0, "not supported"},
		{"maildir:/x:INDEXPVT=/y", 11, "private"},
	} {
		_, err := Parse(tc.in, Vars{})
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Offset != tc.offset || !strings.Contains(e.Problem, tc.want) {
			t.Errorf("%s: got %v, want %q at byte %d", tc.in, err, tc.want, tc.offset)
		}
	}
	if _, err := Parse("sdbox:/x/%z", Vars{User: "u"}); err == nil {
		t.Error("an unknown variable was accepted")
	}
}

func TestDetect(t *testing.T) {
	for _, tc := range []struct{ path, want string }{
		{"cur/", "maildir"}, {".Sent/cur/", "maildir"}, {"mailboxes/INBOX/dbox-Mails/", "sdbox"},
		{"storage/dovecot.map.index.log", "mdbox"}, {"inbox", "mbox"}, {".imap/", "mbox"}, {"nothing/", ""},
	} {
		root := t.TempDir()
		path := filepath.Join(root, tc.path)
		dir := filepath.Dir(path)
		if strings.HasSuffix(tc.path, "/") {
			dir = path
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if dir != path {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Detect(root)
		if got != tc.want || (err != nil) != (tc.want == "") {
			t.Errorf("%s: got %q, %v, want %q", tc.path, got, err, tc.want)
		}
	}
}

func FuzzLocation(f *testing.F) {
	for _, s := range []string{"maildir:~/M:INDEX=/x", "a::b:c=d", "mbox:/x:INBOX=/y:UTF-8", "%", "::", "sdbox:/x:ESCAPE=\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := Parse(s, Vars{Home: "/h"})
		if err != nil {
			return
		}
		for _, p := range []string{l.Root, l.Inbox, l.Index, l.Control, l.Alt, l.Attachments} {
			if strings.HasPrefix(p, "~") {
				return // a home that is left over: written again it would be read as one
			}
		}
		again, err := Parse(l.String(), Vars{Home: "/h"})
		if err != nil || !reflect.DeepEqual(l, again) {
			t.Fatalf("%q is %+v, spelled %q, which is %+v, %v", s, l, l.String(), again, err)
		}
	})
}
