package couriersite

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"dovetail/formats/formatstest/courier"
)

// Differences compares what a Courier shows of a user now with the truth, and says what a client could notice. It is as
// strict as the checker: promised UIDs and UIDLs are the same, other messages are there under new ones.
func (s *Site) Differences(user string, seen *courier.Seen) []string {
	s.t.Helper()
	u := s.Users[user]
	c := &comparison{seen: seen}
	for i := range u.IMAP.Folders {
		c.folder(&u.IMAP.Folders[i])
	}
	for name := range seen.Boxes {
		if !slices.ContainsFunc(u.IMAP.Folders, func(f Folder) bool { return f.Name == name }) {
			c.say("folder %s is new", name)
		}
	}
	var lsub []string
	for _, l := range u.IMAP.Lsub {
		if !slices.Contains(l.Attrs, `\Noselect`) {
			lsub = append(lsub, l.Name)
		}
	}
	slices.Sort(lsub)
	if !slices.Equal(lsub, seen.Lsub) {
		c.say("subscriptions %q, were %q", seen.Lsub, lsub)
	}
	c.pop(u.POP3)
	return c.found
}

type comparison struct {
	seen  *courier.Seen
	found []string
}

func (c *comparison) say(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

func (c *comparison) folder(f *Folder) {
	if f.NoSelect() {
		return
	}
	box, there := c.seen.Boxes[f.Name]
	if !there {
		c.say("folder %s is gone", f.Name)
		return
	}
	if f.HadUIDdb && box.UIDValidity != f.UIDValidity {
		c.say("%s: UIDVALIDITY %d, was %d", f.Name, box.UIDValidity, f.UIDValidity)
	}
	if f.HadUIDdb && box.UIDNext < uint64(f.UIDNextBefore) {
		c.say("%s: UIDNEXT %d, was %d", f.Name, box.UIDNext, f.UIDNextBefore)
	}
	if len(box.Messages) != len(f.Messages) {
		c.say("%s: %d messages, were %d", f.Name, len(box.Messages), len(f.Messages))
	}
	left := map[uint64]courier.SeenMessage{}
	for _, m := range box.Messages {
		left[m.UID] = m
	}
	for _, want := range f.Messages {
		uid := uint64(want.UID)
		if !want.Known {
			uid = c.unknown(f, &want, left)
		}
		got, ok := left[uid]
		if !ok || !want.same(got, c.seen.ByFile) {
			c.say("%s uid %d: is not message %s", f.Name, want.UID, want.File)
			continue
		}
		delete(left, uid)
		c.message(f.Name, &want, got)
	}
}

// unknown finds a message that had no UID yet.
func (c *comparison) unknown(f *Folder, want *Message, left map[uint64]courier.SeenMessage) uint64 {
	for _, uid := range slices.Sorted(maps.Keys(left)) {
		if want.same(left[uid], c.seen.ByFile) && (uid >= uint64(f.UIDNextBefore) || !f.HadUIDdb) {
			return uid
		}
	}
	return 0
}

func (m *Message) same(got courier.SeenMessage, byFile bool) bool {
	if byFile {
		return got.File == m.File && got.SHA256 == m.SHA256
	}
	return got.SHA256 == m.BodySHA256 || got.SHA256 == m.CRLFSHA256
}

func (c *comparison) message(folder string, want *Message, got courier.SeenMessage) {
	flags := []string{}
	for _, f := range want.Flags {
		if !strings.EqualFold(f, `\Recent`) {
			flags = append(flags, strings.ToLower(f))
		}
	}
	slices.Sort(flags)
	if !slices.Equal(flags, got.Flags) && len(flags)+len(got.Flags) > 0 {
		c.say("%s uid %d: flags %q, were %q", folder, want.UID, got.Flags, flags)
	}
	if want.Date != got.Date {
		c.say("%s uid %d: date %d, was %d", folder, want.UID, got.Date, want.Date)
	}
}

// pop compares promised UIDLs and their order, and where files are known that they are of the same message.
func (c *comparison) pop(want []PopMessage) {
	at := map[string]int{}
	for i, m := range c.seen.Pop {
		at[m.UIDL] = i
	}
	if len(c.seen.Pop) != len(want) {
		c.say("POP3 shows %d messages, were %d", len(c.seen.Pop), len(want))
	}
	last := -1
	for _, m := range want {
		i, there := at[m.UIDL]
		switch {
		case !m.Known:
			continue
		case !there:
			c.say("UIDL %s is gone", m.UIDL)
			continue
		case c.seen.Pop[i].File != "" && c.seen.Pop[i].File != m.File:
			c.say("UIDL %s is of message %s, was of %s", m.UIDL, c.seen.Pop[i].File, m.File)
		case i < last:
			c.say("UIDL %s comes too early", m.UIDL)
		}
		last = i
	}
}
