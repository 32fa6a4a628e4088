package search

import (
	"context"

	"dovetail/formats/parsed"
	"dovetail/sync/watch"
)

// keyed gives the keys of messages: from the cache, or made of the message and put there.
type keyed struct {
	s      *scan
	header bool // a key is made of the header
	date   bool // the internal date is needed
	size   bool // the size is
}

func newKeyed(ctx context.Context, b *Mailbox, need ...parsed.Key) *keyed {
	k := &keyed{s: newScan(ctx, b, need...)}
	for _, key := range need {
		switch key {
		case parsed.InternalDate:
			k.date = true
		case parsed.VirtualSize:
			k.size = true
		default:
			k.header = true
		}
	}
	return k
}

// of gives the keys of a message until the next call. After an error it is those that are known all the same.
func (k *keyed) of(seq uint32, r watch.Record) (*parsed.Keys, error) {
	m := k.s.open(seq, r)
	if keys := m.keys(); keys != nil {
		return keys, nil
	}
	var failed error
	note := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	if k.header {
		note(m.header(nil))
	}
	if k.date {
		_, err := m.internal()
		note(err)
	}
	if k.size {
		_, err := m.size()
		note(err)
	}
	return m.makeKeys(), failed
}

// end gives everything back.
func (k *keyed) end() { k.s.end() }

// number gives a key that is a number, 0 where it is not known.
func number(k *parsed.Keys, key parsed.Key) int64 {
	if n := k.Number(key); n != parsed.Unknown {
		return n
	}
	return 0
}

// sentOrArrived is the date of the header, or the internal date where there is none (RFC 5256 section 2.2).
func sentOrArrived(k *parsed.Keys) int64 {
	if n := k.Number(parsed.SentDate); n != 0 && n != parsed.Unknown {
		return n
	}
	return number(k, parsed.InternalDate)
}
