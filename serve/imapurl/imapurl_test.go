package imapurl

import (
	"strings"
	"testing"
)

func TestURLsOfOwnMessages(t *testing.T) {
	for text, want := range map[string]URL{
		"/INBOX/;UID=20": {Mailbox: "INBOX", UID: 20, Length: -1},
		"imap://ann@host/Drafts;UIDVALIDITY=7/;UID=20/;SECTION=1.2/;PARTIAL=0.1024": {Absolute: true, User: "ann", Host: "host", Mailbox: "Drafts", Validity: 7, UID: 20, Section: "1.2", Partial: true, Length: 1024},
		"IMAP://ann;AUTH=*@host/a%2Fb%20c/;uid=1/;section=HEADER":                   {Absolute: true, User: "ann", Host: "host", Mailbox: "a/b c", UID: 1, Section: "HEADER", Length: -1},
		"imap://ann@host:993/INBOX/;UID=1;EXPIRE=2030-01-01T00:00:00Z;URLAUTH=submit+ann:INTERNAL:91354a473744909de610943775f92038": {
			Absolute: true, User: "ann", Host: "host:993", Mailbox: "INBOX", UID: 1, Length: -1, Authorized: true},
		";UID=3":                  {UID: 3, Length: -1},
		"/a/b/;UID=3/;PARTIAL=10": {Mailbox: "a/b", UID: 3, Partial: true, Offset: 10, Length: -1},
	} {
		if got, err := Parse(text); got != want || err != nil {
			t.Errorf("%s is %+v, %s; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "/INBOX", "/INBOX/;UID=0", "/INBOX/;UID=x", "imap:///INBOX/;UID=1", "imap://a%zz@host/INBOX/;UID=1",
		"/INBOX/;UID=1/;PARTIAL=-1", "/INBOX/;UID=1/;PARTIAL=1.0", "/INBOX/;UID=99999999999", "/%zz/;UID=1", "/INBOX/;UID=1/;FOO=1", "//;UID=1"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("imap://ann@host/Drafts;UIDVALIDITY=7/;UID=20/;SECTION=1.2/;PARTIAL=0.1024")
	f.Add(";UID=3")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := Parse(text)
		if err != nil {
			return
		}
		if u.UID == 0 || u.Offset < 0 || u.Length < -1 || u.Length == 0 || strings.Contains(u.Mailbox, "\x00") && !strings.Contains(text, "%00") && !strings.Contains(text, "\x00") {
			t.Errorf("%q is %+v", text, u)
		}
	})
}
