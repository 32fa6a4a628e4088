package imap

import (
	"context"
	"slices"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/sync/watch"
)

// modifiers does what RFC 7162 adds to FETCH: it turns modification sequences on for who asks for them, tells what has
// vanished, and says which messages are fetched at all.
func (s *session) modifiers(ctx context.Context, c *imapwire.Command, args *imapwire.Fetch) (wanted func(watch.Record) bool, refused *answer) {
	refuse := func(a answer) (func(watch.Record) bool, *answer) { return nil, &a }
	asksModSeq := func(item imapwire.FetchItem) bool { return item.Kind == imapwire.FetchModSeq }
	switch {
	case !args.HasChangedSince && !slices.ContainsFunc(args.Items, asksModSeq):
		return func(watch.Record) bool { return true }, nil
	case s.sel.noModSeqs && args.HasChangedSince:
		return refuse(wrong(c, "FETCH CHANGEDSINCE can't be used with non-permanent modseqs"))
	case args.Vanished && !c.UID:
		return refuse(wrong(c, "Unknown FETCH modifier"))
	case args.Vanished && !s.qresync:
		return refuse(wrong(c, "QRESYNC not enabled"))
	}
	if err := s.enableCondStore(ctx); err != nil {
		return refuse(s.failed(err))
	}
	if args.HasChangedSince && !slices.ContainsFunc(args.Items, asksModSeq) {
		args.Items = append(args.Items, imapwire.FetchItem{Kind: imapwire.FetchModSeq, Name: "MODSEQ"})
	}
	since := formats.ModSeq(args.ChangedSince)
	if args.Vanished {
		var known formats.Ranges
		// Messages behind the last one may have vanished, too: here "*" means them as well.
		for _, r := range args.Set.Resolve(uint32(max(s.sel.view.Status.UIDNext, 1) - 1)) {
			known.AddRange(formats.UID(r.First), formats.UID(r.Last))
		}
		if args.Set.Saved {
			known = s.sel.found
		}
		if err := s.vanished(ctx, known, since, nil); err != nil {
			return refuse(s.failed(err))
		}
	}
	return func(r watch.Record) bool { return !args.HasChangedSince || s.sel.modSeqOf(r) > since }, nil
}
