package imap

import (
	"context"
	"slices"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/serve/search"
	"dovetail/sync/watch"
)

// maxUpdates is how many searches of a session are kept up to date: Dovecot's CLIENT_MAX_SEARCH_UPDATES.
const maxUpdates = 10

// update is a search whose result is kept up to date (CONTEXT=SEARCH, RFC 5267).
type update struct {
	tag   string
	uid   bool
	args  *imapwire.Search
	saved formats.Ranges  // what "$" was
	view  *watch.Snapshot // for which found is right
	found formats.Ranges  // what the client knows of the result
}

// keepUpToDate has the client told of changes of a result from now on.
func (s *session) keepUpToDate(c *imapwire.Command, args *imapwire.Search, found []uint32) {
	if len(s.updates) >= maxUpdates {
		s.out.Buf = imapwire.AppendQuoted(append(s.out.Buf, "* NO [NOUPDATE "...), c.Tag)
		s.line("]")
		return
	}
	u := &update{tag: c.Tag, uid: c.UID, args: args, saved: s.sel.found, view: s.sel.view}
	u.found = uidsOf(u.view, found)
	s.updates = append(s.updates, u)
}

// withdraw tells which results are about to be expunged, as long as they have sequence numbers.
func (s *session) withdraw(gone formats.Ranges) {
	for _, u := range s.updates {
		lost := intersection(u.found, gone)
		u.found = without(u.found, lost)
		s.tellUpdate(u, lost, nil)
	}
}

// refreshUpdates looks which results have changed. Only messages that have changed are looked at again, unless the search
// is about sequence numbers: of the others the answer is the same.
func (s *session) refreshUpdates(ctx context.Context) {
	for _, u := range s.updates {
		changes := watch.Diff(u.view, s.sel.view)
		if changes.None() {
			continue
		}
		b := s.searched()
		b.Saved = u.saved
		result, again, err := search.Again(ctx, b, u.args, &changes)
		if err != nil {
			continue // it is tried again with the next change
		}
		now := without(without(u.found, changes.ExpungedUIDs), again)
		for _, seq := range result.Seqs {
			now.Add(s.sel.view.At(seq).UID)
		}
		removed, added := without(u.found, now), without(now, u.found)
		u.found, u.view = now, s.sel.view
		s.tellUpdate(u, removed, added)
	}
}

// tellUpdate writes what has changed of a result (RFC 5267 section 4.3.1); places are not counted, which is 0.
func (s *session) tellUpdate(u *update, removed, added formats.Ranges) {
	if len(removed) == 0 && len(added) == 0 {
		return
	}
	b := append(s.out.Buf, "* ESEARCH (TAG "...)
	b = append(imapwire.AppendString(b, u.tag), ')')
	if u.uid {
		b = append(b, " UID"...)
	}
	for _, part := range []struct {
		name string
		uids formats.Ranges
	}{{" REMOVEFROM (0 ", removed}, {" ADDTO (0 ", added}} {
		if len(part.uids) > 0 {
			b = imapwire.AppendRanges(append(b, part.name...), s.numbered(part.uids, u.uid))
			b = append(b, ')')
		}
	}
	s.out.Buf = b
	s.line("")
}

// numbered gives UIDs as they are, or as sequence numbers.
func (s *session) numbered(uids formats.Ranges, asUIDs bool) (list []imapwire.Range) {
	for _, r := range uids {
		if asUIDs {
			list = append(list, imapwire.Range{First: uint32(r.First), Last: uint32(r.Last)})
			continue
		}
		first, _ := s.sel.view.Seq(r.First)
		s.sel.view.Each(first, s.sel.view.Len(), func(seq uint32, m watch.Record) bool {
			if m.UID > r.Last {
				return false
			}
			list = imapwire.AddNumber(list, seq)
			return true
		})
	}
	return list
}

// without is what is in a and not in b.
func without(a, b formats.Ranges) (rest formats.Ranges) {
	for _, r := range a {
		next := uint64(r.First)
		for _, hole := range intersection(formats.Ranges{r}, b) {
			if next < uint64(hole.First) {
				rest.AddRange(formats.UID(next), hole.First-1)
			}
			next = uint64(hole.Last) + 1
		}
		if next <= uint64(r.Last) {
			rest.AddRange(formats.UID(next), r.Last)
		}
	}
	return rest
}

// cancelUpdate ends the updates of searches, by their tags.
func (s *session) cancelUpdate(_ context.Context, c *imapwire.Command) answer {
	for _, tag := range c.Args.(*imapwire.Cancel).Tags {
		i := slices.IndexFunc(s.updates, func(u *update) bool { return u.tag == tag })
		if i < 0 {
			return no("", "Unknown tag")
		}
		s.updates = slices.Delete(s.updates, i, i+1)
	}
	return ok("Updates cancelled")
}
