package parsed

import (
	"math"
	"slices"

	"dovetail/formats/message"
	"dovetail/formats/message/titlecase"
)

// Key is one of the things that messages are sorted, put into threads or found by.
type Key uint8

// The keys in the order of their columns in the file. Those up to SentDay are numbers, those before ByReferences texts.
const (
	StoredSize   Key = iota // of the message as stored
	VirtualSize             // with CRLF
	SentDate                // of the header field Date, 0 if there is no valid one
	InternalDate            // seconds since 1970, as all dates
	SavedDate
	SentDay // SentDate as the clock showed it where the message was sent, as if that were UTC

	BySubject // base subject (RFC 5256 section 2.1), in package titlecase's form like the others
	ByFrom    // mailbox of the first address
	ByTo
	ByCc
	ByDisplayFrom // what is shown of the first address (RFC 5957)
	ByDisplayTo

	// Of all fields of that name, what search keys that are named like them look at: each in the form of Comparisons and with
	// CRLF behind it.
	InSubject
	InFrom
	InTo
	InCc
	InBcc

	ByReferences // Keys.IDs

	keyCount
	numberCount = int(SentDay) + 1
	textCount   = int(ByReferences) - numberCount
)

// Unknown stands for a number that is not known.
const Unknown = math.MinInt64

// Keys are those of one message.
type Keys struct {
	numbers [numberCount]int64
	texts   [textCount][]byte

	// Reply: the subject is one of a reply or of a forwarded message.
	Reply bool

	// IDs are numbers that stand for message ids (see HashID): that of the message, 0 if it has none, then those of
	// References, or the first one of In-Reply-To if there is none (RFC 5256 section 3, REFERENCES step 1).
	IDs []uint64

	compare                               Comparer
	upper, unfolded, references, answered []byte // scratch
}

// Number gives a key that is a number.
func (k *Keys) Number(key Key) int64 { return k.numbers[key] }

// Text gives a key that is a text, valid until the Keys are filled again.
func (k *Keys) Text(key Key) []byte { return k.texts[int(key)-numberCount] }

// maxText is how much of a text counts that messages are sorted by, maxIDs how many message ids; Dovecot looks at all of
// them. A text that is searched and longer than that is not kept.
const (
	maxText = 8 << 10
	maxIDs  = 10_000
)

// tooLong stands for such a text: it is not UTF-8, and so no other text is like it.
const tooLong = "\xfe"

// Take makes the keys of a message out of what is known of it: without its header there are only numbers.
func (k *Keys) Take(d *Data) {
	k.takeNumbers(d)
	k.Reply, k.IDs = false, append(k.IDs[:0], 0)
	k.references, k.answered = k.references[:0], k.answered[:0]
	for i := range k.texts {
		k.texts[i] = k.texts[i][:0]
	}
	var found [len(keyFields)]bool
	for f := range Fields(d.Header) {
		for i, name := range keyFields {
			if !f.Is(name) {
				continue
			}
			if key := inField[i]; key != 0 {
				k.takeSearched(key, f.Value)
			}
			if !found[i] {
				found[i] = true // all else looks at the first one only
				k.takeField(i, f.Value)
			}
			break
		}
	}
	ids := message.MessageIDs(k.references)
	if len(ids) == 0 {
		ids = message.MessageIDs(k.answered)
		ids = ids[:min(len(ids), 1)]
	}
	for _, one := range ids[:min(len(ids), maxIDs)] {
		k.IDs = append(k.IDs, HashID(one))
	}
}

// keyFields are the fields that keys are made of, in upper case.
var keyFields = [...]string{"SUBJECT", "FROM", "TO", "CC", "BCC", "MESSAGE-ID", "REFERENCES", "IN-REPLY-TO"}

// inField are the keys for searching these fields.
var inField = [len(keyFields)]Key{InSubject, InFrom, InTo, InCc, InBcc}

// Searched gives the key that is searched instead of a field, by its name in upper case.
func Searched(field string) (Key, bool) {
	for i, name := range keyFields {
		if name == field && inField[i] != 0 {
			return inField[i], true
		}
	}
	return 0, false
}

func (k *Keys) takeSearched(key Key, value []byte) {
	to := &k.texts[int(key)-numberCount]
	if *to = k.compare.Append(*to, value, Comparisons[keyFields[slices.Index(inField[:], key)]]); len(*to) > maxText || string((*to)[:1]) == tooLong {
		*to = append((*to)[:0], tooLong...)
	}
}

func (k *Keys) takeField(i int, value []byte) {
	switch keyFields[i] {
	case "REFERENCES":
		k.references = AppendUnfolded(k.references, value)
		return
	case "IN-REPLY-TO":
		k.answered = AppendUnfolded(k.answered, value)
		return
	}
	k.unfolded = AppendUnfolded(k.unfolded[:0], value)
	switch keyFields[i] {
	case "SUBJECT":
		var base []byte
		base, k.Reply = message.BaseSubject(k.unfolded)
		k.set(BySubject, base)
	case "FROM":
		k.addresses(ByFrom, ByDisplayFrom)
	case "TO":
		k.addresses(ByTo, ByDisplayTo)
	case "CC":
		k.addresses(ByCc, keyCount)
	case "MESSAGE-ID":
		if ids := message.MessageIDs(k.unfolded); len(ids) > 0 {
			k.IDs[0] = HashID(ids[0])
		}
	}
}

func (k *Keys) takeNumbers(d *Data) {
	k.numbers = [numberCount]int64{d.Size, Unknown, d.Sent, Unknown, Unknown, d.Sent + 60*int64(d.SentZone)}
	if d.VirtualSize >= 0 {
		k.numbers[VirtualSize] = d.VirtualSize
	}
	if d.HasInternal {
		k.numbers[InternalDate] = d.Internal
	}
	if d.HasSaved {
		k.numbers[SavedDate] = d.Saved
	}
}

func (k *Keys) addresses(mailbox, display Key) {
	name, shown := message.FirstAddress(k.unfolded)
	k.upper, _ = titlecase.Append(k.upper[:0], []byte(name))
	k.set(mailbox, k.upper)
	if display != keyCount {
		k.upper, _ = titlecase.Append(k.upper[:0], []byte(shown))
		k.set(display, k.upper)
	}
}

func (k *Keys) set(key Key, text []byte) {
	to := &k.texts[int(key)-numberCount]
	*to = append((*to)[:0], text[:min(len(text), maxText)]...)
}

// Know tells whether all of these keys are known.
func (k *Keys) Know(need []Key) bool {
	for _, key := range need {
		switch {
		case int(key) < numberCount:
			if k.numbers[key] == Unknown {
				return false
			}
		case key < ByReferences && string(k.Text(key)) == tooLong:
			return false
		}
	}
	return true
}

// HashID gives the number, never 0, that stands for a message id (FNV-1a, its bits mixed once more). Two ids of a mailbox
// with a million may have the same number once in thirty million mailboxes. Who makes an id on purpose that has the
// number of another one gets what he gets by taking that other id: a message in a thread where it does not belong.
func HashID(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	return max(h, 1)
}
