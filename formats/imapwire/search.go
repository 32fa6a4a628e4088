package imapwire

import (
	"math"
	"strings"
	"time"
)

// Search is SEARCH, SORT and THREAD. Text is in Charset, as it came.
type Search struct {
	Charset string // upper case; "" none given
	Program SearchKey

	Sort   []SortKey // of SORT
	Thread string    // of THREAD: the algorithm, upper case

	// Return: a RETURN list was there (RFC 4731), maybe an empty one, which means All.
	Return                                      bool
	Min, Max, All, Count, Save, Context, Update bool
	Partial                                     Range // 0:0 none (RFC 5267)
	HasPartial                                  bool
}

// SearchOp is what a search key looks at.
type SearchOp uint8

// The kinds of search keys. Flags are SearchFlag with the flag in Text; UNSEEN is the SearchNot of it.
const (
	SearchAll  SearchOp = iota + 1
	SearchAnd           // all of Keys
	SearchOr            // one of Keys, which are two or more
	SearchNot           // not Keys[0]
	SearchFlag          // system flag or keyword in Text
	SearchRecent
	SearchNew // RECENT UNSEEN
	SearchSeqs
	SearchUIDs
	SearchHeader // field Header holds Text; an empty Text: it is there
	SearchBody
	SearchText
	SearchBefore // Date; Of says which
	SearchOn
	SearchSince
	SearchLarger // Number of bytes
	SearchSmaller
	SearchYounger // Number of seconds
	SearchOlder
	SearchModSeq  // Number or above
	SearchMailbox // Dovecot's MAILBOX: the name in Text
	SearchGUID    // Dovecot's X-GUID
	SearchSaveDateSupported
)

// DateOf says which date a key compares.
type DateOf uint8

// The dates of a message.
const (
	InternalDate DateOf = iota
	SentDate            // of the header field Date
	SavedDate           // RFC 8514
)

// SearchKey is one key of a search program, or several under SearchAnd.
type SearchKey struct {
	Op     SearchOp
	Of     DateOf
	Keys   []SearchKey
	Set    Set
	Header string // as written
	Named  bool   // SearchHeader: a key of its own such as FROM, which looks at addresses, not HEADER
	Text   string
	Number uint64
	Date   time.Time // a day, midnight UTC
}

// SortKey is one criterion.
type SortKey struct {
	Name    string // ARRIVAL CC DATE FROM SIZE SUBJECT TO DISPLAYFROM DISPLAYTO RELEVANCY
	Reverse bool
}

// maxKeyDepth bounds parentheses, NOT and OR in one another. OR directly below OR, as clients write it that look for many
// things at once, and NOT below NOT do not count: "OR OR a b OR c d" is one key with four below it.
const maxKeyDepth = 200

func (d *Decoder) search() any {
	s := &Search{}
	d.space("search program")
	s.Return = d.returning(s)
	if d.err != nil {
		return nil
	}
	key := d.keyAtom()
	if key == "CHARSET" {
		d.space("charset")
		s.Charset = strings.ToUpper(d.astring("charset"))
		d.space("search program")
		key = d.keyAtom()
	}
	s.Program = d.program(key)
	return s
}

func (d *Decoder) sort() any {
	s := &Search{}
	d.space("sort program")
	s.Return = d.returning(s)
	d.list("sort key", func() {
		k := SortKey{Name: d.keyword("sort key")}
		for d.err == nil && k.Name == "REVERSE" {
			d.space("sort key")
			k = SortKey{Name: d.keyword("sort key"), Reverse: !k.Reverse}
		}
		switch k.Name {
		case "ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO":
			s.Sort = append(s.Sort, k)
		default:
			d.fail("Unknown sort argument: %s", shown(k.Name))
		}
	})
	if d.err == nil && len(s.Sort) == 0 {
		d.fail("Missing sort keys")
	}
	d.charsetAndProgram(s)
	return s
}

func (d *Decoder) thread() any {
	s := &Search{}
	d.space("threading algorithm")
	s.Thread = d.one("threading algorithm", "REFERENCES", "REFS", "ORDEREDSUBJECT")
	d.charsetAndProgram(s)
	return s
}

func (d *Decoder) charsetAndProgram(s *Search) {
	d.space("charset")
	s.Charset = strings.ToUpper(d.astring("charset"))
	d.space("search program")
	if d.err == nil {
		s.Program = d.program(d.keyAtom())
	}
}

// returning reads "RETURN (…) " if it is there.
func (d *Decoder) returning(s *Search) bool {
	if !d.followedFold("RETURN (") {
		return false
	}
	d.keyword("RETURN")
	d.space("return options")
	d.list("return option", func() { d.returnOption(s) })
	d.space("search program")
	if !s.Min && !s.Max && !s.Count && !s.Save && !s.HasPartial && !s.Context && !s.Update {
		s.All = true
	}
	return true
}

// followedFold tells whether an upper case text comes next, in any case.
func (d *Decoder) followedFold(text string) bool {
	for n := 1; n <= len(text); n++ {
		for d.end-d.pos < n {
			rest := copy(d.buf, d.buf[d.pos:d.end])
			d.pos, d.end = 0, rest
			if err := d.fill(); err != nil {
				d.err = unexpected(err)
				return false
			}
		}
		b := d.buf[d.pos+n-1]
		if b >= 'a' && b <= 'z' {
			b -= 'a' - 'A'
		}
		if b != text[n-1] {
			return false
		}
	}
	return true
}

func (d *Decoder) returnOption(s *Search) {
	switch d.one("SEARCH return option", "MIN", "MAX", "ALL", "COUNT", "SAVE", "CONTEXT", "UPDATE", "PARTIAL") {
	case "MIN":
		s.Min = true
	case "MAX":
		s.Max = true
	case "ALL":
		s.All = true
	case "COUNT":
		s.Count = true
	case "SAVE":
		s.Save = true
	case "CONTEXT":
		s.Context = true
	case "UPDATE":
		if s.Update {
			d.fail("SEARCH return options have duplicate UPDATE")
		}
		s.Update = true
	case "PARTIAL":
		if s.HasPartial {
			d.fail("PARTIAL can be used only once")
		}
		d.space("range")
		s.Partial, s.HasPartial = d.partialRange(), true
	}
}

// partialRange reads "1:500" (RFC 5267 section 5): both numbers, in any order.
func (d *Decoder) partialRange() Range {
	first := d.number("PARTIAL range")
	if !d.accept(':') && d.err == nil {
		d.fail("PARTIAL range broken")
	}
	last := d.number("PARTIAL range")
	if d.err == nil && (first == 0 || last == 0) {
		d.fail("PARTIAL range broken")
	}
	return Range{min(first, last), max(first, last)}
}

// program reads keys to the end of the line; the first word is read already.
func (d *Decoder) program(first string) SearchKey {
	all := SearchKey{Op: SearchAnd}
	for key := first; d.err == nil; key = d.keyAtom() {
		all.Keys = append(all.Keys, d.key(key, 0))
		if !d.more() {
			break
		}
	}
	return simple(all)
}

// simple takes a key out of a SearchAnd that holds it alone.
func simple(k SearchKey) SearchKey {
	if k.Op == SearchAnd && len(k.Keys) == 1 {
		return k.Keys[0]
	}
	return k
}

// keyAtom reads the word that begins a key; "" when that is a list or a set of numbers.
func (d *Decoder) keyAtom() string {
	b := d.peek()
	if d.err == nil && (b == '(' || b == '*' || b == '$' || b >= '0' && b <= '9') {
		return ""
	}
	return strings.ToUpper(d.word(isAtom, "search key"))
}

// nextWord is the word that begins the argument of a key.
func (d *Decoder) nextWord() string {
	d.space("argument")
	if d.err != nil {
		return ""
	}
	return d.keyAtom()
}

// not reads what follows NOT, and the NOTs behind it.
func (d *Decoder) not(depth int) SearchKey {
	odd := true
	word := d.nextWord()
	for ; word == "NOT" && d.err == nil; word = d.nextWord() {
		odd = !odd
	}
	k := d.key(word, depth+1)
	if odd {
		k = SearchKey{Op: SearchNot, Keys: []SearchKey{k}}
	}
	return k
}

// either reads what follows OR: two keys, of which one that is an OR stands for two again.
func (d *Decoder) either(depth int) SearchKey {
	k := SearchKey{Op: SearchOr}
	for wanted := 2; wanted > 0 && d.err == nil; {
		word := d.nextWord()
		if word == "OR" {
			wanted++
			continue
		}
		k.Keys = append(k.Keys, d.key(word, depth+1))
		wanted--
	}
	return k
}

func (d *Decoder) key(word string, depth int) SearchKey {
	switch {
	case d.err != nil:
		return SearchKey{}
	case depth > maxKeyDepth:
		d.fail("Too much nesting")
		return SearchKey{}
	case word == "" && d.peek() == '(':
		all := SearchKey{Op: SearchAnd}
		d.list("search key", func() { all.Keys = append(all.Keys, d.key(d.keyAtom(), depth+1)) })
		if d.err == nil && len(all.Keys) == 0 {
			d.fail("Empty search list")
		}
		return simple(all)
	case word == "":
		return SearchKey{Op: SearchSeqs, Set: d.set(messageSet)}
	}
	if flag, ok := flagKeys[word]; ok {
		return SearchKey{Op: SearchFlag, Text: flag}
	}
	if flag, ok := flagKeys[strings.TrimPrefix(word, "UN")]; ok {
		return SearchKey{Op: SearchNot, Keys: []SearchKey{{Op: SearchFlag, Text: flag}}}
	}
	if of, op, ok := dateKey(word); ok {
		d.space("date")
		return SearchKey{Op: op, Of: of, Date: d.date()}
	}
	return d.otherKey(word, depth)
}

var flagKeys = map[string]string{"ANSWERED": `\Answered`, "DELETED": `\Deleted`, "DRAFT": `\Draft`, "FLAGGED": `\Flagged`, "SEEN": `\Seen`}

func dateKey(word string) (of DateOf, op SearchOp, ok bool) {
	word, sent := strings.CutPrefix(word, "SENT")
	if strings.HasPrefix(word, "X-SAVED") { // Dovecot 2.3's name of it
		word = word[len("X-"):]
	}
	word, saved := strings.CutPrefix(word, "SAVED")
	switch {
	case sent && saved:
		return 0, 0, false
	case sent:
		of = SentDate
	case saved:
		of = SavedDate
	}
	switch word {
	case "BEFORE":
		return of, SearchBefore, true
	case "ON":
		return of, SearchOn, true
	case "SINCE":
		return of, SearchSince, true
	}
	return 0, 0, false
}

var numberKeys = map[string]SearchOp{"LARGER": SearchLarger, "SMALLER": SearchSmaller, "YOUNGER": SearchYounger, "OLDER": SearchOlder}

func (d *Decoder) otherKey(word string, depth int) SearchKey {
	if op, ok := numberKeys[word]; ok {
		d.space("number")
		k := SearchKey{Op: op, Number: d.number64("number")}
		if within := op == SearchYounger || op == SearchOlder; d.err == nil && within && (k.Number == 0 || k.Number > math.MaxUint32) {
			d.fail("Invalid search interval")
		}
		return k
	}
	switch word {
	case "ALL":
		return SearchKey{Op: SearchAll}
	case "RECENT":
		return SearchKey{Op: SearchRecent}
	case "NEW":
		return SearchKey{Op: SearchNew}
	case "OLD":
		return SearchKey{Op: SearchNot, Keys: []SearchKey{{Op: SearchRecent}}}
	case "SAVEDATESUPPORTED":
		return SearchKey{Op: SearchSaveDateSupported}
	case "NOT":
		return d.not(depth)
	case "OR":
		return d.either(depth)
	case "FUZZY": // as Dovecot without a full text index: it changes nothing (RFC 6203 section 4)
		return d.key(d.nextWord(), depth+1)
	case "UID":
		d.space("UID set")
		return SearchKey{Op: SearchUIDs, Set: d.set(uidSet)}
	case "MODSEQ":
		return d.modSeqKey()
	case "KEYWORD", "UNKEYWORD":
		d.space("keyword")
		k := SearchKey{Op: SearchFlag, Text: d.flag()}
		if word == "UNKEYWORD" {
			return SearchKey{Op: SearchNot, Keys: []SearchKey{k}}
		}
		return k
	}
	return d.textKey(word)
}

func (d *Decoder) textKey(word string) SearchKey {
	k := SearchKey{Op: SearchHeader, Header: word, Named: word != "HEADER"}
	switch word {
	case "BCC", "CC", "FROM", "SUBJECT", "TO":
	case "HEADER":
		d.space("header field")
		k.Header = d.astring("header field")
	case "BODY":
		k = SearchKey{Op: SearchBody}
	case "TEXT":
		k = SearchKey{Op: SearchText}
	case "MAILBOX", "X-MAILBOX":
		k = SearchKey{Op: SearchMailbox}
	case "X-GUID", "GUID":
		k = SearchKey{Op: SearchGUID}
	default:
		d.fail("Unknown argument %s", shown(word))
		return k
	}
	if d.peek() != ' ' {
		d.fail("Missing parameter for search key (for search key: %s)", word)
		return k
	}
	d.space("text")
	k.Text = d.astring("text")
	return k
}

// modSeqKey reads "MODSEQ ["/flags/\Seen" all] 1". Entries all have the same modification sequence here, so that of one
// flag is that of the message.
func (d *Decoder) modSeqKey() SearchKey {
	d.space("modification sequence")
	if d.peek() == '"' {
		entry := d.quoted()
		if d.err == nil && !strings.HasPrefix(entry, "/flags/") {
			d.fail("Unknown MODSEQ entry")
		}
		d.space("entry type")
		d.one("MODSEQ entry type", "ALL", "PRIV", "SHARED")
		d.space("modification sequence")
	}
	return SearchKey{Op: SearchModSeq, Number: d.number64("modification sequence")}
}

// date reads "1-Feb-2003", quoted or not.
func (d *Decoder) date() time.Time {
	text := d.astring("date")
	if d.err != nil {
		return time.Time{}
	}
	t, err := time.Parse("2-Jan-2006", text)
	if err != nil {
		d.fail("Invalid search date parameter")
	}
	return t
}
