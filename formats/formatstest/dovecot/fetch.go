package dovecot

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"dovetail/formats"
)

// Fetch gives every message of a mailbox, in order of UID. It does not touch \Recent or \Seen, but asking for
// modseqs makes Dovecot keep them from then on.
func (j *Judge) Fetch(mailbox string) []Msg {
	j.t.Helper()
	s := j.IMAP()
	defer s.Close()
	s.Cmd("EXAMINE " + Quote(mailbox))
	msgs := s.Fetch("1:*")
	if len(msgs) > 0 {
		j.details(mailbox, msgs)
	}
	return msgs
}

// rows runs a command that prints a table.
func (j *Judge) rows(args ...string) []map[string]string {
	j.t.Helper()
	out := j.Doveadm(append([]string{"-f", "json"}, args...)...)
	var rows []map[string]string
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		j.t.Fatalf("doveadm %q: %v in %.500s", args, err, out)
	}
	return rows
}

// details adds what IMAP does not tell.
func (j *Judge) details(mailbox string, msgs []Msg) {
	j.t.Helper()
	rows := j.rows("fetch", "--", "uid guid date.saved.unixtime pop3.uidl pop3.order", "mailbox", mailbox, "all")
	byUID := make(map[string]map[string]string, len(rows))
	for _, row := range rows {
		byUID[row["uid"]] = row
	}
	for i := range msgs {
		row, ok := byUID[fmt.Sprint(msgs[i].UID)]
		if !ok {
			j.t.Fatalf("doveadm fetch does not know uid %d of %s", msgs[i].UID, mailbox)
		}
		msgs[i].GUID = row["guid"]
		msgs[i].POP3UIDL = row["pop3.uidl"]
		order, _ := strconv.ParseUint(row["pop3.order"], 10, 32) // "" is none
		msgs[i].POP3Order = uint32(order)
		if secs, err := strconv.ParseInt(row["date.saved.unixtime"], 10, 64); err == nil {
			msgs[i].SaveDate = time.Unix(secs, 0).UTC()
		}
	}
}

// Status gives a mailbox's identity and counters. FirstRecent is not known from outside.
func (j *Judge) Status(mailbox string) Status {
	j.t.Helper()
	s := j.IMAP()
	defer s.Close()
	st := s.Status(mailbox)
	var guid formats.GUID
	for _, row := range j.rows("mailbox", "status", "--", "guid", mailbox) { // several when the name has a wildcard in it
		if row["mailbox"] != mailbox {
			continue
		}
		var err error
		if guid, err = formats.ParseGUID(row["guid"]); err != nil {
			j.t.Fatalf("doveadm mailbox status %s: %v", mailbox, err)
		}
	}
	st.GUID = guid
	return st
}

// List gives every mailbox, sorted by name.
func (j *Judge) List() []Entry {
	j.t.Helper()
	s := j.IMAP()
	defer s.Close()
	return s.List()
}

// Lsub gives the names of the subscribed mailboxes, sorted.
func (j *Judge) Lsub() []string {
	j.t.Helper()
	s := j.IMAP()
	defer s.Close()
	return s.Lsub()
}
