package search

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/message"
	"dovetail/formats/message/titlecase"
	"dovetail/formats/parsed"
)

// criterion is one sort key made ready: a number or a text for each message.
type criterion struct {
	name    string
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

// maxTexts bounds what is held of all messages for one criterion, maxText what is compared of one.
const (
	maxTexts = 1 << 30
	maxText  = 8 << 10
)

// ErrTooMuch: what would have to be held to sort that many messages is more than a server has for one of its clients.
var ErrTooMuch = errors.New("Too many messages to be sorted by their text")

// Sort puts messages in an order (RFC 5256 section 3), in place. Those that are the same in all criteria stay in the order of
// their sequence numbers. A criterion that comes again is ignored. lost: messages were gone; they come first.
func Sort(ctx context.Context, b *Mailbox, keys []imapwire.SortKey, seqs []uint32) (lost bool, err error) {
	list := criteria(keys)
	s := newScan(ctx, b)
	defer s.end()
	for n, seq := range seqs {
		m := s.open(seq, b.View.At(seq))
		for i := range list {
			err := list[i].take(m)
			if err != nil && ctx.Err() != nil {
				return lost, ctx.Err()
			}
			if err == ErrTooMuch {
				return lost, err
			}
			lost = lost || errors.Is(err, formats.ErrNoMessage)
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return lost, ctx.Err()
		}
	}
	order := make([]uint32, len(seqs))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		for i := range list {
			if c := list[i].compare(a, b); c != 0 {
				return c
			}
		}
		return cmp.Compare(a, b)
	})
	for i, k := range order {
		order[i] = seqs[k]
	}
	copy(seqs, order)
	return lost, nil
}

// criteria drops keys that come again, as Dovecot does; the REVERSE of one that was dropped counts for the next.
func criteria(keys []imapwire.SortKey) (list []criterion) {
	left := false
	for _, k := range keys {
		left = left != k.Reverse
		if !slices.ContainsFunc(list, func(c criterion) bool { return c.name == k.Name }) {
			list = append(list, criterion{name: k.Name, reverse: left})
			left = false
		}
	}
	return list
}

func (c *criterion) compare(a, b uint32) (n int) {
	if c.numbers != nil {
		n = cmp.Compare(c.numbers[a], c.numbers[b])
	} else {
		n = bytes.Compare(c.texts.at(a), c.texts.at(b))
	}
	if c.reverse {
		return -n
	}
	return n
}

// take keeps what a message is sorted by. After an error it is 0, or an empty text.
func (c *criterion) take(m *mail) error {
	switch c.name {
	case "ARRIVAL":
		n, err := m.internal()
		c.numbers = append(c.numbers, n)
		return err
	case "SIZE":
		n, err := m.size()
		c.numbers = append(c.numbers, n)
		return err
	case "DATE":
		n, err := m.sent()
		c.numbers = append(c.numbers, n)
		return err
	}
	s := m.s
	s.upper = s.upper[:0]
	err := m.header(nil)
	if err == nil {
		if s.upper = c.appendText(m); len(s.upper) > maxText {
			s.upper = s.upper[:maxText]
		}
	}
	if len(c.texts.all)+len(s.upper) > maxTexts {
		return ErrTooMuch
	}
	c.texts.add(s.upper)
	return err
}

// sent is the date of the header, or the internal date where there is none (RFC 5256 section 2.2).
func (m *mail) sent() (int64, error) {
	if err := m.header(nil); err != nil {
		return 0, err
	}
	if m.d.Sent != 0 {
		return m.d.Sent, nil
	}
	return m.internal()
}

// first gives the first field of that name, in one line; nil if there is none.
func (m *mail) first(upper string) []byte {
	fields := m.fields()
	for i := range fields {
		if f := &fields[i]; f.Is(upper) {
			m.s.unfolded = parsed.AppendUnfolded(m.s.unfolded[:0], f.Value)
			return m.s.unfolded
		}
	}
	return nil
}

var sortFields = map[string]string{"CC": "CC", "FROM": "FROM", "TO": "TO", "DISPLAYFROM": "FROM", "DISPLAYTO": "TO"}

// appendText gives the text that a message is sorted by.
func (c *criterion) appendText(m *mail) []byte {
	dst := m.s.upper[:0]
	if c.name == "SUBJECT" {
		base, _ := message.BaseSubject(m.first("SUBJECT"))
		return append(dst, base...)
	}
	text, display := message.FirstAddress(m.first(sortFields[c.name]))
	if c.name == "DISPLAYFROM" || c.name == "DISPLAYTO" {
		text = display
	}
	dst, _ = titlecase.Append(dst, []byte(text))
	return dst
}
