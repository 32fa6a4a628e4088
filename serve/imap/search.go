package imap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/serve/search"
	"dovetail/sync/watch"
)

func (s *session) search(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Search)
	if a := s.searchRefused(c, args); a != nil {
		return *a
	}
	found, err := search.Run(ctx, s.searched(), args)
	if err != nil {
		if args.Save {
			s.sel.found = nil // RFC 5182 section 2.1: what was saved before is gone
		}
		return s.searchFailed(c, err)
	}
	if a := s.results(ctx, c, args, found.Seqs); a.status != "OK" || !found.Lost {
		return a
	}
	return withCode("[EXPUNGEISSUED]", title(lastWord(c.Name))+" completed")
}

// searched is the mailbox as the session sees it.
func (s *session) searched() *search.Mailbox {
	return &search.Mailbox{Box: s.sel.box, View: s.sel.view, Cache: s.sel.box.Parsed(), Recent: s.sel.recent, Saved: s.sel.found, Name: s.sel.box.Name(),
		Tell: s.searching}
}

// searching tells how far a long search has come, at once, unless the client has not yet taken what it was told before
// (Dovecot 2.3, mail-storage-callbacks.c notify_ok).
func (s *session) searching(text string) {
	if len(s.out.Buf) == 0 {
		s.line("* OK " + text)
		s.flush()
	}
}

// searchFailed answers a search that could not be done.
func (s *session) searchFailed(c *imapwire.Command, err error) answer {
	switch {
	case errors.Is(err, search.ErrCharset):
		return no("[BADCHARSET]", err.Error())
	case errors.Is(err, search.ErrKey):
		return wrong(c, err.Error())
	case errors.Is(err, search.ErrTooMuch):
		return no("[LIMIT]", err.Error())
	}
	return s.failed(err)
}

// searchRefused checks what the grammar does not, and turns modification sequences on for who searches for them.
func (s *session) searchRefused(c *imapwire.Command, args *imapwire.Search) *answer {
	var a answer
	switch {
	case args.HasPartial && args.All:
		a = wrong(c, "PARTIAL conflicts with ALL")
	case args.Update && slices.ContainsFunc(s.updates, func(u *update) bool { return u.tag == c.Tag }):
		a = wrong(c, "Duplicate search update tag")
	case usesModSeq(&args.Program) && s.sel.noModSeqs:
		a = wrong(c, "MODSEQ can't be used with non-permanent modseqs")
	default:
		return nil
	}
	return &a
}

func usesModSeq(k *imapwire.SearchKey) bool {
	if k.Op == imapwire.SearchModSeq {
		return true
	}
	for i := range k.Keys {
		if usesModSeq(&k.Keys[i]) {
			return true
		}
	}
	return false
}

// results answers SEARCH and SORT with the messages that were found, in order, by their sequence numbers: with SEARCH or
// SORT (RFC 3501 section 7.2.5), or with ESEARCH when there was a RETURN (RFC 4731, 5182, 5267).
func (s *session) results(ctx context.Context, c *imapwire.Command, args *imapwire.Search, found []uint32) answer {
	modSeqs := usesModSeq(&args.Program)
	if modSeqs {
		if err := s.enableCondStore(ctx); err != nil {
			return s.failed(err)
		}
	}
	v := s.sel.view
	highest := formats.ModSeq(0)
	if usesModSeq(&args.Program) {
		for _, seq := range counted(args, found) {
			highest = max(highest, s.sel.modSeqOf(v.At(seq)))
		}
	}
	if args.Save {
		s.sel.found = nil
		for _, seq := range saved(args, found) {
			s.sel.found.Add(v.At(seq).UID)
		}
	}
	name := title(lastWord(c.Name))
	if !args.Return {
		s.plainResults(c, found, highest)
		return ok(name + " completed")
	}
	numbers := found
	if c.UID {
		numbers = make([]uint32, len(found))
		for i, seq := range found {
			numbers[i] = uint32(v.At(seq).UID)
		}
	}
	s.extended(c, args, numbers, highest)
	if args.Update {
		s.keepUpToDate(c, args, found)
	}
	return ok(name + " completed")
}

// uidsOf gives the UIDs of messages in whatever order.
func uidsOf(v *watch.Snapshot, seqs []uint32) (uids formats.Ranges) {
	if !slices.IsSorted(seqs) {
		seqs = slices.Sorted(slices.Values(seqs))
	}
	for _, seq := range seqs {
		uids.Add(v.At(seq).UID)
	}
	return uids
}

// saved gives the messages that "$" stands for afterwards: all that were found, or what was asked for of them (RFC 5182
// section 2.1; RFC 9394 section 3.1 for PARTIAL).
func saved(args *imapwire.Search, found []uint32) []uint32 {
	if args.All || args.Count || !args.Min && !args.Max && !args.HasPartial {
		return found
	}
	return some(args, found)
}

// counted gives the messages whose modification sequences count (RFC 7162 section 3.1.10, RFC 9394 section 3.2).
func counted(args *imapwire.Search, found []uint32) []uint32 {
	if args.HasPartial {
		return some(args, found)
	}
	return saved(args, found)
}

// some gives the first message, the last one and a range of places, as far as they were asked for.
func some(args *imapwire.Search, found []uint32) (list []uint32) {
	if args.Min && len(found) > 0 {
		list = append(list, found[0])
	}
	if args.HasPartial {
		list = append(list, places(args.Partial, found)...)
	}
	if args.Max && len(found) > 0 {
		list = append(list, found[len(found)-1])
	}
	return list
}

// places gives what stands at a range of places.
func places(r imapwire.Range, numbers []uint32) []uint32 {
	n := uint32(min(len(numbers), 1<<32-1))
	if r.First > n {
		return nil
	}
	return numbers[r.First-1 : min(r.Last, n)]
}

func lastWord(name string) string {
	if name[:min(4, len(name))] == "UID " {
		return name[4:]
	}
	return name
}

func (s *session) plainResults(c *imapwire.Command, found []uint32, highest formats.ModSeq) {
	s.out.Buf = append(append(s.out.Buf, "* "...), lastWord(c.Name)...)
	for _, seq := range found {
		n := seq
		if c.UID {
			n = uint32(s.sel.view.At(seq).UID)
		}
		s.out.Buf = strconv.AppendUint(append(s.out.Buf, ' '), uint64(n), 10)
	}
	if highest > 0 {
		s.out.Buf = fmt.Appendf(s.out.Buf, " (MODSEQ %d)", highest)
	}
	s.line("")
}

// extended writes an ESEARCH answer.
func (s *session) extended(c *imapwire.Command, args *imapwire.Search, numbers []uint32, highest formats.ModSeq) {
	if args.Save && !args.Min && !args.Max && !args.All && !args.Count && !args.HasPartial {
		return
	}
	b := append(s.out.Buf, "* ESEARCH (TAG "...)
	b = append(imapwire.AppendString(b, c.Tag), ')')
	if c.UID {
		b = append(b, " UID"...)
	}
	if n := len(numbers); n > 0 {
		if args.Min {
			b = fmt.Appendf(b, " MIN %d", numbers[0])
		}
		if args.Max {
			b = fmt.Appendf(b, " MAX %d", numbers[n-1])
		}
		if args.All {
			b = imapwire.AppendRanges(append(b, " ALL "...), inOrder(numbers))
		}
	}
	if args.HasPartial {
		b = appendPartial(b, args.Partial, numbers)
	}
	if args.Count {
		b = fmt.Appendf(b, " COUNT %d", len(numbers))
	}
	if highest > 0 {
		b = fmt.Appendf(b, " MODSEQ %d", highest)
	}
	s.out.Buf = b
	s.line("")
}

// appendPartial writes the results of a range of places (RFC 5267 section 4.4).
func appendPartial(b []byte, r imapwire.Range, numbers []uint32) []byte {
	b = fmt.Appendf(b, " PARTIAL (%d:%d ", r.First, r.Last)
	part := places(r, numbers)
	if len(part) == 0 {
		return append(b, "NIL)"...)
	}
	return append(imapwire.AppendRanges(b, inOrder(part)), ')')
}

// inOrder makes ranges of numbers in the order that they have: that of SORT matters.
func inOrder(numbers []uint32) (list []imapwire.Range) {
	for _, n := range numbers {
		list = imapwire.AddNumber(list, n)
	}
	return list
}
