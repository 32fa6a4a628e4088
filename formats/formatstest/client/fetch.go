package client

import (
	"slices"
	"strings"
	"time"

	"dovetail/formats"
)

// Msg is a message as a server shows it.
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

// Status is a mailbox's numbers as a server shows them.
type Status = formats.Status

// Entry is one line of LIST.
type Entry struct {
	Name     string
	NoSelect bool
	Attrs    []string
}

// Fetch gives messages of the selected mailbox by UID, without what only doveadm knows.
func (s *Session) Fetch(uids string) []Msg {
	s.t.Helper()
	var msgs []Msg
	items := " (UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ BODY.PEEK[])"
	if s.Plain {
		items = strings.Replace(items, " MODSEQ", "", 1)
	}
	for _, line := range s.Cmd("UID FETCH " + uids + items) {
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

// Status asks IMAP's STATUS, which knows no GUID.
func (s *Session) Status(mailbox string) Status {
	s.t.Helper()
	items := " (MESSAGES UNSEEN RECENT UIDNEXT UIDVALIDITY HIGHESTMODSEQ)"
	if s.Plain {
		items = strings.Replace(items, " HIGHESTMODSEQ", "", 1)
	}
	for _, line := range s.Cmd("STATUS " + Quote(mailbox) + items) {
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
func (s *Session) List() []Entry {
	s.t.Helper()
	return s.listed("LIST")
}

// Lsub gives the names of the subscribed mailboxes, sorted.
func (s *Session) Lsub() []string {
	s.t.Helper()
	var names []string
	for _, e := range s.listed("LSUB") {
		if !e.NoSelect { // a parent shown only because a child is subscribed
			names = append(names, e.Name)
		}
	}
	return names
}

func (s *Session) listed(verb string) []Entry {
	s.t.Helper()
	var entries []Entry
	for _, line := range s.Cmd(verb + ` "" "*"`) {
		all, err := parseTokens(line)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(all) != 5 || all[1].text != verb {
			continue
		}
		e := Entry{Name: Decode(all[4].text), Attrs: all[2].texts()}
		e.NoSelect = slices.ContainsFunc(e.Attrs, func(a string) bool { return strings.EqualFold(a, `\Noselect`) })
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries
}
