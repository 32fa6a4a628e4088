package location_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/location"
)

// nameKinds are stores whose names are put to Dovecot; %s is a root.
var nameKinds = []struct {
	name, location string // as Dovecot reads it
	ours           string // what we add to it
	settings       []string
}{
	{name: "maildir", location: "maildir:%s"},
	{name: "maildir fs", location: "maildir:%s:LAYOUT=fs"},
	{name: "maildir UTF-8", location: "maildir:%s:UTF-8"},
	{name: "maildir listescape", location: "maildir:%s", ours: `:ESCAPE=\`, settings: []string{"mail_plugins = listescape"}},
	{name: "maildir fs listescape", location: "maildir:%s:LAYOUT=fs", ours: `:ESCAPE=\`, settings: []string{"mail_plugins = listescape"}},
	{name: "sdbox", location: "sdbox:%s"},
	{name: "sdbox UTF-8", location: "sdbox:%s:UTF-8"},
	{name: "sdbox listescape", location: "sdbox:%s", ours: `:ESCAPE=\`, settings: []string{"mail_plugins = listescape"}},
	{name: "mbox", location: "mbox:%s"},
	{name: "mbox UTF-8", location: "mbox:%s:UTF-8"},
}

var oddNames = []string{
	"Plain", "With space", " lead", "trail ", "Größe", "日本語", "\U0001f600", "R&D", "&", "&-", "a&b&c", "ü&ü", "&AOQ-", "100%x", "st*r", `qu"ote`, `back\slash`, "hat^",
	"tilde~", "~", "~x", "~root/x", "sub/~x", "a.b", ".hidden", "..", "a/..", "a/.", "a/.b", "a..b", "x.", "a//b", "cur", "new", "tmp", "a/cur", "a/tmp/b", "dbox-Mails", "a/dbox-Mails",
	"dovecot", "dovecot-users", "lists/dovecot", "dovecot.index", "dovecot-uidlist", "subscriptions", "maildirfolder", "mailboxes", "storage", "trash", "shared",
	"x.lock", "a/x.lock", ".imap", ".imap/x", ".subscriptions", "DOVECOT-TRASHED", ".DOVECOT-TRASHED", "INBOX/Sub", "inbox/Other", "Inbox", "INBOX2", "#news", "a\tb", "del\x7f",
	"Entwürfe/Größe/2024", "a/b/c/d/e/f", strings.Repeat("x", 200), strings.Repeat("x", 240), strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("ü", 90), strings.Repeat("ü", 120),
}

// ourOwn are names that Dovecot 2.3.19.1 makes and we do not, and why.
func ourOwn(kind, name string) string {
	switch {
	case name == "inbox/Other":
		return "Dovecot makes INBOX/Other"
	case strings.HasPrefix(kind, "mbox") && name == ".subscriptions":
		return "the list of subscriptions could not be written any more"
	case strings.HasPrefix(kind, "mbox") && len(name) == 255:
		return "Dovecot cannot lock it"
	case strings.HasPrefix(kind, "maildir fs") && (name == "dovecot.index" || name == "subscriptions"):
		return "the inbox or the subscriptions could not be written any more"
	}
	return ""
}

func judged(t *testing.T, kind int) (j *dovecot.Judge, root string, ours string) {
	t.Helper()
	k := nameKinds[kind]
	dovecot.Need(t)
	root = filepath.Join(dovecot.TempDir(t), "mail")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, root)
	where := fmt.Sprintf(k.location, root)
	return dovecot.New(t, where, k.settings...), root, where + k.ours
}

func openOurs(t *testing.T, spec string) formats.Store {
	t.Helper()
	loc, err := location.Parse(spec, location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := location.Open(t.Context(), loc, location.Options{FS: dovecot.FS(), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestDovecotAndWeRefuseTheSameNames creates each odd name with Dovecot, where it lets us, and compares with what we say.
func TestDovecotAndWeRefuseTheSameNames(t *testing.T) {
	for i, kind := range nameKinds {
		t.Run(kind.name, func(t *testing.T) {
			j, _, ours := judged(t, i)
			session := j.IMAP()
			s := openOurs(t, ours)
			for _, name := range oddNames {
				_, status := session.Try("CREATE " + dovecot.Quote(name))
				problem := s.Limits().NameProblem(name)
				if made := strings.HasPrefix(status, "OK"); made && problem != "" && ourOwn(kind.name, name) == "" || !made && problem == "" && !strings.Contains(status, "ALREADYEXISTS") {
					t.Errorf("%.60q: Dovecot says %.100s; we say %q", name, status, problem)
				}
			}
			session.Close()
			sameList(t, j, s)
		})
	}
}

// sameList compares what both list.
func sameList(t *testing.T, j *dovecot.Judge, s formats.Store) {
	t.Helper()
	var theirs, ours []string
	for _, e := range j.List() {
		theirs = append(theirs, describe(e.Name, e.NoSelect))
	}
	infos, err := s.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		if info.Err != nil {
			t.Errorf("we list %q with %v", info.Name, info.Err)
		}
		ours = append(ours, describe(info.Name, info.NoSelect))
	}
	for _, name := range theirs {
		if !slices.Contains(ours, name) {
			t.Errorf("only Dovecot lists %.100q", name)
		}
	}
	for _, name := range ours {
		if !slices.Contains(theirs, name) && name != "subscriptions" { // hidden by Dovecot, which made it
			t.Errorf("only we list %.100q", name)
		}
	}
}

func describe(name string, noSelect bool) string {
	if noSelect {
		return "(" + name + ")"
	}
	return name
}

// TestDovecotListsAndOpensTheNamesThatWeMake is the other direction.
func TestDovecotListsAndOpensTheNamesThatWeMake(t *testing.T) {
	for i, kind := range nameKinds {
		t.Run(kind.name, func(t *testing.T) {
			j, _, ours := judged(t, i)
			s := openOurs(t, ours)
			like := formats.Status{UIDValidity: 77777, UIDNext: 5}
			var made []string
			for _, name := range oddNames {
				name = s.Limits().SafeName(name)
				if err := s.Create(t.Context(), name, like); err == nil {
					made = append(made, name)
				} else if !slices.Contains(made, name) && name != "INBOX" && !(s.Limits().NoChildren && errors.Is(err, formats.ErrBadName)) {
					t.Errorf("%.60q: %v", name, err)
				}
			}
			sameList(t, j, s)
			session := j.IMAP()
			for _, name := range made {
				if lines := strings.Join(session.Select(name), "\n"); !strings.Contains(lines, "UIDVALIDITY 77777") {
					t.Errorf("%.60q: Dovecot opens another mailbox:\n%s", name, lines)
				}
			}
			session.Close()
			j.MustBeClean()
		})
	}
}
