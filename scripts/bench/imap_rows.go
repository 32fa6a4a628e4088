package main

import (
	"fmt"
	"strings"
)

// coldness is what a server knows of the mail before a row.
type coldness uint8

const (
	warm      coldness = iota
	cold               // nothing but the lists of messages
	coldStart          // what is in files
)

// imapRow is one line of the table.
type imapRow struct {
	name    string
	mailbox string // selected before; "" none
	cold    coldness
	fresh   bool // warm, and not worth a round that nobody counts
	tls     bool
	items   int // what it does so many times

	before, run, after func(t *imapTest) error // before and after are not measured; nil: nothing
}

// say is a row of one command.
func say(text string) func(t *imapTest) error {
	return func(t *imapTest) error { return t.cmd(text) }
}

// says is several commands.
func says(texts ...string) func(t *imapTest) error {
	return func(t *imapTest) error {
		for _, text := range texts {
			if err := t.cmd(text); err != nil {
				return err
			}
		}
		return nil
	}
}

func imapRows(b *imapBench) (rows []imapRow) {
	both := func(name, command string) {
		for how, suffix := range []string{warm: ", warm", cold: ", cold"} {
			rows = append(rows, imapRow{name: name + suffix, mailbox: "INBOX", cold: coldness(how), items: b.n, run: say(command)})
		}
	}
	once := func(name, command string) {
		rows = append(rows, imapRow{name: name, mailbox: "INBOX", items: b.n, run: say(command)})
	}
	rows = append(rows, imapRow{name: "login and logout", items: imapLogins, run: logInOften(1)},
		imapRow{name: "login and logout, 16 clients", items: imapLogins, run: logInOften(16)},
		imapRow{name: "login and logout, TLS", tls: true, items: imapLogins, run: logInOften(1)},
		imapRow{name: "SELECT, warm", items: selects, run: selectOften},
		imapRow{name: "SELECT, server started anew", cold: coldStart, items: 1, run: say("SELECT INBOX")},
		imapRow{name: "SELECT, cold", cold: cold, items: 1, run: say("SELECT INBOX")})
	once("FETCH (FLAGS UID RFC822.SIZE)", "FETCH 1:* (FLAGS UID RFC822.SIZE)")
	once("FETCH FLAGS", "FETCH 1:* FLAGS")
	both("FETCH ENVELOPE", "FETCH 1:* ENVELOPE")
	both("FETCH BODYSTRUCTURE", "FETCH 1:* BODYSTRUCTURE")
	both("FETCH ALL and fields", "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT TO CC MESSAGE-ID REFERENCES)])")
	rows = append(rows, bodyRows(b)...)
	both("SEARCH BODY", "SEARCH BODY thereisnosuchword")
	both("SEARCH TEXT", "SEARCH TEXT thereisnosuchword")
	both("SEARCH HEADER", "SEARCH HEADER X-Mailer thereisnosuchword")
	both("SEARCH SUBJECT", "SEARCH SUBJECT thereisnosuchword")
	both("SEARCH LARGER", "SEARCH LARGER 4000")
	once("SEARCH UNSEEN", "SEARCH UNSEEN")
	for _, key := range []string{"ARRIVAL", "SUBJECT", "FROM", "DATE"} {
		both("SORT "+key, "SORT ("+key+") UTF-8 ALL")
	}
	for _, how := range []string{"REFERENCES", "REFS", "ORDEREDSUBJECT"} {
		both("THREAD "+how, "THREAD "+how+" UTF-8 ALL")
	}
	rows = append(rows, changeRows(b)...)
	for _, clients := range []int{1, 10, 50} {
		rows = append(rows, appendRow(clients, false))
	}
	for _, clients := range []int{10, 50} {
		rows = append(rows, appendRow(clients, true))
	}
	return append(rows, mixedRow(b, 1), mixedRow(b, 8))
}

func bodyRows(b *imapBench) []imapRow {
	each := func(i int) string { return fmt.Sprintf("UID FETCH %d BODY.PEEK[]", i+1) }
	oneByOne := func(t *imapTest) error {
		for i := range b.bodies {
			if err := t.cmd(each(i)); err != nil {
				return err
			}
		}
		return nil
	}
	return []imapRow{
		{name: "bodies in one FETCH", mailbox: "Bodies", items: b.bodies, run: say("FETCH 1:* BODY.PEEK[]")},
		{name: "bodies, commands pipelined", mailbox: "Bodies", items: b.bodies, run: func(t *imapTest) error { return t.cmds(b.bodies, each) }},
		{name: "bodies one by one", mailbox: "Bodies", items: b.bodies, run: oneByOne},
		{name: "bodies in one FETCH, TLS", tls: true, mailbox: "Bodies", items: b.bodies, run: say("FETCH 1:* BODY.PEEK[]")},
		{name: "bodies one by one, TLS", tls: true, mailbox: "Bodies", items: b.bodies, run: oneByOne},
		{name: "bodies in one FETCH, cold", mailbox: "Bodies", cold: cold, items: b.bodies, run: say("FETCH 1:* BODY.PEEK[]")},
		{name: "small messages in one FETCH", mailbox: "INBOX", items: b.n, run: say("FETCH 1:* BODY.PEEK[]")},
	}
}

func changeRows(b *imapBench) []imapRow {
	drop := says("UNSELECT", "DELETE Copy")
	filled := says("CREATE Copy", "COPY 1:* Copy", "SELECT Copy")
	return []imapRow{
		{name: "STORE +FLAGS on all", mailbox: "INBOX", items: b.n, run: say(`STORE 1:* +FLAGS (\Flagged)`), after: say(`STORE 1:* -FLAGS.SILENT (\Flagged)`)},
		{name: "STORE keyword on all, silent", mailbox: "INBOX", items: b.n, run: say(`STORE 1:* +FLAGS.SILENT (bench)`), after: say(`STORE 1:* -FLAGS.SILENT (bench)`)},
		{name: "STORE, one by one (1000)", mailbox: "INBOX", items: 1000, run: func(t *imapTest) error {
			for i := range 1000 {
				if err := t.cmd(fmt.Sprintf(`UID STORE %d %cFLAGS (\Draft)`, i/2+1, "+-"[i%2])); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "COPY all", mailbox: "INBOX", fresh: true, items: b.n, before: say("CREATE Copy"), run: say("COPY 1:* Copy"), after: drop},
		{name: "MOVE all", mailbox: "INBOX", fresh: true, items: b.n, before: says("CREATE Copy", "COPY 1:* Copy", "CREATE Moved", "SELECT Copy"),
			run: say("MOVE 1:* Moved"), after: says("UNSELECT", "DELETE Copy", "DELETE Moved")},
		{name: "EXPUNGE all", mailbox: "INBOX", fresh: true, items: b.n,
			before: func(t *imapTest) error {
				if err := filled(t); err != nil {
					return err
				}
				return t.cmd(`STORE 1:* +FLAGS.SILENT (\Deleted)`)
			}, run: say("EXPUNGE"), after: drop},
	}
}

// names gives n names of mailboxes.
func boxNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("Box%02d", i))
	}
	return names
}

// eachOf runs a command with each of the names.
func eachOf(t *imapTest, verb string, names []string) error {
	return says(strings.Split(verb+" "+strings.Join(names, "\n"+verb+" "), "\n")...)(t)
}
