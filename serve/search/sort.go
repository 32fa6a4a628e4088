package search

import (
	"context"
	"errors"
	"slices"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/parsed"
)

// criterion is one sort key made ready: a number or a text for each message.
type criterion struct {
	name    string
	key     parsed.Key // of a text
	reverse bool
	numbers []int64
	texts   texts
}

// texts are many short texts in one piece.
type texts struct {
	all  []byte
	ends []uint32
}

func (t *texts) add(b []byte) {
	t.all = append(t.all, b...)
	t.ends = append(t.ends, uint32(len(t.all)))
}

func (t *texts) at(i uint32) []byte {
	start := uint32(0)
	if i > 0 {
		start = t.ends[i-1]
	}
	return t.all[start:t.ends[i]]
}

// maxTexts bounds what is held of all messages for one criterion.
const maxTexts = 256 << 20

// ErrTooMuch: what would have to be held to sort that many messages is more than a server has for one of its clients.
var ErrTooMuch = errors.New("Too many messages to be sorted by their text")

// Sort puts messages in an order (RFC 5256 section 3), in place. Those that are the same in all criteria stay in the order of
// their sequence numbers. A criterion that comes again is ignored. lost: messages were gone; they come first.
func Sort(ctx context.Context, b *Mailbox, keys []imapwire.SortKey, seqs []uint32) (lost bool, err error) {
	list := criteria(keys)
	if lost, err = take(ctx, b, list, seqs); err != nil {
		return lost, err
	}
	sorted := make([]uint32, len(seqs))
	for i, place := range inOrder(list, len(seqs)) {
		sorted[i] = seqs[place.of]
	}
	copy(seqs, sorted)
	return lost, nil
}

// take has criteria take what messages are sorted by.
func take(ctx context.Context, b *Mailbox, list []criterion, seqs []uint32) (lost bool, err error) {
	var need []parsed.Key
	for i := range list {
		need = append(need, list[i].needs()...)
		list[i].makeRoom(len(seqs))
	}
	k := newKeyed(ctx, b, need...)
	defer k.end()
	for n, seq := range seqs {
		keys, err := k.of(seq, b.View.At(seq))
		if n%1024 == 0 || err != nil {
			if ctx.Err() != nil {
				return lost, ctx.Err()
			}
			lost = lost || errors.Is(err, formats.ErrNoMessage)
		}
		for i := range list {
			if !list[i].add(keys) {
				return lost, ErrTooMuch
			}
		}
	}
	return lost, nil
}

// criteria drops keys that come again, as Dovecot does; the REVERSE of one that was dropped counts for the next.
func criteria(keys []imapwire.SortKey) (list []criterion) {
	left := false
	for _, k := range keys {
		left = left != k.Reverse
		if !slices.ContainsFunc(list, func(c criterion) bool { return c.name == k.Name }) {
			list = append(list, criterion{name: k.Name, key: sortTexts[k.Name], reverse: left})
			left = false
		}
	}
	return list
}

// sortTexts are the texts that criteria sort by; the others are numbers.
var sortTexts = map[string]parsed.Key{
	"SUBJECT": parsed.BySubject, "FROM": parsed.ByFrom, "TO": parsed.ByTo, "CC": parsed.ByCc, "DISPLAYFROM": parsed.ByDisplayFrom,
	"DISPLAYTO": parsed.ByDisplayTo,
}

// needs gives the keys that a criterion takes.
func (c *criterion) needs() []parsed.Key {
	switch c.name {
	case "ARRIVAL":
		return []parsed.Key{parsed.InternalDate}
	case "SIZE":
		return []parsed.Key{parsed.VirtualSize}
	case "DATE":
		return []parsed.Key{parsed.SentDate, parsed.InternalDate}
	}
	return []parsed.Key{sortTexts[c.name]}
}

// usualText is how long texts mostly are.
const usualText = 32

// makeRoom is for n messages.
func (c *criterion) makeRoom(n int) {
	if _, ok := sortTexts[c.name]; ok {
		c.texts = texts{make([]byte, 0, n*usualText), make([]uint32, 0, n)}
	} else {
		c.numbers = make([]int64, 0, n)
	}
}

// add keeps what the next message is sorted by; false when that is too much.
func (c *criterion) add(k *parsed.Keys) bool {
	switch c.name {
	case "ARRIVAL":
		c.numbers = append(c.numbers, number(k, parsed.InternalDate))
		return true
	case "SIZE":
		c.numbers = append(c.numbers, number(k, parsed.VirtualSize))
		return true
	case "DATE":
		c.numbers = append(c.numbers, sentOrArrived(k))
		return true
	}
	text := k.Text(c.key)
	c.texts.add(text)
	return len(c.texts.all) <= maxTexts
}
