package formats

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Flags are the system flags of RFC 9051 section 2.3.2. The bits are those of dovecot.index records.
type Flags uint8

// The system flags.
const (
	Answered Flags = 1 << iota
	Flagged
	Deleted
	Seen
	Draft
	Recent // only ever read: a session property in IMAP

	SystemFlags = Answered | Flagged | Deleted | Seen | Draft
)

var flagNames = []string{`\Answered`, `\Flagged`, `\Deleted`, `\Seen`, `\Draft`, `\Recent`}

// Names gives the flags as IMAP spells them, in order of their bits.
func (f Flags) Names() []string {
	names := []string{}
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

func (f Flags) String() string { return strings.Join(f.Names(), " ") }

// ParseFlag reads one system flag in any case.
func ParseFlag(name string) (Flags, bool) {
	i := slices.IndexFunc(flagNames, func(n string) bool { return strings.EqualFold(n, name) })
	if i < 0 {
		return 0, false
	}
	return 1 << i, true
}

// Apply gives the flags and keywords of a message after the change; keywords compare case-insensitively and the result
// is in the order had, then added. had is not changed.
func (c FlagChange) Apply(flags Flags, had []string) (Flags, []string) {
	switch c.Op {
	case AddFlags:
		return flags | c.Flags&SystemFlags, addKeywords(had, c.Keywords)
	case RemoveFlags:
		return flags &^ (c.Flags & SystemFlags), removeKeywords(had, c.Keywords)
	}
	return flags&^SystemFlags | c.Flags&SystemFlags, addKeywords(nil, c.Keywords)
}

// HasKeyword tells whether name is among keywords, in any case.
func HasKeyword(keywords []string, name string) bool {
	return slices.ContainsFunc(keywords, func(k string) bool { return strings.EqualFold(k, name) })
}

func addKeywords(had, more []string) []string {
	out := slices.Clip(had)
	for _, k := range more {
		if !HasKeyword(out, k) {
			out = append(out, k)
		}
	}
	return out
}

func removeKeywords(had, gone []string) []string {
	out := make([]string, 0, len(had))
	for _, k := range had {
		if !HasKeyword(gone, k) {
			out = append(out, k)
		}
	}
	return out
}

// SameKeywords compares two sets in any order and case.
func SameKeywords(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, k := range a {
		if !HasKeyword(b, k) {
			return false
		}
	}
	return true
}

// GUID is a mailbox's 128-bit identifier, in the byte order of its hexadecimal text.
type GUID [16]byte

// ParseGUID reads 32 hexadecimal digits.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	if len(s) != 32 {
		return g, fmt.Errorf("mailbox GUID %q: want 32 hexadecimal digits", s)
	}
	if _, err := hex.Decode(g[:], []byte(s)); err != nil {
		return g, fmt.Errorf("mailbox GUID %q: %w", s, err)
	}
	return g, nil
}

// IsZero tells that there is none.
func (g GUID) IsZero() bool { return g == GUID{} }

func (g GUID) String() string { return hex.EncodeToString(g[:]) }
