package imap

import (
	"context"
	"errors"
	"strconv"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/sync/watch"
)

func (s *session) search(_ context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Search)
	v := s.sel.view
	s.out.Buf = append(s.out.Buf, "* SEARCH"...)
	start := len(s.out.Buf)
	var failed error
	v.Each(1, v.Len(), func(seq uint32, r watch.Record) bool {
		hit, err := s.hits(&args.Program, seq, r)
		if failed = err; err != nil {
			return false
		}
		if hit {
			n := seq
			if c.UID {
				n = uint32(r.UID)
			}
			s.out.Buf = strconv.AppendUint(append(s.out.Buf, ' '), uint64(n), 10)
		}
		return true
	})
	if failed != nil {
		s.out.Buf = s.out.Buf[:start-len("* SEARCH")]
		return no("[CANNOT]", "Unsupported search key")
	}
	s.out.Buf = append(s.out.Buf, "\r\n"...)
	return ok("Search completed")
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
		return k.Set.Contains(seq, s.sel.view.Len()), nil
	case imapwire.SearchUIDs:
		return k.Set.Contains(uint32(r.UID), uint32(s.sel.view.At(s.sel.view.Len()).UID)), nil
	case imapwire.SearchModSeq:
		return uint64(r.ModSeq) >= k.Number, nil
	}
	return false, errors.ErrUnsupported
}
