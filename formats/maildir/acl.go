package maildir

import (
	"bytes"
	"strings"
)

// Files with access control lists. Courier's courierimapacl lies in every folder; courierimaphieracl/ in the root has
// one file of the same form for each name that is only a parent. Dovecot's dovecot-acl lies in every folder.
const (
	CourierACLName     = "courierimapacl"
	CourierHierACLName = "courierimaphieracl"
	DovecotACLName     = "dovecot-acl"
)

// ACLEntry is one line of an access control list.
type ACLEntry struct {
	Negative   bool     // takes rights away: "-" before the identifier
	Identifier string   // "owner", "anyone", "user=bob@example.com", "group=x", "group-override=x", "administrators", …
	Rights     string   // letters of RFC 4314, as found
	Named      []string // dovecot-acl only: rights given by their long names behind a colon
}

// ParseCourierACL reads courierimapacl or a file of courierimaphieracl: "IDENTIFIER RIGHTS" on each line, seen with
// Courier-IMAP 4.18.2 and 5.0.13. Identifiers may contain spaces; rights cannot. bad are the numbers, from 1, of lines
// that are not understood; empty ones say nothing.
func ParseCourierACL(b []byte) (entries []ACLEntry, bad []int) {
	n := 0
	for line := range bytes.Lines(b) {
		n++
		text := strings.TrimSuffix(string(line), "\n")
		if text == "" {
			continue
		}
		i := strings.LastIndexByte(text, ' ')
		id, rights := text[:max(i, 0)], text[i+1:]
		e := aclIdentifier(id)
		if i < 0 || e.Identifier == "" || !isRights(rights) {
			bad = append(bad, n)
			continue
		}
		e.Rights = rights
		entries = append(entries, e)
	}
	return entries, bad
}

func aclIdentifier(id string) (e ACLEntry) {
	e.Identifier, e.Negative = strings.CutPrefix(id, "-")
	return e
}

// isRights tells whether s consists of letters and digits; no rights at all are possible.
func isRights(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

// AppendCourierACL writes the file; entries whose identifier has a line end cannot stand in it and are left out.
func AppendCourierACL(b []byte, entries []ACLEntry) []byte {
	for _, e := range entries {
		if strings.ContainsAny(e.Identifier, "\r\n") {
			continue
		}
		b = append(appendSign(b, e), e.Identifier...)
		b = append(append(b, ' '), e.Rights...)
		b = append(b, '\n')
	}
	return b
}

func appendSign(b []byte, e ACLEntry) []byte {
	if e.Negative {
		return append(b, '-')
	}
	return b
}

// ParseDovecotACL reads dovecot-acl: "IDENTIFIER RIGHTS[:NAME NAME …]" on each line. An identifier with spaces or quotes
// stands in double quotes, with backslashes; lines beginning with # say nothing (Dovecot 2.3, src/plugins/acl,
// acl_rights_parse_line). bad are the numbers, from 1, of lines that are not understood.
func ParseDovecotACL(b []byte) (entries []ACLEntry, bad []int) {
	n := 0
	for line := range bytes.Lines(b) {
		n++
		text := strings.TrimSuffix(string(line), "\n")
		if text == "" || text[0] == '#' {
			continue
		}
		id, rest, ok := cutACLIdentifier(text)
		e := aclIdentifier(id)
		letters, named, _ := strings.Cut(rest, ":")
		e.Rights = strings.TrimRight(letters, " \t")
		if fields := strings.Fields(named); len(fields) > 0 {
			e.Named = fields
		}
		if !ok || e.Identifier == "" || !isRights(e.Rights) {
			bad = append(bad, n)
			continue
		}
		entries = append(entries, e)
	}
	return entries, bad
}

func cutACLIdentifier(text string) (id, rest string, ok bool) {
	if text[0] != '"' {
		id, rest, _ = strings.Cut(text, " ")
		return id, rest, true
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case text[i] == '"':
			rest, spaced := strings.CutPrefix(text[i+1:], " ")
			return b.String(), rest, spaced || rest == ""
		default:
			b.WriteByte(text[i])
		}
	}
	return "", "", false
}

// AppendDovecotACL writes the file; entries whose identifier has a line end are left out.
func AppendDovecotACL(b []byte, entries []ACLEntry) []byte {
	for _, e := range entries {
		if strings.ContainsAny(e.Identifier, "\r\n") {
			continue
		}
		id := string(appendSign(nil, e)) + e.Identifier
		if strings.ContainsAny(id, " \"\\#") {
			id = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(id) + `"`
		}
		b = append(append(b, id...), ' ')
		b = append(b, e.Rights...)
		if len(e.Named) > 0 {
			b = append(append(b, " :"...), strings.Join(e.Named, " ")...)
		}
		b = append(b, '\n')
	}
	return b
}
