package imap

import (
	"strings"
	"testing"
)

func TestURLsOfOwnMessages(t *testing.T) {
	for text, want := range map[string]messageURL{
		"/INBOX/;UID=20": {mailbox: "INBOX", uid: 20, length: -1},
		"imap://ann@host/Drafts;UIDVALIDITY=7/;UID=20/;SECTION=1.2/;PARTIAL=0.1024": {mailbox: "Drafts", validity: 7, uid: 20, section: "1.2", partial: true, length: 1024},
		"IMAP://ann;AUTH=*@host/a%2Fb%20c/;uid=1/;section=HEADER":                   {mailbox: "a/b c", uid: 1, section: "HEADER", length: -1},
		";UID=3":                  {uid: 3, length: -1},
		"/a/b/;UID=3/;PARTIAL=10": {mailbox: "a/b", uid: 3, partial: true, offset: 10, length: -1},
	} {
		if got, wrong := parseURL(text, "ann"); got != want || wrong != "" {
			t.Errorf("%s is %+v, %s; want %+v", text, got, wrong, want)
		}
	}
	for _, text := range []string{"", "/INBOX", "/INBOX/;UID=0", "/INBOX/;UID=x", "imap://bob@host/INBOX/;UID=1", "imap://host/INBOX/;UID=1",
		"/INBOX/;UID=1/;PARTIAL=-1", "/INBOX/;UID=1/;PARTIAL=1.0", "/INBOX/;UID=99999999999", "/%zz/;UID=1", "/INBOX/;UID=1/;FOO=1", "//;UID=1"} {
		if got, wrong := parseURL(text, "ann"); wrong == "" {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("imap://ann@host/Drafts;UIDVALIDITY=7/;UID=20/;SECTION=1.2/;PARTIAL=0.1024")
	f.Add(";UID=3")
	f.Fuzz(func(t *testing.T, text string) {
		u, wrong := parseURL(text, "ann")
		if wrong != "" {
			return
		}
		if u.uid == 0 || u.offset < 0 || u.length < -1 || u.length == 0 || strings.Contains(u.mailbox, "\x00") && !strings.Contains(text, "%00") && !strings.Contains(text, "\x00") {
			t.Errorf("%q is %+v", text, u)
		}
	})
}
