package search

import (
	"errors"
	"slices"
	"strings"
	"time"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/message"
	"dovetail/formats/message/titlecase"
	"dovetail/formats/parsed"
)

// What is wrong with a program, in Dovecot's words.
var (
	ErrCharset = errors.New("Unknown charset")    // BAD with BADCHARSET (RFC 5256 section 3)
	ErrKey     = errors.New("Invalid search key") // text that is not in its charset
)

// Program is a search program made ready for one mailbox and one snapshot.
type Program struct {
	root  key
	texts []*pattern // all of BODY and TEXT
	bySeq bool       // sequence numbers matter
	more  []string   // fields that keys look at and that a cache has not by itself, upper case
	need  []parsed.Key
}

// level is how much must be known of a message to tell whether a key matches.
type level uint8

const (
	ofRecord level = iota
	ofDetail
	ofHeader
	ofBody
)

// key is one key. A key that stands for several has keys; level is the lowest at which one of them can be told.
type key struct {
	op    imapwire.SearchOp
	level level
	keys  []key

	ranges []imapwire.Range // SearchSeqs: ascending sequence numbers
	flag   formats.Flags
	word   string // keyword, mailbox name, GUID; field in upper case
	number int64
	of     imapwire.DateOf
	from   int64 // dates: the start of the day as if in UTC, or the second itself
	exact  bool  // from is a moment, not a day
	text   *pattern
	how    parsed.Comparison
	in     parsed.Key // of SearchHeader, if inKeys: where what is searched may be kept
	inKeys bool
	always bool // of SearchMailbox: it is this one
}

// pattern is a text to be found.
type pattern struct {
	text   []byte // in titlecase; empty: it is never found (it holds nothing that is compared)
	header bool   // TEXT: header fields count, too
	any    bool   // was empty as given: it is in every message
	found  bool   // in the message at hand
}

// Compile makes a program ready. The error is ErrCharset or ErrKey, or about a key that cannot be.
func Compile(b *Mailbox, args *imapwire.Search) (*Program, error) {
	c := compiler{b: b, now: b.Now, p: &Program{}, given: args.Charset}
	if c.now.IsZero() {
		c.now = time.Now()
	}
	if c.given != "" && !message.KnownCharset(c.given) {
		return nil, ErrCharset
	}
	root, err := c.key(&args.Program)
	if err != nil {
		return nil, err
	}
	c.p.root = root
	return c.p, nil
}

type compiler struct {
	b     *Mailbox
	now   time.Time
	given string
	p     *Program
}

func (c *compiler) key(from *imapwire.SearchKey) (k key, err error) {
	k = key{op: from.Op, number: int64(min(from.Number, 1<<63-1)), of: from.Of}
	switch from.Op {
	case imapwire.SearchAnd, imapwire.SearchOr, imapwire.SearchNot:
		return c.several(k, from.Keys)
	case imapwire.SearchFlag:
		if flag, known := formats.ParseFlag(from.Text); known {
			k.flag = flag
		}
		k.word = from.Text
	case imapwire.SearchSeqs:
		k.ranges = c.seqs(from.Set)
		c.p.bySeq = c.p.bySeq || !from.Set.Saved
	case imapwire.SearchUIDs:
		k.op, k.ranges = imapwire.SearchSeqs, c.uids(from.Set)
	case imapwire.SearchBefore, imapwire.SearchOn, imapwire.SearchSince:
		k.level, k.from = ofDetail, from.Date.Unix()
		switch k.of {
		case imapwire.SentDate:
			k.level = ofHeader
			c.needs(parsed.SentDay)
		case imapwire.InternalDate:
			c.needs(parsed.InternalDate)
		}
	case imapwire.SearchYounger:
		k = key{op: imapwire.SearchSince, level: ofDetail, exact: true, from: c.now.Unix() - k.number}
		c.needs(parsed.InternalDate)
	case imapwire.SearchOlder: // as old as that, or older
		k = key{op: imapwire.SearchBefore, level: ofDetail, exact: true, from: c.now.Unix() - k.number + 1}
		c.needs(parsed.InternalDate)
	case imapwire.SearchLarger, imapwire.SearchSmaller:
		k.level = ofDetail
		c.needs(parsed.VirtualSize)
	case imapwire.SearchGUID:
		k.level, k.word = ofDetail, from.Text
	case imapwire.SearchMailbox:
		k.always = from.Text == c.b.Name || strings.EqualFold(from.Text, "INBOX") && strings.EqualFold(c.b.Name, "INBOX")
	case imapwire.SearchHeader:
		return c.header(k, from)
	case imapwire.SearchBody, imapwire.SearchText:
		k.level = ofBody
		k.text, err = c.text(from.Text)
		if err == nil {
			k.text.header = from.Op == imapwire.SearchText
			c.p.texts = append(c.p.texts, k.text)
		}
	}
	return k, err
}

// needs has the keys of messages read with that one.
func (c *compiler) needs(key parsed.Key) {
	if !slices.Contains(c.p.need, key) {
		c.p.need = append(c.p.need, key)
	}
}

func (c *compiler) several(k key, from []imapwire.SearchKey) (key, error) {
	k.level = ofBody
	for i := range from {
		one, err := c.key(&from[i])
		if err != nil {
			return k, err
		}
		k.level = min(k.level, one.level)
		k.keys = append(k.keys, one)
	}
	return k, nil
}

func (c *compiler) header(k key, from *imapwire.SearchKey) (_ key, err error) {
	k.level, k.word = ofHeader, strings.ToUpper(from.Header)
	if from.Named {
		k.how = parsed.Comparisons[k.word]
		if k.in, k.inKeys = parsed.Searched(k.word); k.inKeys {
			c.needs(k.in)
		}
	}
	if from.Text != "" {
		k.text, err = c.text(from.Text)
	} else {
		err = nil
	}
	if !parsed.KeptField(k.word) && !slices.Contains(c.p.more, k.word) {
		c.p.more = append(c.p.more, k.word)
	}
	return k, err
}

func (c *compiler) text(text string) (*pattern, error) {
	b, ok := []byte(text), true
	if c.given != "" {
		b, ok = message.AppendUTF8(nil, c.given, b)
	}
	if !ok {
		return nil, ErrKey
	}
	norm, valid := titlecase.Append(nil, b)
	if !valid {
		return nil, ErrKey
	}
	return &pattern{text: norm, any: text == ""}, nil
}

// seqs gives the ranges of a set of sequence numbers; "$" is UIDs. "9:*" is nothing where there are eight messages, as with
// Dovecot, though 9 is no number that may be used at all; as UIDs it is the last message.
func (c *compiler) seqs(set imapwire.Set) []imapwire.Range {
	if set.Saved {
		return c.saved()
	}
	n := c.b.View.Len()
	list := set.Resolve(n)
	if len(list) == len(set.Ranges) {
		for i, r := range set.Ranges {
			if (r.First == imapwire.Star) != (r.Last == imapwire.Star) && list[i].Last > n {
				list[i] = imapwire.Range{First: 1, Last: 0}
			}
		}
	}
	return merge(list)
}

func (c *compiler) uids(set imapwire.Set) []imapwire.Range {
	v := c.b.View
	if set.Saved {
		return c.saved()
	}
	last := uint32(0)
	if n := v.Len(); n > 0 {
		last = uint32(v.At(n).UID)
	}
	return c.ofUIDs(set.Resolve(last))
}

func (c *compiler) saved() []imapwire.Range {
	list := make([]imapwire.Range, 0, len(c.b.Saved))
	for _, r := range c.b.Saved {
		list = append(list, imapwire.Range{First: uint32(r.First), Last: uint32(r.Last)})
	}
	return c.ofUIDs(list)
}

// ofUIDs turns ranges of UIDs into ranges of sequence numbers.
func (c *compiler) ofUIDs(list []imapwire.Range) []imapwire.Range {
	for i, r := range list {
		first, _ := c.b.View.Seq(formats.UID(r.First))
		last, there := c.b.View.Seq(formats.UID(r.Last))
		if !there {
			last--
		}
		list[i] = imapwire.Range{First: first, Last: last}
	}
	return merge(list)
}
