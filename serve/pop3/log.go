package pop3

import (
	"fmt"
	"hash/crc32"
	"strings"
)

// counters are what the line about the end of a session tells (pop3_logout_format).
type counters struct {
	tops, retrieved          int
	topBytes, retrievedBytes int64
}

// statistics is pop3_logout_format.
func (s *session) statistics() string {
	d := s.drop
	if d == nil {
		d = &maildrop{s: s}
	}
	deleted, deletedBytes := 0, int64(0)
	if d.succeeded {
		deleted, deletedBytes = d.deleted, d.deletedBytes
	}
	value := func(name string) any {
		switch name {
		case "p", "top_bytes":
			return s.count.topBytes
		case "t", "top_count":
			return s.count.tops
		case "b", "retr_bytes":
			return s.count.retrievedBytes
		case "r", "retr_count":
			return s.count.retrieved
		case "d", "deleted_count":
			return deleted
		case "deleted_bytes":
			return deletedBytes
		case "m", "message_count":
			return len(d.messages)
		case "s", "message_bytes":
			return d.total
		case "i", "input":
			return s.c.In.Load()
		case "o", "output":
			return s.c.Out.Load()
		case "u", "uidl_change":
			return d.changed()
		}
		return nil
	}
	text, err := s.o.LogoutFormat.Expand(func(name string) (string, error) {
		if v := value(name); v != nil {
			return fmt.Sprint(v), nil
		}
		r := s.c.Request("")
		r.User = s.name
		return r.Variable(name)
	})
	if err != nil {
		return fmt.Sprintf("in=%d out=%d", s.c.In.Load(), s.c.Out.Load())
	}
	return strings.TrimSpace(text)
}

// changed tells how the UIDLs of this session differ from those that an earlier session has probably left: a count and a
// checksum of each, so that one who reads the log sees when all of them are new (src/pop3/pop3-client.c,
// client_build_uidl_change_string).
func (d *maildrop) changed() string {
	if d.uidls == nil {
		return ""
	}
	before := len(d.messages)
	if d.lowest > 0 {
		before = d.lowest - 1
	}
	var old, now uint32
	for i, id := range d.uidls {
		sum := crc32.ChecksumIEEE([]byte(id))
		if i < before {
			old ^= sum
		}
		if !d.messages[i].deleted {
			now ^= sum
		}
	}
	after := len(d.messages) - d.deleted
	if old == now && before == after {
		return fmt.Sprintf("%d/%08x", before, old)
	}
	return fmt.Sprintf("%d/%08x -> %d/%08x", before, old, after, now)
}
