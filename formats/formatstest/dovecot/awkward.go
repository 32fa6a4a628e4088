package dovecot

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Kinds are the ways of keeping mail that Awkward makes.
var Kinds = []string{"mbox", "maildir", "maildir-fs", "sdbox", "mdbox"}

// Location is how mail of a kind below root is written in mail_location.
func Location(kind, root string) string {
	switch kind {
	case "mbox":
		return "mbox:" + root + ":INBOX=" + root + "-inbox"
	case "maildir-fs":
		return "maildir:" + root + ":LAYOUT=fs"
	}
	return kind + ":" + root
}

// The identity of Awkward's INBOX.
const (
	AwkwardUIDValidity = 1234567890
	AwkwardUIDNext     = 70011
)

// awkward is a message whose every property is set to something that a careless program loses.
type awkward struct {
	uid      int
	letters  string // flags and keywords as in Maildir file names
	guid     string // "": derived
	uidl     string
	order    int
	received int64
	body     string
}

var awkwardInbox = []awkward{
	{3, "", "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "", 0, 1600000000, "Subject: plain\n\nhello\n"},
	{4, "DFRSTab", "free text?no:but=odd@host", "UIDL-of-4", 0, 1, "Subject: all flags\n\nx\n"},
	{9, "S", "", "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~", 2, 951782400, "Subject: UIDL of odd characters, first of its order\n\nx\n"},
	{10, "Fz", "00000000000000000000000000000001", "dup", 1, 2147483647, "Subject: last second of 32 bits\n\nx\n"},
	{11, "", "", "", 0, 1616893200, "Subject: From lines\n\nFrom here on\n>From there\n>>From where\n\nFrom a@b Mon Jan  1 00:00:00 2024\n\nFrom \nend\n"},
	{50, "Rc", "b0", "", 3, 1616896800, "Subject: eight bit\nX-Raw: gr\xc3\xbc\xdf\n\n\xff\xfe caf\xe9 \x80\n"},
	{51, "T", "", "", 0, 1635642000, "Subject: carriage returns\r\n\r\nfour\r\nlines\r\n\r\n.\r\n"},
	{1000, "abcdefghijklmnopqrstuvwxyz", "", "", 0, 1700000000, "Subject: long line\n\n" + strings.Repeat("0123456789", 2000) + "\n"},
	{70000, "S", "zz-last", "", 0, 1700000001, "Subject: " + strings.Repeat("folded\n ", 50) + "end\nFrom: \"Q\" <q@example.org>\n\n\n\n\n"},
}

// keyword gives the nth keyword; Maildir names have letters for 26 of the 40.
func keyword(n int) string {
	named := []string{"$Forwarded", "$Label1", "NonJunk", "a.b", "$MDNSent"}
	if n < len(named) {
		return named[n]
	}
	return fmt.Sprintf("kw-%02d", n)
}

// Awkward is a store in which every value a client can see is an unusual one. The mail is written as a Maildir by hand
// and, for another kind, converted by Dovecot itself; so what it holds is known from Dovecot alone. It gives the judge
// of the store and the folder that holds it.
func Awkward(t testing.TB, kind string) (*Judge, string) {
	t.Helper()
	root := filepath.Join(TempDir(t), "mail")
	return AwkwardAt(t, kind, root), root
}

// AwkwardAt is Awkward in a folder of the caller's choice, which does not exist yet.
func AwkwardAt(t testing.TB, kind, root string) *Judge {
	t.Helper()
	Need(t)
	if kind == "maildir" {
		return awkwardMaildir(t, root)
	}
	from := awkwardMaildir(t, filepath.Join(TempDir(t), "origin"))
	from.Doveadm("backup", Location(kind, root))
	from.MustBeClean()
	return New(t, Location(kind, root))
}

func awkwardMaildir(t testing.TB, root string) *Judge {
	t.Helper()
	writeMaildir(t, root, AwkwardUIDValidity, AwkwardUIDNext, awkwardInbox)
	few := func(first int) []awkward {
		return []awkward{
			{first, "Sa", "", "", 0, 1500000000, "Subject: one\n\n1\n"},
			{first + 5, "", "", "", 0, 1500000001, "Subject: two\n\n2\n"},
		}
	}
	for i, dir := range []string{".Archive.Gr&APYA3w-e.2024", ".R&-D", ".&ZeVnLIqe- &2D3eAA-", ".Sent Items"} {
		sub := filepath.Join(root, dir)
		writeMaildir(t, sub, 1000000001+i, 100*(i+1), few(7*(i+1)))
		writeFile(t, filepath.Join(sub, "maildirfolder"), "", 0)
	}
	writeMaildir(t, filepath.Join(root, ".Empty"), 1000000099, 33, nil)
	writeFile(t, filepath.Join(root, "subscriptions"), "V\t2\n\nINBOX\nArchive\tGr&APYA3w-e\t2024\nR&-D\nGone\n", 0)
	Own(t, root)

	j := New(t, Location("maildir", root))
	s := j.IMAP()
	s.Select("INBOX")
	var rest []string
	for n := 26; n < 40; n++ {
		rest = append(rest, keyword(n))
	}
	s.Cmd("UID STORE 1000,70000 +FLAGS.SILENT (" + strings.Join(rest, " ") + ")")
	s.Close()
	j.MustBeClean()
	return j
}

// writeMaildir writes one folder with its UID list and keywords, as Dovecot 2.3 does.
func writeMaildir(t testing.TB, dir string, validity, next int, msgs []awkward) {
	t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var list, keywords strings.Builder
	fmt.Fprintf(&list, "3 V%d N%d G%032x\n", validity, next, validity)
	for i, m := range msgs {
		base := fmt.Sprintf("%d.M%dP1.host", 1500000000+i, m.uid)
		fmt.Fprintf(&list, "%d", m.uid)
		for _, f := range []struct{ key, value string }{{"G", m.guid}, {"P", m.uidl}} {
			if f.value != "" {
				list.WriteString(" " + f.key + strings.ReplaceAll(f.value, " ", "_"))
			}
		}
		if m.order != 0 {
			fmt.Fprintf(&list, " O%d", m.order)
		}
		fmt.Fprintf(&list, " :%s\n", base)
		writeFile(t, filepath.Join(dir, "cur", base+":2,"+m.letters), m.body, m.received)
	}
	for n := range 26 {
		fmt.Fprintf(&keywords, "%d %s\n", n, keyword(n))
	}
	writeFile(t, filepath.Join(dir, "dovecot-uidlist"), list.String(), 0)
	if slices.ContainsFunc(msgs, func(m awkward) bool { return strings.ContainsAny(m.letters, "abcdefghijklmnopqrstuvwxyz") }) {
		writeFile(t, filepath.Join(dir, "dovecot-keywords"), keywords.String(), 0)
	}
}

func writeFile(t testing.TB, path, text string, mtime int64) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if mtime == 0 {
		return
	}
	if err := os.Chtimes(path, time.Time{}, time.Unix(mtime, 0)); err != nil {
		t.Fatal(err)
	}
}
