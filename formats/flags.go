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
		return flags | c.Flags&SystemFlags, AddKeywords(had, c.Keywords)
	case RemoveFlags:
		return flags &^ (c.Flags & SystemFlags), WithoutKeywords(had, c.Keywords)
	}
	return flags&^SystemFlags | c.Flags&SystemFlags, AddKeywords(nil, c.Keywords)
}

// HasKeyword tells whether name is among keywords, in any case.
func HasKeyword(keywords []string, name string) bool {
	return slices.ContainsFunc(keywords, func(k string) bool { return strings.EqualFold(k, name) })
}

// fewKeywords is up to how many keywords are compared one by one.
const fewKeywords = 32

// keywordSet is a set of keywords that many are looked up in.
type keywordSet struct {
	list   []string
	folded map[string]bool // of many
}

func newKeywordSet(list []string) keywordSet {
	s := keywordSet{list: slices.Clip(list)}
	if len(list) > fewKeywords {
		s.fold()
	}
	return s
}

func (s *keywordSet) fold() {
	s.folded = make(map[string]bool, 2*len(s.list))
	for _, k := range s.list {
		s.folded[strings.ToLower(k)] = true
	}
}

func (s *keywordSet) has(name string) bool {
	if s.folded != nil {
		return s.folded[strings.ToLower(name)]
	}
	return HasKeyword(s.list, name)
}

// add adds a keyword that the set has not.
func (s *keywordSet) add(name string) {
	s.list = append(s.list, name)
	switch {
	case s.folded != nil:
		s.folded[strings.ToLower(name)] = true
	case len(s.list) > fewKeywords:
		s.fold()
	}
}

// AddKeywords gives the keywords of had, and behind them those of more that are not among them, in any case, each once.
// had is not changed.
func AddKeywords(had, more []string) []string {
	s := newKeywordSet(had)
	for _, k := range more {
		if !s.has(k) {
			s.add(k)
		}
	}
	return s.list
}

// WithoutKeywords gives the keywords of had that are not in gone, in any case.
func WithoutKeywords(had, gone []string) []string {
	s := newKeywordSet(gone)
	out := make([]string, 0, len(had))
	for _, k := range had {
		if !s.has(k) {
			out = append(out, k)
		}
	}
	return out
}

// SameKeywords compares two sets in any order and case.
func SameKeywords(a, b []string) bool {
	return len(a) == len(b) && len(WithoutKeywords(a, b)) == 0
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
