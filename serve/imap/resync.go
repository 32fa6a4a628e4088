package imap

import (
	"context"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/sync/watch"
)

// resync tells a client that comes back what happened to the messages that it knows (RFC 7162 section 3.2.5): which of
// them are gone, and how those are now that have changed.
func (s *session) resync(ctx context.Context, q *imapwire.QResync) error {
	known := knownUIDs(q.Known)
	if err := s.vanished(ctx, known, formats.ModSeq(q.ModSeq), q); err != nil {
		return err
	}
	v := s.sel.view
	v.Each(1, v.Len(), func(seq uint32, r watch.Record) bool {
		if s.sel.modSeqOf(r) > formats.ModSeq(q.ModSeq) && known.Contains(r.UID) {
			b := append(s.startFetch(seq, r, true), "FLAGS "...)
			b = append(append(b, s.sel.flagText(r)...), ' ')
			s.out.Buf = append(append(b, s.modSeq(r)...), ")\r\n"...)
			s.out.Line()
		}
		return true
	})
	s.sel.fetched = 0
	return nil
}

// knownUIDs of a client that names none are all.
func knownUIDs(set imapwire.Set) (known formats.Ranges) {
	if len(set.Ranges) == 0 {
		known.AddRange(1, 1<<32-1)
	}
	for _, r := range set.Ranges {
		known.AddRange(formats.UID(r.First), formats.UID(r.Last))
	}
	return known
}

// vanished tells which of some UIDs were expunged since a modification sequence. Where the mailbox does not remember that
// far back, it is all that do not exist: a client is never wrong to be told again. q may be nil.
func (s *session) vanished(ctx context.Context, known formats.Ranges, since formats.ModSeq, q *imapwire.QResync) error {
	v := s.sel.view
	var gone formats.Ranges
	complete := false
	if h, ok := s.sel.box.Mailbox.(formats.Historian); ok {
		uids, all, err := h.Expunged(ctx, since)
		if err != nil {
			return err
		}
		if complete = all; all {
			gone = uids
		}
	}
	if !complete {
		gone = absent(v, firstUnsure(v, q))
	}
	tell := intersection(intersection(gone, known), absent(v, 1))
	if len(tell) > 0 {
		s.line("* VANISHED (EARLIER) " + tell.String())
	}
	return nil
}

// firstUnsure is the first UID that may be gone without the client's knowledge: behind the last pair of its sequence
// numbers and UIDs that is still true, nothing before it can be (RFC 7162 section 3.2.5.2).
func firstUnsure(v *watch.Snapshot, q *imapwire.QResync) formats.UID {
	if q == nil {
		return 1
	}
	first := formats.UID(1)
	seqs, uids := numbers(q.Seqs), numbers(q.UIDs)
	for {
		seq, ok := seqs()
		uid, both := uids()
		if !ok || !both || seq > v.Len() || v.At(seq).UID != formats.UID(uid) {
			return first
		}
		first = formats.UID(uid) + 1
	}
}

// numbers gives the numbers of a set one by one.
func numbers(set imapwire.Set) func() (uint32, bool) {
	i, at := 0, uint32(0)
	return func() (uint32, bool) {
		if i == len(set.Ranges) {
			return 0, false
		}
		r := set.Ranges[i]
		if at == 0 {
			at = r.First
		}
		n := at
		if at++; n >= r.Last {
			i, at = i+1, 0
		}
		return n, true
	}
}

// absent gives the UIDs from first on, below UIDNEXT, that no message has.
func absent(v *watch.Snapshot, first formats.UID) (gone formats.Ranges) {
	next := first
	from, _ := v.Seq(first)
	v.Each(from, v.Len(), func(_ uint32, r watch.Record) bool {
		if r.UID > next {
			gone.AddRange(next, r.UID-1)
		}
		next = r.UID + 1
		return true
	})
	if next < v.Status.UIDNext {
		gone.AddRange(next, v.Status.UIDNext-1)
	}
	return gone
}

// intersection is what is in both sets.
func intersection(a, b formats.Ranges) (both formats.Ranges) {
	for i, k := 0, 0; i < len(a) && k < len(b); {
		first, last := max(a[i].First, b[k].First), min(a[i].Last, b[k].Last)
		if first <= last {
			both.AddRange(first, last)
		}
		if a[i].Last < b[k].Last {
			i++
		} else {
			k++
		}
	}
	return both
}
