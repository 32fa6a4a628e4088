package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// listedSpaces are namespaces whose mailboxes are listed as Dovecot lists them.
var listedSpaces = []struct {
	name, kind string
	prefix     string
	separator  string
	settings   string
}{
	{"sdbox with slashes", "sdbox", "", "/", ""},
	{"sdbox with dots", "sdbox", "", ".", "namespace inbox {\n  separator = .\n}"},
	{"sdbox below INBOX.", "sdbox", "INBOX.", ".", "namespace inbox {\n  separator = .\n  prefix = INBOX.\n}"},
	{"Maildir++ below INBOX.", "maildir", "INBOX.", ".", "namespace inbox {\n  separator = .\n  prefix = INBOX.\n}"},
	{"Maildir++ with slashes", "maildir", "", "/", ""},
	{"Maildir of the fs layout", "maildir-fs", "", "/", ""},
	{"mbox", "mbox", "", "/", ""},
	{"a prefix that is no INBOX", "sdbox", "Mail/", "/", "namespace inbox {\n  prefix = Mail/\n}"},
	{"mailboxes with settings", "sdbox", "", "/", `namespace inbox {
  mailbox Sent {
    auto = subscribe
    special_use = \Sent
  }
  mailbox Trash {
    auto = create
    special_use = \Trash
  }
  mailbox a/b {
    special_use = \Junk \Archive
  }
}`},
	{"a second namespace", "sdbox", "", "/", "namespace second {\n  prefix = second/\n  separator = /\n  location = sdbox:%HOME%/second\n}"},
	{"a hidden alias", "sdbox", "", "/", "namespace alias {\n  prefix = mail/\n  separator = /\n  hidden = yes\n  list = no\n  alias_for =\n}"},
	{"children of a second namespace", "sdbox", "", "/", "namespace second {\n  prefix = second/\n  separator = /\n  location = sdbox:%HOME%/second\n  list = children\n}"},
	{"a namespace without subscriptions of its own", "sdbox", "", "/", "namespace second {\n  prefix = second/\n  separator = /\n  location = sdbox:%HOME%/second\n  subscriptions = no\n}"},
}

// Names of a tree, relative to the prefix, with "/".
var listedNames = []string{"a", "b", "a/b", "a/b/c", "a/x", "b/c/d", "Sent", "Trash", "INBOX/under", "ab", "A", "deep/er/and/deeper", "x y", "größe", "r&d", "a/b c/d", "second/one", "second/two/three",
	"Inbox2", "z*z", "z%z", `back\slash`, `qu"ote`, "z"}

var listedCommands = []string{
	`LIST "" *`, `LIST "" %%`, `LIST "" "%s%%"`, `LIST "" "%s*"`, `LIST "%s" %%`, `LIST "%s" *`, `LIST "" ""`, `LIST "a/" ""`, `LIST "" INBOX`, `LIST "" inbox`, `LIST "" InBoX`,
	`LIST "" "%sa/%%"`, `LIST "" "%sa/%%/%%"`, `LIST "" "%%/%%"`, `LIST "" "*b"`, `LIST "" "%%b"`, `LIST "" "%sa*c"`, `LIST "" "*%%"`, `LIST "" "%%*"`, `LIST "a" "/b"`, `LIST "" "INBOX*"`, `LIST "" "inbox%%"`,
	`LIST "" "second"`, `LIST "" "second/"`, `LIST "" "second/%%"`, `LIST "" "sec*"`, `LIST "" "nonexistent"`, `LIST "" "INBOX/%%"`,
	`LIST "" "inbox/*"`, `LIST "" "inbox.*"`, `LIST "INB" "ox"`, `LIST "" "InB%%"`, `LIST "inbox" "/%%"`, `LIST "" "/"`, `LIST "" "~/x"`,
	`LSUB "" *`, `LSUB "" %%`, `LSUB "" "%s%%"`, `LSUB "" "%s*"`, `LSUB "" "%sa/%%"`, `LSUB "" "*b"`, `LSUB "" "%%/%%"`, `LSUB "%s" "%%"`, `LSUB "" inbox`,
	`LIST (SUBSCRIBED) "" *`, `LIST (SUBSCRIBED) "" %%`, `LIST (SUBSCRIBED RECURSIVEMATCH) "" %%`, `LIST (SUBSCRIBED RECURSIVEMATCH) "" "%s%%"`, `LIST (SUBSCRIBED RECURSIVEMATCH) "" *`,
	`LIST "" * RETURN (SUBSCRIBED CHILDREN)`, `LIST "" %% RETURN (CHILDREN)`, `LIST "" %% RETURN (SUBSCRIBED)`, `LIST (SPECIAL-USE) "" *`, `LIST "" * RETURN (SPECIAL-USE)`,
	`LIST "" ("%s%%" "*b") RETURN (SUBSCRIBED)`, `LIST (REMOTE) "" *`, `NAMESPACE`, `XLIST "" *`,
}

// LIST, LSUB and NAMESPACE answer as Dovecot's do, over the same mail.
func TestServeListsAsDovecotDoes(t *testing.T) {
	const trees = 3 // of each
	for i, tc := range listedSpaces {
		for tree := range trees {
			t.Run(fmt.Sprintf("%s %d", tc.name, tree), func(t *testing.T) {
				s := prepareServer(t, tc.kind)
				home := filepath.Join(s.dir, "home", "ann")
				settings := strings.ReplaceAll(tc.settings, "%HOME%", home)
				s.configure(tc.kind, settings)
				s.start()
				j := dovecot.New(t, dovecot.Location(tc.kind, home+"/mail"), settings)
				theirs := j.IMAP()
				defer theirs.Close()
				plant(t, theirs, rand.New(rand.NewPCG(uint64(i), uint64(tree))), tc.prefix, tc.separator)
				ours := s.login("ann")
				defer ours.Close()
				for _, command := range listedCommands {
					if tc.kind == "maildir-fs" && strings.Contains(command, "RECURSIVEMATCH") {
						continue // of a folder that is a parent only it says nothing here, and \Noselect everywhere else
					}
					compareAnswers(t, theirs, ours, strings.NewReplacer("%s", tc.prefix, "%%", "%", "a/", "a"+tc.separator).Replace(command))
				}
			})
		}
	}
}

func compareAnswers(t *testing.T, theirs, ours *client.Session, command string) {
	t.Helper()
	want, got := answers(theirs, command), answers(ours, command)
	if !slices.Equal(want, got) {
		t.Errorf("%s\n   Dovecot %s\n   ours    %s", command, strings.Join(without(want, got), "\n           "), strings.Join(without(got, want), "\n           "))
	}
}

// plant makes some of the names, subscribes to some, and deletes some parents.
func plant(t *testing.T, s *client.Session, r *rand.Rand, prefix, separator string) {
	t.Helper()
	wire := func(name string) string {
		if name != "INBOX" && !strings.HasPrefix(name, "second/") {
			name = prefix + name
		}
		return dovecot.Quote(strings.ReplaceAll(name, "/", separator))
	}
	names := slices.Clone(listedNames)
	if prefix == "Mail/" { // Mail/INBOX is the inbox by another name, of which Dovecot says different things in different commands
		names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "INBOX/") })
	}
	for _, name := range names {
		if r.IntN(4) > 0 {
			s.Try("CREATE " + wire(name))
		}
		if r.IntN(3) == 0 {
			s.Try("SUBSCRIBE " + wire(name))
		}
	}
	for _, name := range names {
		if r.IntN(6) == 0 {
			s.Try("DELETE " + wire(name))
		}
	}
}

// answers are all untagged lines, sorted, and how the command ended.
func answers(s *client.Session, command string) []string {
	lines, status := s.Try(command)
	for i, l := range lines {
		lines[i] = sortFlags(l)
	}
	slices.Sort(lines)
	return append(lines, timeTaken.ReplaceAllString(status, ""))
}

var timeTaken = regexp.MustCompile(` \(\d+\.\d+ \+ .* secs\)\.?$`)

// sortFlags puts the attributes of a line in order.
func sortFlags(line string) string {
	head, rest, ok := strings.Cut(line, "(")
	flags, tail, ok2 := strings.Cut(rest, ")")
	if !ok || !ok2 || !strings.Contains(head, "LIST") && !strings.Contains(head, "LSUB") {
		return line
	}
	words := strings.Fields(strings.NewReplacer(`\Marked`, "", `\UnMarked`, "").Replace(flags)) // what an mbox says of times
	slices.Sort(words)
	return head + "(" + strings.Join(words, " ") + ")" + tail
}

func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}
