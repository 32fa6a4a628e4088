package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// renames are what clients do with trees; "/" stands for the separator in names, which are in double quotes.
var renames = []string{
	`CREATE "a/b/c"`, `CREATE "a/b/d"`, `CREATE "x"`, `CREATE "only/parent/here/"`, `SUBSCRIBE "a/b/c"`, `SUBSCRIBE "x"`, `SUBSCRIBE "a"`, `APPEND "a/b/c" {15+}`, `APPEND "x" {15+}`,
	`RENAME "a/b" "moved"`, `RENAME "moved" "deep/er/moved"`, `RENAME "nothing" "y"`, `RENAME "x" "x"`, `RENAME "x" "X"`, `RENAME "X" "x"`, `RENAME "x" "deep/er/moved/c"`, `RENAME "deep/er/moved" "deep/er/moved/below"`,
	`RENAME "deep" "x/deep"`, `RENAME "x" "x/y"`, `RENAME "x/deep/er" "top"`, `RENAME "a" "b"`, `RENAME "x/" "z/"`, `RENAME "z" "größe & co"`,
	`CREATE "INBOX/sub/box"`, `RENAME "INBOX/sub" "INBOX/other"`, `RENAME "INBOX/other" "out"`, `RENAME "out" "INBOX/in"`, `CREATE "again"`,
	`CREATE "t/1"`, `CREATE "t/2"`, `CREATE "t"`, `DELETE "t"`, `STATUS "t" (MESSAGES)`, `SELECT "t"`, `APPEND "t" {15+}`, `CREATE "t"`, `STATUS "t" (MESSAGES)`, `DELETE "t/1"`, `DELETE "t"`, `DELETE "t/2"`, `DELETE "t"`, `DELETE "nothing"`,
	`DELETE "INBOX"`, `DELETE inbox`, `RENAME "t" INBOX`, `RENAME "again" "INBOX"`, `CREATE "again/child"`, `RENAME "again" "renamed"`, `STATUS "renamed" (MESSAGES)`, `SELECT "renamed/child"`, `CLOSE`, `DELETE "renamed/child"`,
	`CREATE "u/v"`, `RENAME "u/v" "w"`, `RENAME "w" "u/v/w"`, `RENAME "u" "v"`, `RENAME "v/v/w" "w"`, `RENAME "" "x"`, `RENAME "w" ""`, `RENAME "w" "a//b"`, `RENAME "w" "~x"`, `RENAME "w" "../x"`, `RENAME "w/" "w2"`,
}

// Trees are renamed and deleted as by Dovecot, with what is subscribed, and the parents that are left.
func TestServeTreesAreRenamedAsByDovecot(t *testing.T) {
	for _, tc := range namedKinds {
		t.Run(tc.name, func(t *testing.T) {
			p := newNamedPair(t, tc.kind, tc.prefix, tc.separator, tc.settings)
			p.excuse = renamedOtherwise
			p.both("APPEND INBOX {15+}\r\nSubject: x\r\n\r\ny")
			for _, command := range renames {
				if tc.kind == "mbox" && (strings.Contains(command, "child") || strings.Contains(command, "INBOX/")) {
					continue // a file has no children
				}
				if tc.kind == "maildir" && strings.Contains(command, `"t`) {
					continue // it lists what was deleted for a while
				}
				p.both(p.spelled(command))
				if !strings.HasPrefix(command, "STATUS") {
					p.both(`LIST "" * RETURN (SUBSCRIBED CHILDREN)`)
					p.both(`LSUB "" *`)
				}
			}
		})
	}
}

// renamedOtherwise tells whether a difference is in words only.
func renamedOtherwise(command, ours, theirs string) bool {
	if strings.HasPrefix(command, "RENAME") && strings.HasSuffix(strings.Trim(command, `"`), "INBOX") {
		return strings.HasPrefix(ours, "[NO [") && strings.HasPrefix(theirs, "[NO [")
	}
	return false
}

// spelled puts prefix, separator and encoding into the names of a command.
func (p *namedPair) spelled(command string) string {
	parts := strings.Split(command, `"`)
	for i := 1; i < len(parts); i += 2 {
		if name := parts[i]; strings.HasPrefix(name, "INBOX/") && p.prefix != "" {
			parts[i] = strings.ReplaceAll(name, "/", p.separator)
		} else if strings.EqualFold(name, "INBOX") || name == "" {
			parts[i] = name
		} else {
			parts[i] = strings.Trim(p.wire(name), `"`)
		}
	}
	command = strings.Join(parts, `"`)
	if strings.HasPrefix(command, "APPEND") {
		command += "\r\nSubject: x\r\n\r\ny"
	}
	return command
}

// Renaming INBOX moves its messages, and leaves its children and itself where they are (RFC 3501 section 6.3.5). Dovecot
// does so nowhere: it refuses, or moves the children too.
func TestServeRenamingINBOXMovesItsMessages(t *testing.T) {
	for _, tc := range namedKinds {
		t.Run(tc.name, func(t *testing.T) {
			s := prepareServer(t, tc.kind)
			s.configure(tc.kind, tc.settings)
			s.start()
			p := &namedPair{t: t, separator: tc.separator, prefix: tc.prefix}
			c := s.login("ann")
			defer c.Close()
			for i := range 3 {
				c.Append("INBOX", `\Flagged $Label1`, "17-Jul-1996 02:44:25 -0700", fmt.Sprintf("Subject: %d\r\n\r\nx\r\n", i))
			}
			if tc.kind != "mbox" {
				c.Cmd("CREATE " + p.spelled(`"INBOX/child"`))
			}
			other := s.login("ann")
			defer other.Close()
			other.Select("INBOX")
			before := messages(c, "INBOX")
			c.Cmd("RENAME InBoX " + p.wire("old/mail"))
			if after := messages(c, p.wire("old/mail")); after != before {
				t.Errorf("moved are\n%s\nof\n%s", after, before)
			}
			if left := messages(c, "INBOX"); left != "" {
				t.Errorf("left are %s", left)
			}
			if tc.kind != "mbox" {
				c.Cmd("STATUS " + p.spelled(`"INBOX/child"`) + " (MESSAGES)")
			}
			if lines := other.Cmd("NOOP"); !slices.Contains(lines, "* 1 EXPUNGE") {
				t.Errorf("another session is told %q", lines)
			}
			c.Append("INBOX", "", "", "Subject: new\r\n\r\nx\r\n")
		})
	}
}

// messages tells everything of the messages of a mailbox but their UIDs.
func messages(c *client.Session, mailbox string) string {
	c.Cmd("SELECT " + mailbox)
	lines := c.Cmd("UID SEARCH ALL")
	if slices.Contains(lines, "* SEARCH") {
		return ""
	}
	return strings.ReplaceAll(strings.Join(c.Cmd("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])"), "\n"), `\Recent `, "")
}

// What either has made is there for the other, with its subscriptions.
func TestServeTreesAreReadByTheOther(t *testing.T) {
	for _, tc := range namedKinds {
		t.Run(tc.name, func(t *testing.T) {
			s := prepareServer(t, tc.kind)
			s.configure(tc.kind, tc.settings, "mail_fsync = never")
			s.start()
			j := dovecot.New(t, dovecot.Location(tc.kind, filepath.Join(s.dir, "home", "ann", "mail")), tc.settings)
			p := &namedPair{t: t, ours: s.login("ann"), theirs: j.IMAP(), separator: tc.separator, prefix: tc.prefix}
			defer p.theirs.Close()
			defer p.ours.Close()
			p.ours.Select("INBOX")
			for i, name := range awkwardNames {
				if slices.Contains(brokenBy[tc.kind], name) || slices.Contains(brokenBy[tc.name], name) {
					continue
				}
				maker := p.ours
				if i%2 == 0 {
					maker = p.theirs
				}
				maker.Try("CREATE " + p.wire(name))
				if i%3 == 0 {
					maker.Try("SUBSCRIBE " + p.wire(name))
				}
			}
			for _, command := range []string{`LIST "" *`, `LSUB "" *`, `LIST "" *b*`, `LIST "" %`, `LIST (SUBSCRIBED) "" *`} {
				p.both(command)
			}
		})
	}
}
