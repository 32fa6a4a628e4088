package imap

import (
	"context"
	"log/slog"
	"strings"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/sync/watch"
)

var flagOps = map[byte]formats.FlagOp{'+': formats.AddFlags, '-': formats.RemoveFlags, '=': formats.ReplaceFlags}

func (s *session) store(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Store)
	var uids formats.Ranges
	if wrong := s.each(args.Set, c.UID, func(_ uint32, r watch.Record) bool { uids.Add(r.UID); return true }); wrong != nil {
		return *wrong
	}
	flags, keywords, text := parseFlags(args.Flags)
	switch {
	case text != "":
		return wrong(c, text)
	case args.HasUnchanged && s.sel.noModSeqs:
		return wrong(c, "STORE UNCHANGEDSINCE can't be used with non-permanent modseqs")
	case s.sel.readOnly && args.HasUnchanged:
		return no("", "CONDSTORE failed: Mailbox is read-only")
	case s.sel.readOnly:
		return ok("Store ignored with read-only mailbox")
	}
	if a := s.refusedKeywords(s.sel.box, keywords); a != nil {
		return *a
	}
	var modified formats.Ranges
	if args.HasUnchanged {
		err := s.enableCondStore(ctx)
		if err == nil {
			uids, modified, err = s.unchanged(ctx, uids, formats.ModSeq(args.Unchanged))
		}
		if err != nil {
			return s.failed(err)
		}
	}
	change := formats.FlagChange{Op: flagOps[args.Op], Flags: flags, Keywords: keywords}
	if args.HasUnchanged {
		change.UnchangedSince = formats.ModSeq(args.Unchanged)
	}
	s.own = ownChange{uids: uids, change: change, silent: args.Silent, uid: c.UID && (!args.Silent || s.condstore)}
	late, err := s.setFlags(ctx, uids, change)
	if err != nil {
		return s.failed(err)
	}
	for uid := range late.All() {
		modified.Add(uid)
	}
	if len(modified) > 0 {
		return withCode(string(append(imapwire.AppendRanges([]byte("[MODIFIED "), s.numbered(modified, c.UID)), ']')), "Conditional store failed")
	}
	return ok("Store completed")
}

// setFlags changes messages of the selected mailbox. What becomes of them is told at the end of the command. modified are
// those that change.UnchangedSince leaves out.
func (s *session) setFlags(ctx context.Context, uids formats.Ranges, change formats.FlagChange) (modified formats.Ranges, err error) {
	if len(uids) == 0 {
		return nil, nil
	}
	if change.Flags&formats.Deleted != 0 && change.Op != formats.RemoveFlags {
		for uid := range uids.All() {
			if seq, there := s.sel.view.Seq(uid); there && s.sel.view.At(seq).Flags()&formats.Deleted == 0 {
				s.count.deleted++
			}
		}
	}
	done, err := s.update(ctx, s.sel.box, func(tx formats.Tx) error { return tx.SetFlags(uids, change) })
	return done.Modified, err
}

// update changes a mailbox.
func (s *session) update(ctx context.Context, box *watch.Box, fn func(formats.Tx) error) (formats.Committed, error) {
	done, err := box.Update(ctx, fn)
	s.leftover(done)
	return done, err
}

// leftover logs what could not be done behind a change that is done.
func (s *session) leftover(done formats.Committed) {
	if done.Leftover != nil {
		s.log(slog.LevelWarn, oneLine(done.Leftover))
	}
}

// unchanged takes the messages with a higher modification sequence out of uids (RFC 7162 section 3.1.3).
func (s *session) unchanged(ctx context.Context, uids formats.Ranges, since formats.ModSeq) (still, modified formats.Ranges, err error) {
	now, err := s.sel.box.Refresh(ctx)
	if err != nil {
		return nil, nil, err
	}
	for uid := range uids.All() {
		seq, there := now.Seq(uid)
		if !there || s.sel.modSeqOf(now.At(seq)) <= since {
			still.Add(uid)
			continue
		}
		modified.Add(uid)
	}
	return still, modified, nil
}

// parseFlags takes system flags and keywords apart; wrong says what cannot be set.
func parseFlags(names []string) (flags formats.Flags, keywords []string, wrong string) {
	for _, name := range names {
		if !strings.HasPrefix(name, `\`) {
			keywords = append(keywords, name)
			continue
		}
		f, known := formats.ParseFlag(name)
		if !known || f == formats.Recent {
			return 0, nil, "Invalid system flag " + strings.ToUpper(name)
		}
		flags |= f
	}
	return flags, keywords, ""
}
