package imap

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/sync/watch"
)

// sync tells the client what has changed since it was told last. Without expunges it is told of flags and of nothing
// that would shift its sequence numbers; new messages wait, too, if others before them are gone.
func (s *session) sync(ctx context.Context, expunges bool) {
	sel := s.sel
	now, err := sel.box.Refresh(ctx)
	if errors.Is(err, watch.ErrReplaced) {
		s.line("* BYE Mailbox was deleted under us.")
		s.end("Mailbox was deleted")
		return
	}
	if now == sel.view {
		return
	}
	c := watch.Diff(sel.view, now)
	if len(c.Expunged) > 0 && !expunges {
		return // all of it later: the numbers of the newer snapshot are not the client's
	}
	s.expunged(&c)
	sel.view = now
	if sel.newKeywords() {
		s.flagLists()
	}
	if c.Added > 0 {
		s.arrived(ctx, c.Added)
	}
	for _, seq := range c.Flags {
		s.flagsOf(seq, now.At(seq))
	}
	s.out.Line()
}

// expunged is told from the highest number down, so that no number changes before it is told.
func (s *session) expunged(c *watch.Changes) {
	for _, seq := range slices.Backward(c.Expunged) {
		s.number(seq, " EXPUNGE\r\n")
	}
}

func (s *session) number(n uint32, what string) {
	s.out.Buf = strconv.AppendUint(append(s.out.Buf, "* "...), uint64(n), 10)
	s.out.Buf = append(s.out.Buf, what...)
	s.out.Line()
}

func (s *session) arrived(ctx context.Context, added uint32) {
	sel := s.sel
	if err := sel.claimRecent(ctx); err == nil {
		now := sel.box.Snapshot()
		if c := watch.Diff(sel.view, now); c.None() {
			sel.view = now // but for what was claimed it is the same
		}
	}
	s.number(sel.view.Len(), " EXISTS\r\n")
	s.number(uint32(sel.countRecent()), " RECENT\r\n")
}

// newKeywords tells whether there are keywords that the client does not know of.
func (sel *selected) newKeywords() bool {
	for _, k := range sel.view.KeywordsInUse() {
		if !formats.HasKeyword(sel.keywords, k) {
			return true
		}
	}
	return false
}

// flagsOf tells the flags of a message.
func (s *session) flagsOf(seq uint32, r watch.Record) {
	b := strconv.AppendUint(append(s.out.Buf, "* "...), uint64(seq), 10)
	b = append(b, " FETCH (FLAGS "...)
	b = append(b, s.sel.flagText(r)...)
	s.out.Buf = append(b, ")\r\n"...)
	s.out.Line()
}

// flagText is "(\Seen work)". Messages have few different sets of flags, so each is made once.
func (sel *selected) flagText(r watch.Record) string {
	key := r.Set()
	if sel.recent.Contains(r.UID) {
		key |= 1 << 63
	}
	text, ok := sel.flags[key]
	if !ok {
		text = sel.makeFlagText(r)
		sel.flags[key] = text
	}
	return text
}

func (sel *selected) makeFlagText(r watch.Record) string {
	flags := r.Flags()
	if sel.recent.Contains(r.UID) {
		flags |= formats.Recent
	}
	b := []byte{'('}
	for i, name := range append(flags.Names(), sel.view.Keywords(r)...) {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, name...)
	}
	return string(append(b, ')'))
}

// each calls fn with the messages of a set, in ascending order, each once. Of UIDs that do not exist nothing is said; a
// sequence number beyond the last message is an error (RFC 3501 section 6.4.8 and 9).
func (s *session) each(set imapwire.Set, uids bool, fn func(seq uint32, r watch.Record) bool) *answer {
	ranges, wrong := s.ranges(set, uids)
	if wrong != nil {
		return wrong
	}
	v := s.sel.view
	for _, r := range ranges {
		going := true
		v.Each(r.First, r.Last, func(seq uint32, m watch.Record) bool {
			going = fn(seq, m)
			return going
		})
		if !going {
			return nil
		}
	}
	return nil
}

// ranges turns a set into ascending ranges of sequence numbers that do not touch.
func (s *session) ranges(set imapwire.Set, uids bool) ([]imapwire.Range, *answer) {
	v := s.sel.view
	if set.Saved {
		set, uids = savedSet(s.sel.found), true
	}
	last := v.Len()
	if uids {
		last = 0
		if v.Len() > 0 {
			last = uint32(v.At(v.Len()).UID)
		}
	}
	list := set.Resolve(last)
	if uids {
		for i, r := range list {
			first, _ := v.Seq(formats.UID(r.First))
			end, there := v.Seq(formats.UID(r.Last))
			if !there {
				end--
			}
			list[i] = imapwire.Range{First: first, Last: end}
		}
	} else {
		for _, r := range list {
			if r.Last > v.Len() {
				wrong := bad("Error in IMAP command: Invalid messageset")
				return nil, &wrong
			}
		}
	}
	return merged(list), nil
}

func savedSet(found formats.Ranges) (set imapwire.Set) {
	for _, r := range found {
		set.Ranges = append(set.Ranges, imapwire.Range{First: uint32(r.First), Last: uint32(r.Last)})
	}
	return set
}

// merged puts ranges in order and joins those that overlap; empty ones go.
func merged(list []imapwire.Range) []imapwire.Range {
	list = slices.DeleteFunc(list, func(r imapwire.Range) bool { return r.First > r.Last })
	slices.SortFunc(list, func(a, b imapwire.Range) int { return int(int64(a.First) - int64(b.First)) })
	out := list[:0]
	for _, r := range list {
		if n := len(out); n > 0 && r.First <= out[n-1].Last+1 && out[n-1].Last != 1<<32-1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}
