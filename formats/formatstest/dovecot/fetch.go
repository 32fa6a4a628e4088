package dovecot

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dovetail/formats"
)

// Msg is a message as Dovecot shows it.
type Msg struct {
	UID          formats.UID
	Flags        formats.Flags
	Keywords     []string // sorted
	ModSeq       formats.ModSeq
	InternalDate time.Time // UTC
	Size         int64     // RFC822.SIZE
	Body         string    // BODY[]: line ends are CRLF

	GUID      string
	SaveDate  time.Time
	POP3UIDL  string // the stored one, "" when a POP3 session would derive it
	POP3Order uint32
}

// Status is a mailbox's numbers as Dovecot shows them.
type Status = formats.Status

// Entry is one line of LIST.
type Entry struct {
	Name     string
	NoSelect bool
	Attrs    []string
}

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

// Fetch gives messages of the selected mailbox by UID, without what only doveadm knows.
func (s *Session) Fetch(uids string) []Msg {
	s.t.Helper()
	var msgs []Msg
	for _, line := range s.Cmd("UID FETCH " + uids + " (UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ BODY.PEEK[])") {
		if m, ok := s.parseFetch(line); ok {
			msgs = append(msgs, m)
		}
	}
	slices.SortFunc(msgs, func(a, b Msg) int { return int(int64(a.UID) - int64(b.UID)) })
	return msgs
}

func (s *Session) parseFetch(line string) (Msg, bool) {
	s.t.Helper()
	all, err := parseTokens(line)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(all) != 4 || all[2].text != "FETCH" {
		return Msg{}, false
	}
	items := pairs(all[3].list)
	if _, ok := items["BODY[]"]; !ok {
		return Msg{}, false // somebody else's change of flags
	}
	date, err := time.Parse("_2-Jan-2006 15:04:05 -0700", items["INTERNALDATE"].text)
	if err != nil {
		s.t.Fatalf("INTERNALDATE: %v", err)
	}
	m := Msg{
		UID:          formats.UID(items["UID"].number()),
		InternalDate: date.UTC(),
		Size:         int64(items["RFC822.SIZE"].number()),
		Body:         items["BODY[]"].text,
	}
	if seq := items["MODSEQ"]; len(seq.list) == 1 {
		m.ModSeq = formats.ModSeq(seq.list[0].number())
	}
	m.Flags, m.Keywords = splitFlags(items["FLAGS"].texts())
	return m, true
}

// splitFlags tells system flags from keywords.
func splitFlags(names []string) (formats.Flags, []string) {
	var flags formats.Flags
	keywords := []string{}
	for _, name := range names {
		if f, ok := formats.ParseFlag(name); ok {
			flags |= f
		} else {
			keywords = append(keywords, name)
		}
	}
	slices.Sort(keywords)
	return flags, keywords
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

// Status asks IMAP's STATUS, which knows no GUID.
func (s *Session) Status(mailbox string) Status {
	s.t.Helper()
	for _, line := range s.Cmd("STATUS " + Quote(mailbox) + " (MESSAGES UNSEEN RECENT UIDNEXT UIDVALIDITY HIGHESTMODSEQ)") {
		all, err := parseTokens(line)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(all) != 4 || all[1].text != "STATUS" {
			continue
		}
		items := pairs(all[3].list)
		return Status{
			UIDValidity:   formats.UIDValidity(items["UIDVALIDITY"].number()),
			UIDNext:       formats.UID(items["UIDNEXT"].number()),
			HighestModSeq: formats.ModSeq(items["HIGHESTMODSEQ"].number()),
			Messages:      uint32(items["MESSAGES"].number()),
			Unseen:        uint32(items["UNSEEN"].number()),
			Recent:        uint32(items["RECENT"].number()),
		}
	}
	s.t.Fatalf("STATUS %s gave nothing", mailbox)
	return Status{}
}

// List gives every mailbox, sorted by name.
func (j *Judge) List() []Entry {
	j.t.Helper()
	return j.listed("LIST")
}

// Lsub gives the names of the subscribed mailboxes, sorted.
func (j *Judge) Lsub() []string {
	j.t.Helper()
	var names []string
	for _, e := range j.listed("LSUB") {
		if !e.NoSelect { // a parent shown only because a child is subscribed
			names = append(names, e.Name)
		}
	}
	return names
}

func (j *Judge) listed(verb string) []Entry {
	j.t.Helper()
	s := j.IMAP()
	defer s.Close()
	var entries []Entry
	for _, line := range s.Cmd(verb + ` "" "*"`) {
		all, err := parseTokens(line)
		if err != nil {
			j.t.Fatal(err)
		}
		if len(all) != 5 || all[1].text != verb {
			continue
		}
		e := Entry{Name: decodeName(all[4].text), Attrs: all[2].texts()}
		e.NoSelect = slices.ContainsFunc(e.Attrs, func(a string) bool { return strings.EqualFold(a, `\Noselect`) })
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries
}
