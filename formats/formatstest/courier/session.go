package courier

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"

	"dovetail/formats/formatstest/client"
)

// IMAP starts a session that is already logged in.
func (j *Judge) IMAP() *Session {
	j.t.Helper()
	s := client.Start(j.t, client.IMAP, j.Command(imapd, filepath.Base(j.maildir)), j.Log)
	s.Plain = true
	for {
		switch greeting := s.Next(); {
		case strings.HasPrefix(greeting, "* PREAUTH "):
			return s
		case !strings.HasPrefix(greeting, "* OK [ALERT]"):
			j.t.Fatalf("imapd greeted with %q\n%s", greeting, j.Log())
		}
	}
}

// POP3 starts a session that is already logged in.
func (j *Judge) POP3() POP3 {
	j.t.Helper()
	p := POP3{Session: client.Start(j.t, client.POP, j.Command(pop3d, filepath.Base(j.maildir)), j.Log)}
	if greeting := p.Next(); !strings.HasPrefix(greeting, "+OK") {
		j.t.Fatalf("pop3d greeted with %q\n%s", greeting, j.Log())
	}
	return p
}

// Box is one mailbox as Courier shows it.
type Box struct {
	Status   client.Status // without GUID and modseqs
	Messages []Msg
}

// Boxes gives everything that IMAP shows, by name. An entry of LIST that cannot be opened ends the test, unless it is named in
// closed.
func (j *Judge) Boxes(closed ...string) map[string]Box {
	j.t.Helper()
	s := j.IMAP()
	defer s.Close()
	return boxes(s, closed)
}

func boxes(s *Session, closed []string) map[string]Box {
	all := map[string]Box{}
	for _, e := range s.List() {
		if e.NoSelect || slices.Contains(closed, e.Name) {
			continue
		}
		b := Box{Status: s.Status(e.Name)}
		s.Cmd("EXAMINE " + client.Quote(e.Name))
		if b.Status.Messages > 0 {
			b.Messages = s.Fetch("1:*")
		}
		all[e.Name] = b
	}
	return all
}

// UIDLs gives the UIDLs of POP3 in its order.
func (j *Judge) UIDLs() []string {
	j.t.Helper()
	p := j.POP3()
	defer p.Quit()
	var all []string
	for _, line := range p.Multi("UIDL") {
		_, uidl, _ := strings.Cut(line, " ")
		all = append(all, uidl)
	}
	return all
}

// Rights gives the access list of a mailbox: pairs of who and what.
func (j *Judge) Rights(mailbox string) []string {
	j.t.Helper()
	s := j.IMAP()
	defer s.Close()
	for _, line := range s.Cmd("GETACL " + client.Quote(mailbox)) {
		if words, ok := client.Words(line, "ACL"); ok {
			return words[1:]
		}
	}
	return nil
}

// MyRights gives the owner's own rights.
func (j *Judge) MyRights(mailbox string) string {
	j.t.Helper()
	s := j.IMAP()
	defer s.Close()
	for _, line := range s.Cmd("MYRIGHTS " + client.Quote(mailbox)) {
		if words, ok := client.Words(line, "MYRIGHTS"); ok && len(words) == 2 {
			return words[1]
		}
	}
	return ""
}

// Seen gives all that clients of both protocols see. closed are entries of LIST that cannot be opened.
func (j *Judge) Seen(closed ...string) *Seen {
	j.t.Helper()
	seen := &Seen{Boxes: map[string]SeenBox{}}
	s := j.IMAP() // one for all: it starts in a second
	defer s.Close()
	for name, box := range boxes(s, closed) {
		b := SeenBox{UIDValidity: uint64(box.Status.UIDValidity), UIDNext: uint64(box.Status.UIDNext)}
		for _, m := range box.Messages {
			sum := sha256.Sum256([]byte(m.Body))
			flags := strings.Fields(strings.ToLower(m.Flags.String()))
			for _, k := range m.Keywords {
				flags = append(flags, strings.ToLower(k))
			}
			slices.Sort(flags)
			flags = slices.DeleteFunc(flags, func(f string) bool { return f == `\recent` })
			b.Messages = append(b.Messages, SeenMessage{UID: uint64(m.UID), Flags: flags, Date: m.InternalDate.Unix(), SHA256: hex.EncodeToString(sum[:])})
		}
		seen.Boxes[name] = b
	}
	seen.Lsub = s.Lsub()
	for _, uidl := range j.UIDLs() {
		seen.Pop = append(seen.Pop, SeenPop{UIDL: uidl})
	}
	return seen
}
