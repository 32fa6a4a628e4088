package imapwire

import (
	"math"
	"strings"
)

// Fetch is FETCH.
type Fetch struct {
	Set   Set
	Items []FetchItem

	// ChangedSince leaves out what has no higher modification sequence; Vanished asks for expunged UIDs, too (RFC 7162).
	ChangedSince    uint64
	HasChangedSince bool
	Vanished        bool
}

// FetchKind is what is fetched.
type FetchKind uint8

// The kinds of FETCH items.
const (
	FetchFlags FetchKind = iota + 1
	FetchUID
	FetchInternalDate
	FetchSaveDate
	FetchEnvelope
	FetchBodyStructure
	FetchBody // the structure without extensions
	FetchSize
	FetchModSeq
	FetchSection      // BODY[…] and RFC822…
	FetchBinary       // BINARY[…]
	FetchBinarySize   // BINARY.SIZE[…]
	FetchPreview      // PREVIEW
	FetchSnippet      // SNIPPET, as Dovecot had it before PREVIEW
	FetchGUID         // X-GUID, Dovecot's
	FetchMailboxName  // X-MAILBOX, Dovecot's
	FetchRealUID      // X-REAL-UID, Dovecot's
	FetchSaveDateUnix // X-SAVEDATE, Dovecot's
)

// FetchItem is one thing that is fetched.
type FetchItem struct {
	Kind    FetchKind
	Name    string   // the name in the answer: "FLAGS", "RFC822.HEADER"; of a section without its brackets
	Section *Section // of FetchSection, FetchBinary, FetchBinarySize
	Lazy    bool     // of FetchPreview and FetchSnippet: only what is known already
	Fuzzy   bool     // of these: the answer names the algorithm, as before RFC 8970
}

// Specifier is which text of a part a section is.
type Specifier uint8

// The texts of a part.
const (
	Whole Specifier = iota
	Header
	HeaderFields
	HeaderFieldsNot
	MIME
	Text
)

var specifiers = [...]string{"", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "MIME", "TEXT"}

// Section is a part of a message, or of its text (section, RFC 9051 section 6.4.5).
type Section struct {
	Part      []uint32 // numbers of parts; empty: the message
	Specifier Specifier
	Fields    []string // header fields, as written
	Peek      bool     // \Seen is not set

	// Partial: bytes from Offset on, at most Length.
	Partial        bool
	Offset, Length uint64
}

// Append writes what stands in the brackets, "1.2.HEADER.FIELDS (From)", and "<0>" of a partial section behind them.
func (s *Section) Append(dst []byte) []byte {
	dst = append(dst, '[')
	for i, n := range s.Part {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = appendNumber(dst, n)
	}
	if s.Specifier != Whole && len(s.Part) > 0 {
		dst = append(dst, '.')
	}
	dst = append(dst, specifiers[s.Specifier]...)
	if s.Specifier == HeaderFields || s.Specifier == HeaderFieldsNot {
		dst = append(dst, " ("...)
		for i, f := range s.Fields {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = AppendAString(dst, f)
		}
		dst = append(dst, ')')
	}
	dst = append(dst, ']')
	if s.Partial {
		dst = append(dst, '<')
		dst = AppendUint(dst, s.Offset)
		dst = append(dst, '>')
	}
	return dst
}

var fetchNames = map[string]FetchKind{
	"FLAGS": FetchFlags, "UID": FetchUID, "INTERNALDATE": FetchInternalDate, "SAVEDATE": FetchSaveDate, "ENVELOPE": FetchEnvelope,
	"BODYSTRUCTURE": FetchBodyStructure, "RFC822.SIZE": FetchSize, "MODSEQ": FetchModSeq, "PREVIEW": FetchPreview,
	"SNIPPET": FetchSnippet, "X-GUID": FetchGUID, "X-MAILBOX": FetchMailboxName, "X-REAL-UID": FetchRealUID,
	"X-SAVEDATE": FetchSaveDateUnix, "BODY": FetchBody,
}

var fetchMacros = map[string][]string{
	"ALL":  {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"},
	"FAST": {"FLAGS", "INTERNALDATE", "RFC822.SIZE"},
	"FULL": {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"},
}

func (d *Decoder) fetch() any {
	d.space("arguments")
	f := &Fetch{Set: d.set(messageSet)}
	d.space("FETCH items")
	if d.peek() == '(' {
		d.list("FETCH item", func() { f.Items = d.fetchItem(f.Items, false) })
		if d.err == nil && len(f.Items) == 0 {
			d.fail("Missing FETCH items")
		}
	} else {
		f.Items = d.fetchItem(nil, true)
	}
	if d.more() {
		d.list("FETCH modifier", func() { d.fetchModifier(f) })
	}
	if d.err == nil && f.Vanished && !f.HasChangedSince {
		d.fail("VANISHED used without CHANGEDSINCE")
	}
	return f
}

func (d *Decoder) fetchModifier(f *Fetch) {
	switch d.one("FETCH modifier", "CHANGEDSINCE", "VANISHED") {
	case "CHANGEDSINCE":
		d.space("modification sequence")
		f.ChangedSince, f.HasChangedSince = d.number64("modification sequence"), true
	case "VANISHED":
		f.Vanished = true
	}
}

// fetchItem reads an item. A macro is one when it stands alone (RFC 3501 section 6.4.5).
func (d *Decoder) fetchItem(items []FetchItem, alone bool) []FetchItem {
	word := d.fetchWord()
	if d.err != nil {
		return items
	}
	if macro, ok := fetchMacros[word]; ok && alone {
		for _, name := range macro {
			items = append(items, FetchItem{Kind: fetchNames[name], Name: name})
		}
		return items
	}
	item := FetchItem{Kind: fetchNames[word], Name: word}
	switch word {
	case "BODY", "BODY.PEEK":
		if d.peek() != '[' && word == "BODY" {
			break
		}
		item.Kind, item.Name, item.Section = FetchSection, "BODY", d.section(word == "BODY.PEEK")
	case "BINARY", "BINARY.PEEK", "BINARY.SIZE":
		item.Kind, item.Section = FetchBinary, d.section(word != "BINARY")
		if item.Name = "BINARY"; word == "BINARY.SIZE" {
			item.Kind, item.Name = FetchBinarySize, word
		}
		if d.err == nil && (item.Section.Specifier != Whole || item.Kind == FetchBinarySize && item.Section.Partial) {
			d.fail("Invalid %s section", word)
		}
	case "RFC822", "RFC822.HEADER", "RFC822.TEXT":
		item.Kind, item.Section = FetchSection, rfc822[word]
	case "PREVIEW", "SNIPPET":
		item.Lazy, item.Fuzzy = d.lazy()
		item.Fuzzy = item.Fuzzy || word == "SNIPPET"
	}
	if item.Kind == 0 {
		d.fail("Unknown parameter: %s", shown(word))
		return items
	}
	return append(items, item)
}

var rfc822 = map[string]*Section{"RFC822": {}, "RFC822.HEADER": {Specifier: Header, Peek: true}, "RFC822.TEXT": {Specifier: Text}}

// fetchWord reads a name up to a bracket.
func (d *Decoder) fetchWord() string {
	var word []byte
	for b := d.peek(); d.err == nil && classes[b]&isAtom != 0 && b != '[' && b != '<'; b = d.peek() {
		word = append(word, b)
		d.skip()
	}
	if len(word) == 0 {
		d.missing("FETCH item")
	}
	return strings.ToUpper(string(word))
}

// lazy reads "(LAZY)", with the algorithm FUZZY that older drafts had.
func (d *Decoder) lazy() (lazy, fuzzy bool) {
	if d.peek() != ' ' || d.err != nil {
		return false, false
	}
	// A list behind the item belongs to it; anything else is the next item.
	if !d.followed(" (") {
		return false, false
	}
	d.skip()
	d.list("PREVIEW modifier", func() {
		word := d.one("PREVIEW modifier", "LAZY", "FUZZY", "LAZY=FUZZY")
		lazy = lazy || strings.HasPrefix(word, "LAZY")
		fuzzy = fuzzy || strings.HasSuffix(word, "FUZZY")
	})
	if d.err == nil && !lazy && !fuzzy {
		d.fail("Missing PREVIEW modifier")
	}
	return lazy, fuzzy
}

// followed tells whether these few bytes come next.
func (d *Decoder) followed(text string) bool {
	for d.end-d.pos < len(text) {
		rest := copy(d.buf, d.buf[d.pos:d.end])
		d.pos, d.end = 0, rest
		if err := d.fill(); err != nil {
			return false
		}
	}
	return string(d.buf[d.pos:d.pos+len(text)]) == text
}

func (d *Decoder) section(peek bool) *Section {
	s := &Section{Peek: peek}
	if !d.accept('[') {
		d.fail("Missing '['")
		return s
	}
	for d.peek() >= '0' && d.peek() <= '9' {
		n := d.number("section")
		if n == 0 {
			d.fail("Invalid section")
		}
		s.Part = append(s.Part, n)
		if !d.accept('.') {
			break
		}
		if b := d.peek(); b == ']' {
			d.fail("Invalid section")
		}
	}
	if d.peek() != ']' {
		d.specifier(s)
	}
	if !d.accept(']') {
		d.fail("Missing ']'")
	}
	if d.accept('<') {
		d.partial(s)
	}
	return s
}

func (d *Decoder) specifier(s *Section) {
	word := d.fetchWord()
	for i, name := range specifiers {
		if i > 0 && name == word {
			s.Specifier = Specifier(i)
		}
	}
	switch {
	case d.err != nil:
	case s.Specifier == Whole, s.Specifier == MIME && len(s.Part) == 0:
		d.fail("Invalid section")
	case s.Specifier == HeaderFields || s.Specifier == HeaderFieldsNot:
		d.space("header fields")
		d.list("header field", func() { s.Fields = append(s.Fields, d.astring("header field")) })
		if d.err == nil && len(s.Fields) == 0 {
			d.fail("Missing header fields")
		}
	}
}

func (d *Decoder) partial(s *Section) {
	s.Partial = true
	s.Offset, s.Length = d.number64("offset"), math.MaxInt64
	if d.accept('.') {
		s.Length = d.number64("length")
		if d.err == nil && s.Length == 0 {
			d.fail("Invalid partial length")
		}
	}
	if !d.accept('>') {
		d.fail("Missing '>'")
	}
}

// Store is STORE.
type Store struct {
	Set       Set
	Op        byte // '+', '-', or '=' for FLAGS alone
	Silent    bool
	Flags     []string
	Unchanged uint64 // UNCHANGEDSINCE (RFC 7162)
	// HasUnchanged: 0 is a value, too.
	HasUnchanged bool
}

func (d *Decoder) store() any {
	d.space("arguments")
	s := &Store{Set: d.set(messageSet), Op: '='}
	d.space("STORE item")
	if d.peek() == '(' {
		d.list("STORE modifier", func() {
			d.one("STORE modifier", "UNCHANGEDSINCE")
			d.space("modification sequence")
			s.Unchanged, s.HasUnchanged = d.number64("modification sequence"), true
		})
		d.space("STORE item")
	}
	if b := d.peek(); b == '+' || b == '-' {
		s.Op = b
		d.skip()
	}
	s.Silent = d.one("STORE item", "FLAGS", "FLAGS.SILENT") == "FLAGS.SILENT"
	d.space("flags")
	if d.peek() == '(' {
		s.Flags = d.flags()
		return s
	}
	for s.Flags = []string{d.flag()}; d.more(); {
		s.Flags = append(s.Flags, d.flag())
	}
	return s
}
