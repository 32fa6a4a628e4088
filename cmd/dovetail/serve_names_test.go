package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/layout"
)

// awkwardNames are names of mailboxes, in UTF-8; "/" stands for the separator.
var awkwardNames = []string{
	"plain", "two words", " leading", "trailing ", "a*b", "a%b", "100%", "*", "%", "a&b", "&", "&-", `a"b`, `back\slash`, "~", "~root", "~/x", "a~b", "tilde~/x",
	".", "..", ".hidden", "a.", "a..b", "a.b.c", "a/b.c", ".a/b", "a/.b", "..a", "a/..", "a/../b", "./a", "/", "//", "/a", "a/", "a//b",
	"größe", "grösse", "日本語", "😀 smile", "\u202eright", "a\u00a0b", "\ufeff", "caf\u00e9", "cafe\u0301",
	"new", "tmp", "cur/x", "a/cur", "a/new/b", "dbox-Mails", "a/dbox-Mails", "mailboxes", "subscriptions", "dovecot.index", "dovecot-uidlist", "a/dovecot-uidlist", "maildirfolder",
	".imap", ".subscriptions", "dovecot.mailbox.log", "inbox", "InBoX", "INBOX/x", "inbox/y", "INBOXx", "Inbox.z",
	"(a)", "[a]", "{5}", "{5}x", "NIL", "a\tb", "a]b", "#news", "#shared/x", "=", "+", "-", "?", "!", "$", "'", "`", "|", ";", "<a>", "a^b", "@", "a,b", ":", "a:2,S",
	strings.Repeat("n", 64), strings.Repeat("n", 200), strings.Repeat("n", 255), strings.Repeat("n", 256), strings.Repeat("ä", 100), strings.Repeat("d/", 20) + "e",
	strings.Repeat("deep/", 60) + "x", strings.Repeat(strings.Repeat("l", 100)+"/", 4) + "x",
}

// brokenBy are names by which Dovecot breaks a store of its own, or which it can only make and not use.
var brokenBy = map[string][]string{"maildir-fs": {"subscriptions", "dovecot.index", "dovecot-uidlist", "a/dovecot-uidlist", "dovecot.mailbox.log"},
	"Maildir++ below INBOX.": {"inbox", "InBoX", "inbox/y", "Inbox.z"}, // two names for one mailbox on another server, or with another prefix
	"mbox":                   {".subscriptions", strings.Repeat("n", 255)}}

// Rawer names, as bytes of the wire.
var rawNames = []string{"&AOQ", "&AOQ-x", "&AAA-", "&ZeVnLA--", "gr\xc3\xbc\xc3\x9fe", "\xff\xfe", "&2D0-", "&AGE-", "&,-", "a&-b", "&-&-", "&AC8-x", "&AC4-x"}

var namedKinds = []struct{ name, kind, prefix, separator, settings string }{
	{"Maildir++", "maildir", "", ".", "namespace inbox {\n  separator = .\n}"},
	{"Maildir++ below INBOX.", "maildir", "INBOX.", ".", "namespace inbox {\n  separator = .\n  prefix = INBOX.\n}"},
	{"Maildir++ with slashes", "maildir", "", "/", ""},
	{"Maildir of the fs layout", "maildir-fs", "", "/", ""},
	{"sdbox", "sdbox", "", "/", ""},
	{"sdbox with dots", "sdbox", "", ".", "namespace inbox {\n  separator = .\n}"},
	{"mbox", "mbox", "", "/", ""},
}

// namedPair is a server of each kind over a store of its own.
type namedPair struct {
	t            *testing.T
	ours, theirs *client.Session
	separator    string
	prefix       string
	excuse       func(command, ours, theirs string) bool
}

func newNamedPair(t *testing.T, kind, prefix, separator, settings string) *namedPair {
	t.Helper()
	s := prepareServer(t, kind)
	s.configure(kind, settings)
	s.start()
	j := dovecot.New(t, dovecot.Location(kind, filepath.Join(dovecot.TempDir(t), "mail")), settings)
	p := &namedPair{t: t, excuse: refusedOtherwise, ours: s.login("ann"), theirs: j.IMAP(), separator: separator, prefix: prefix}
	t.Cleanup(func() { p.ours.Close(); p.theirs.Close() })
	return p
}

func (p *namedPair) wire(name string) string {
	name = strings.ReplaceAll(name, "/", p.separator)
	if encoded, err := layout.EncodeMUTF7(name); err == nil {
		name = encoded
	}
	return dovecot.Quote(p.prefix + name)
}

// both says a command to both and compares what they answer.
func (p *namedPair) both(command string) {
	p.t.Helper()
	want, got := masked(answers(p.theirs, command)), masked(answers(p.ours, command))
	if !slices.Equal(want, got) && (p.excuse == nil || !p.excuse(command, fmt.Sprint(got), fmt.Sprint(want))) {
		p.t.Errorf("%s\n   Dovecot %s\n   ours    %s", command, strings.Join(without(want, got), "\n           "), strings.Join(without(got, want), "\n           "))
	}
}

// masked leaves out what is never the same twice, and the words of refusals, but not their codes.
func masked(lines []string) []string {
	for i, l := range lines {
		for _, word := range []string{"UIDVALIDITY ", "APPENDUID ", "[20"} {
			if head, rest, ok := strings.Cut(l, word); ok {
				_, tail, _ := strings.Cut(rest, "]")
				l = head + word + "…]" + tail
			}
		}
		if code, _, ok := strings.Cut(l, "] "); ok && strings.HasPrefix(l, "NO [") {
			l = strings.ToUpper(code) + "]"
		} else if strings.HasPrefix(l, "NO ") {
			l = "NO"
		}
		lines[i] = l
	}
	return lines
}

// refusedOtherwise tells whether both refuse, but say so in other words, or one is more careful than the other for a
// reason.
func refusedOtherwise(command, ours, theirs string) bool {
	verb, name, _ := strings.Cut(command, " ")
	switch {
	case theirs == "[NO [SERVERBUG]]" || theirs == "[NO]" && ours == "[NO [CANNOT]]":
		return strings.HasPrefix(ours, "[NO") // what is too long for its file system, it finds out too late
	case verb == "UNSUBSCRIBE":
		return theirs == "[NO [CANNOT]]" && ours == "[OK Unsubscribe completed]" // whatever is in the list may leave it
	case verb == "CREATE":
		return ours == "[NO [CANNOT]]" && ownFiles.MatchString(name)
	}
	return false
}

// ownFiles are names that its own files have, which it lets clients take.
var ownFiles = regexp.MustCompile(`dovecot[.-]`)

// Names with every awkward character are taken, refused and shown as Dovecot does.
func TestServeNamesOfMailboxesAreThoseOfDovecot(t *testing.T) {
	for _, tc := range namedKinds {
		t.Run(tc.name, func(t *testing.T) {
			p := newNamedPair(t, tc.kind, tc.prefix, tc.separator, tc.settings)
			var all []string
			for _, name := range awkwardNames {
				if !slices.Contains(brokenBy[tc.kind], name) && !slices.Contains(brokenBy[tc.name], name) {
					all = append(all, p.wire(name))
				}
			}
			for _, name := range rawNames {
				all = append(all, dovecot.Quote(tc.prefix+name))
			}
			for _, name := range all {
				p.both("CREATE " + name)
			}
			p.both(`LIST "" *`)
			for _, name := range all {
				p.both("STATUS " + name + " (MESSAGES)")
				p.both("SUBSCRIBE " + name)
			}
			p.both(`LSUB "" *`)
			for i, name := range all {
				if i%3 == 0 {
					p.both("UNSUBSCRIBE " + name)
				}
				if i%2 == 0 {
					p.both("DELETE " + name)
				}
			}
			p.both(`LIST "" * RETURN (SUBSCRIBED)`)
			p.both(`LSUB "" *`)
		})
	}
}
