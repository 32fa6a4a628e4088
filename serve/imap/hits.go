package imap

import (
	"errors"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/sync/watch"
)

// matching gives the sequence numbers of the messages that a search program finds.
func (s *session) matching(program *imapwire.SearchKey) (found []uint32, failed error) {
	v := s.sel.view
	v.Each(1, v.Len(), func(seq uint32, r watch.Record) bool {
		hit, err := s.hits(program, seq, r)
		if failed = err; err == nil && hit {
			found = append(found, seq)
		}
		return err == nil
	})
	return found, failed
}

// hits tells whether a message is what a key looks for, as far as its record tells.
func (s *session) hits(k *imapwire.SearchKey, seq uint32, r watch.Record) (bool, error) {
	switch k.Op {
	case imapwire.SearchAll:
		return true, nil
	case imapwire.SearchAnd:
		for i := range k.Keys {
			if hit, err := s.hits(&k.Keys[i], seq, r); !hit || err != nil {
				return false, err
			}
		}
		return true, nil
	case imapwire.SearchOr:
		one, err := s.hits(&k.Keys[0], seq, r)
		if one || err != nil {
			return one, err
		}
		return s.hits(&k.Keys[1], seq, r)
	case imapwire.SearchNot:
		hit, err := s.hits(&k.Keys[0], seq, r)
		return !hit, err
	case imapwire.SearchFlag:
		if f, known := formats.ParseFlag(k.Text); known {
			return r.Flags()&f != 0, nil
		}
		return formats.HasKeyword(s.sel.view.Keywords(r), k.Text), nil
	case imapwire.SearchRecent:
		return s.sel.recent.Contains(r.UID), nil
	case imapwire.SearchNew:
		return s.sel.recent.Contains(r.UID) && r.Flags()&formats.Seen == 0, nil
	case imapwire.SearchSeqs:
		if k.Set.Saved {
			return s.sel.found.Contains(r.UID), nil
		}
		return k.Set.Contains(seq, s.sel.view.Len()), nil
	case imapwire.SearchUIDs:
		if k.Set.Saved {
			return s.sel.found.Contains(r.UID), nil
		}
		return k.Set.Contains(uint32(r.UID), lastUID(s.sel.view)), nil
	case imapwire.SearchModSeq:
		return uint64(s.sel.modSeqOf(r)) >= k.Number, nil
	}
	return false, errors.ErrUnsupported
}
