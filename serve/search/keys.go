package search

import (
	"bytes"
	"time"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/parsed"
	"dovetail/sync/watch"
)

// verdict is what is known of a key.
type verdict uint8

const (
	unknown verdict = iota
	no
	yes
)

func is(b bool) verdict {
	if b {
		return yes
	}
	return no
}

// matches tells whether a message is what the program looks for, looking as deep as it must.
func (s *scan) matches(root *key, seq uint32, r watch.Record, p *Program) (bool, error) {
	m := s.open(seq, r)
	for depth := ofRecord; depth <= ofBody; depth++ {
		if depth == ofBody {
			if err := s.findTexts(m, p); err != nil {
				return false, err
			}
		}
		v, err := s.verdict(root, m, depth, p)
		if err != nil {
			return false, err
		}
		if v != unknown {
			return v == yes, nil
		}
	}
	return false, nil
}

// verdict tells what can be told of a key without looking deeper.
func (s *scan) verdict(k *key, m *mail, depth level, p *Program) (verdict, error) {
	if k.level > depth {
		return unknown, nil
	}
	switch k.op {
	case imapwire.SearchNot:
		v, err := s.verdict(&k.keys[0], m, depth, p)
		if v == yes {
			return no, err
		} else if v == no {
			return yes, err
		}
		return unknown, err
	case imapwire.SearchAnd:
		return s.several(k, m, depth, p, no, yes)
	case imapwire.SearchOr:
		return s.several(k, m, depth, p, yes, no)
	}
	switch k.level {
	case ofRecord:
		return is(s.ofRecord(k, m)), nil
	case ofDetail:
		b, err := s.ofDetail(k, m)
		return is(b), err
	case ofHeader:
		b, err := s.ofHeader(k, m, p)
		return is(b), err
	}
	return is(k.text.found || k.text.any), nil
}

// several gives deciding as soon as one key does, all when every key is the other way. The cheap keys come first because
// matches asks for them first.
func (s *scan) several(k *key, m *mail, depth level, p *Program, deciding, all verdict) (verdict, error) {
	result := all
	for i := range k.keys {
		v, err := s.verdict(&k.keys[i], m, depth, p)
		if err != nil || v == deciding {
			return v, err
		}
		if v == unknown {
			result = unknown
		}
	}
	return result, nil
}

func (s *scan) ofRecord(k *key, m *mail) bool {
	switch k.op {
	case imapwire.SearchAll, imapwire.SearchSaveDateSupported:
		return true
	case imapwire.SearchFlag:
		if k.flag == formats.Recent {
			return s.b.Recent.Contains(m.r.UID)
		}
		if k.flag != 0 {
			return m.r.Flags()&k.flag != 0
		}
		return formats.HasKeyword(s.b.View.Keywords(m.r), k.word)
	case imapwire.SearchRecent:
		return s.b.Recent.Contains(m.r.UID)
	case imapwire.SearchNew:
		return m.r.Flags()&formats.Seen == 0 && s.b.Recent.Contains(m.r.UID)
	case imapwire.SearchSeqs:
		return within(k.ranges, m.seq)
	case imapwire.SearchModSeq:
		modSeq := m.r.ModSeq
		if modSeq == 0 {
			modSeq = max(s.b.View.Status.HighestModSeq, 1)
		}
		return uint64(modSeq) >= uint64(k.number)
	case imapwire.SearchMailbox:
		return k.always
	}
	return false
}

func (s *scan) ofDetail(k *key, m *mail) (bool, error) {
	switch k.op {
	case imapwire.SearchLarger, imapwire.SearchSmaller:
		size, err := m.size()
		if k.op == imapwire.SearchLarger {
			return size > k.number, err
		}
		return size < k.number, err
	case imapwire.SearchGUID:
		if err := m.read(); err != nil {
			return false, err
		}
		return m.m.GUID == k.word, nil
	}
	at, err := m.internal()
	if k.of == imapwire.SavedDate {
		at, err = m.saved()
	}
	if !k.exact {
		_, offset := time.Unix(at, 0).In(s.b.zone()).Zone()
		at += int64(offset)
	}
	return compareDay(k, at), err
}

const day = 24 * 60 * 60

func compareDay(k *key, at int64) bool {
	switch k.op {
	case imapwire.SearchBefore:
		return at < k.from
	case imapwire.SearchOn:
		return at >= k.from && at < k.from+day
	}
	return at >= k.from
}

// ofHeader tells of a key that looks at header fields, or at the sent date, which is 0 in a message without one (Dovecot
// finds such messages before any day: index-search.c search_arg_match_cached).
func (s *scan) ofHeader(k *key, m *mail, p *Program) (bool, error) {
	if keys := m.keys(); keys != nil {
		switch {
		case k.op != imapwire.SearchHeader:
			return compareDay(k, keys.Number(parsed.SentDay)), nil
		case k.inKeys:
			text := keys.Text(k.in)
			return len(text) > 0 && (k.text == nil || len(k.text.text) > 0 && bytes.Contains(text, k.text.text)), nil
		}
	}
	if k.op != imapwire.SearchHeader {
		err := m.header(nil)
		return compareDay(k, m.d.Sent+int64(m.d.SentZone)*60), err
	}
	if err := m.header(p.more); err != nil {
		return false, err
	}
	return s.inFields(k, m), nil
}

// inFields tells whether the fields that a key names hold its text. As in Dovecot they are one text with CRLF behind each.
func (s *scan) inFields(k *key, m *mail) bool {
	s.upper = s.upper[:0]
	fields := m.fields()
	for i := range fields {
		f := &fields[i]
		if !f.Is(k.word) {
			continue
		}
		if k.text == nil {
			return true
		}
		s.upper = s.compare.Append(s.upper, f.Value, k.how)
	}
	return k.text != nil && len(k.text.text) > 0 && bytes.Contains(s.upper, k.text.text)
}
