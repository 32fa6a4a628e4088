package maildir

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats"
)

const courierPOP3Name = "courierpop3dsizelist"

// courierPOP3List is what Courier's POP3 server keeps for INBOX:
//
//	version 0   no header        FILENAME SIZE                 UIDL: base name, escaped
//	version 1   /1 NEXT          FILENAME SIZE UID             UID<uid>; uid 0: base name
//	version 2   /2 NEXT UIDV     FILENAME SIZE UID:UIDV        UID<uid>-<uidv>; uidv 0: UID<uid>; uid 0: base name
//	version 3   /3 NEXT UIDV     FILENAME SIZE UID:UIDV:UTF8   as version 2
//
// Verified with Courier-IMAP 4.18.2 and 5.0.13. File names may contain spaces and carry the flags of the last POP3
// session. Sizes are Courier's own sums and nobody else's.
type courierPOP3List struct {
	Version     int
	Next        uint32
	UIDValidity uint32 // its own, not IMAP's
	Records     []courierPOP3
}

// courierPOP3 is a line of the list.
type courierPOP3 struct {
	Name        string // with flags
	Size        uint64
	UID         uint32
	UIDValidity uint32
	UTF8        uint32
}

// parseCourierPOP3 reads a list of any version. Lines that are not understood and a last one without its line end are
// left out and counted.
func parseCourierPOP3(b []byte) (l courierPOP3List, skipped int, err error) {
	if bytes.HasPrefix(b, []byte{'/'}) {
		first, rest, ok := bytes.Cut(b, []byte{'\n'})
		if !ok || !l.parseHeader(first) {
			return l, 0, formats.Corrupt("%s header %q is of no known version", courierPOP3Name, clip(first))
		}
		b = rest
	}
	for line := range bytes.Lines(b) {
		line, whole := bytes.CutSuffix(line, []byte{'\n'})
		r, ok := l.parseRecord(string(line))
		if !whole || !ok {
			skipped++
			continue
		}
		l.Records = append(l.Records, r)
	}
	return l, skipped, nil
}

func (l *courierPOP3List) parseHeader(line []byte) bool {
	fields := strings.Fields(string(line[1:]))
	if len(fields) == 0 {
		return false
	}
	version, ok := number32(fields[0])
	if !ok || version < 1 || version > 3 || len(fields) < 2 || version > 1 && len(fields) < 3 {
		return false
	}
	l.Version = int(version)
	if l.Next, ok = number32(fields[1]); !ok || version == 1 {
		return ok
	}
	l.UIDValidity, ok = number32(fields[2])
	return ok
}

// parseRecord splits from the right, because the name may contain spaces.
func (l *courierPOP3List) parseRecord(line string) (r courierPOP3, ok bool) {
	rest := line
	if l.Version > 0 {
		var ids string
		if rest, ids, ok = cutLast(rest); !ok || !r.parseIDs(l.Version, ids) {
			return r, false
		}
	}
	name, size, ok := cutLast(rest)
	n, err := strconv.ParseUint(size, 10, 63)
	if !ok || err != nil || name == "" || strings.ContainsAny(name, "/\n") {
		return r, false
	}
	r.Name, r.Size = name, n
	return r, true
}

func (r *courierPOP3) parseIDs(version int, ids string) bool {
	fields := strings.Split(ids, ":")
	into := []*uint32{&r.UID, &r.UIDValidity, &r.UTF8}[:version]
	if len(fields) != len(into) {
		return false
	}
	for i, field := range fields {
		n, ok := number32(field)
		if !ok {
			return false
		}
		*into[i] = n
	}
	return true
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, ' ')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// append writes the list in its own version.
func (l *courierPOP3List) append(b []byte) []byte {
	switch l.Version {
	case 1:
		b = fmt.Appendf(b, "/1 %d\n", l.Next)
	case 2, 3:
		b = fmt.Appendf(b, "/%d %d %d\n", l.Version, l.Next, l.UIDValidity)
	}
	for _, r := range l.Records {
		b = fmt.Appendf(b, "%s %d", r.Name, r.Size)
		switch l.Version {
		case 1:
			b = fmt.Appendf(b, " %d", r.UID)
		case 2:
			b = fmt.Appendf(b, " %d:%d", r.UID, r.UIDValidity)
		case 3:
			b = fmt.Appendf(b, " %d:%d:%d", r.UID, r.UIDValidity, r.UTF8)
		}
		b = append(b, '\n')
	}
	return b
}

// base is the name that identifies the message; the POP3 server cuts at the first colon.
func (r *courierPOP3) base() string { return string(baseName([]byte(r.Name))) }

// uidl is what Courier showed for the message.
func (r *courierPOP3) uidl() string {
	switch {
	case r.UID == 0:
		return escapeUIDL(r.base())
	case r.UIDValidity == 0:
		return fmt.Sprintf("UID%d", r.UID)
	}
	return fmt.Sprintf("UID%d-%d", r.UID, r.UIDValidity)
}

// escapeUIDL writes bytes that a UIDL cannot hold, quotes and + as + and two hexadecimal digits.
func escapeUIDL(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c < 0x21 || c > 0x7e || c == '\'' || c == '"' || c == '+' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// sorted gives the records in the order in which Courier shows messages: by name. Of two lines for one file the later
// one counts.
func (l *courierPOP3List) sorted() []courierPOP3 {
	at := make(map[string]int, len(l.Records))
	var out []courierPOP3
	for _, r := range l.Records {
		if i, twice := at[r.base()]; twice {
			out[i] = r
			continue
		}
		at[r.base()] = len(out)
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b courierPOP3) int { return compareCourier([]byte(a.Name), []byte(b.Name)) })
	return out
}
