package imap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/sync/watch"
)

// ownChange is the change of flags that the command in execution has made itself.
type ownChange struct {
	uids   formats.Ranges
	change formats.FlagChange
	silent bool // it is not told, but its modseqs are (RFC 7162 section 3.1.4)
	uid    bool // told with UIDs

	was, is uint64 // Record.Set of a message before and after, for which expected was found out last
	known   bool
	meant   bool // that message is as the change has left it
}

// sync tells the client what has changed since it was told last: flags, under the sequence numbers that it knows, then
// expunged messages, then new ones. Where it may not be told of expunged messages these stay in its view.
func (s *session) sync(ctx context.Context, what told, a *answer) {
	sel := s.sel
	now, err := sel.newest(ctx, what)
	if errors.Is(err, watch.ErrReplaced) {
		s.line("* BYE Mailbox was deleted under us.")
		s.end("Mailbox was deleted")
		return
	}
	late := s.o.delayNewMail && what != asked && what != named && s.notify == nil
	switch {
	case what == named, !s.events.counts:
		what = noExpunges // the client is not told, so its numbers must stay right
	case s.notify != nil && s.notify.immediate:
		what = asked
	}
	if late {
		what = noExpunges
	}
	if now != sel.view {
		s.tell(ctx, now, what != noExpunges, late)
	}
	s.highest(now, a)
	s.out.Line()
}

// meet tells the client of new messages before a command that names UIDs above all that it was told of. It has them from
// an answer to another session, such as APPENDUID: a flag that is stored for one of them, and answered with OK, must not
// be lost because this session had not looked yet. New messages may be told at any time (RFC 3501 section 7.3.1).
func (s *session) meet(ctx context.Context, c *imapwire.Command) {
	if !c.UID || s.sel == nil {
		return
	}
	var set imapwire.Set
	switch args := c.Args.(type) {
	case *imapwire.Store:
		set = args.Set
	case *imapwire.Copy:
		set = args.Set
	case *imapwire.Fetch:
		set = args.Set
	default:
		return
	}
	last := lastUID(s.sel.view)
	for _, r := range set.Ranges {
		if r.First > last && r.First != imapwire.Star || r.Last > last && r.Last != imapwire.Star {
			s.sync(ctx, named, nil)
			return
		}
	}
}

// freshness is how old may be what a client is told that has not asked for it: what other programs have done in that time
// is told behind a later command. A client that fetches message by message has the files looked at a hundred times a
// second.
const freshness = 10 * time.Millisecond

// newest is the state of the mailbox that a client is told of behind a command. What sessions have done is always in it.
func (sel *selected) newest(ctx context.Context, what told) (*watch.Snapshot, error) {
	started := time.Now()
	if (what == noExpunges || what == changes) && started.Sub(sel.refreshed) < freshness {
		return sel.box.Snapshot(), nil
	}
	sel.refreshed = started
	return sel.box.Refresh(ctx)
}

// tell goes over to a newer snapshot as far as it may.
func (s *session) tell(ctx context.Context, now *watch.Snapshot, expunges, late bool) {
	sel, was := s.sel, s.sel.view
	kept := now.Keeping(was)
	if late {
		kept = kept.First(was.Len())
	}
	sel.view = kept
	if sel.newKeywords() {
		s.flagLists()
	}
	c := watch.Diff(was, kept)
	if s.events.flags {
		for _, seq := range c.Flags {
			s.changed(seq, was.At(seq), kept.At(seq))
		}
	}
	if expunges && kept != now {
		gone := watch.Diff(kept, now)
		s.withdraw(gone.ExpungedUIDs)
		sel.view = now
		s.expunged(&gone)
	}
	s.counts(ctx, c.Added > 0)
	if c.Added > 0 {
		s.newMessages(ctx, formats.UID(lastUID(was))+1)
	}
	s.refreshUpdates(ctx)
}

// changed tells how a message is now.
func (s *session) changed(seq uint32, was, is watch.Record) {
	own := &s.own
	mine := own.uids.Contains(is.UID)
	switch {
	case was.Set() != is.Set() && !(mine && own.silent && s.sel.expected(own, was, is)):
		s.flagsOf(seq, is)
	case s.condstore && was.ModSeq != 0 && was.ModSeq != is.ModSeq:
		s.out.Buf = append(s.startFetch(seq, is, s.qresync || own.uid), s.modSeq(is)...)
		s.out.Buf = append(s.out.Buf, ")\r\n"...)
		s.out.Line()
	}
}

// expected tells whether a message is as the session's own change has left it: then nobody else has changed it.
func (sel *selected) expected(own *ownChange, was, is watch.Record) bool {
	if !own.known || own.was != was.Set() || own.is != is.Set() { // many messages change alike
		own.was, own.is, own.known, own.meant = was.Set(), is.Set(), true, sel.leftSo(own, was, is)
	}
	return own.meant
}

func (sel *selected) leftSo(own *ownChange, was, is watch.Record) bool {
	flags, keywords := own.change.Apply(was.Flags(), sel.view.Keywords(was))
	if flags != is.Flags() {
		return false
	}
	return formats.SameKeywords(keywords, sel.view.Keywords(is))
}

// expunged is told from the highest number down, so that no number changes before it is told, or by UIDs (RFC 7162
// section 3.2.10).
func (s *session) expunged(c *watch.Changes) {
	if len(c.Expunged) == 0 || !s.events.counts {
		return
	}
	if s.qresync {
		s.line("* VANISHED " + c.ExpungedUIDs.String())
		return
	}
	for _, seq := range slices.Backward(c.Expunged) {
		s.number(seq, " EXPUNGE\r\n")
	}
}

func (s *session) number(n uint32, what string) {
	s.out.Buf = strconv.AppendUint(append(s.out.Buf, "* "...), uint64(n), 10)
	s.out.Buf = append(s.out.Buf, what...)
	s.out.Line()
}

// counts tells how many messages there are, and how many of them are recent, if that is news.
func (s *session) counts(ctx context.Context, added bool) {
	sel := s.sel
	if added {
		if err := sel.claimRecent(ctx); err == nil {
			if now := sel.box.Snapshot(); sameMessages(sel.view, now) {
				sel.view = now // but for what was claimed it is the same
			}
		}
		if s.events.counts {
			s.number(sel.view.Len(), " EXISTS\r\n")
		}
	}
	if recent := sel.countRecent(); recent != sel.recentTold && s.events.counts {
		sel.recentTold = recent
		s.number(recent, " RECENT\r\n")
	}
}

func sameMessages(a, b *watch.Snapshot) bool {
	c := watch.Diff(a, b)
	return c.None()
}

// highest tells the highest modification sequence that the client may remember (RFC 7162 section 3.2.5.2): not one that
// is above expunges that it was not told of, because it would never ask for them again.
func (s *session) highest(now *watch.Snapshot, a *answer) {
	if !s.qresync || s.sel.noModSeqs {
		return
	}
	sel := s.sel
	pending := sel.view != now && len(watch.Diff(sel.view, now).Expunged) > 0
	tell := formats.ModSeq(0)
	switch is := now.Status.HighestModSeq; {
	case pending && s.sel.fetched > sel.full:
		tell = sel.full
	case !pending && is > sel.full && is > sel.fetched:
		tell = is
	}
	if !pending {
		sel.full = now.Status.HighestModSeq
	}
	sel.fetched = 0
	code := fmt.Sprintf("[HIGHESTMODSEQ %d]", tell)
	switch {
	case tell == 0:
	case a != nil && a.status == "OK" && a.code == "":
		a.code = code
	default:
		s.line("* OK " + code + " Highest")
	}
}

// startFetch writes the beginning of an answer about a message.
func (s *session) startFetch(seq uint32, r watch.Record, uid bool) []byte {
	b := strconv.AppendUint(append(s.out.Buf, "* "...), uint64(seq), 10)
	b = append(b, " FETCH ("...)
	if uid {
		b = append(strconv.AppendUint(append(b, "UID "...), uint64(r.UID), 10), ' ')
	}
	return b
}

// modSeq is "MODSEQ (5)", and remembers that the client has seen it.
func (s *session) modSeq(r watch.Record) string {
	m := s.sel.modSeqOf(r)
	s.sel.fetched = max(s.sel.fetched, m)
	return "MODSEQ (" + strconv.FormatUint(uint64(m), 10) + ")"
}

// modSeqOf gives the modification sequence of a message: the mailbox's where none is kept for each.
func (sel *selected) modSeqOf(r watch.Record) formats.ModSeq {
	if r.ModSeq == 0 {
		return max(sel.view.Status.HighestModSeq, 1)
	}
	return r.ModSeq
}

// flagsOf tells the flags of a message.
func (s *session) flagsOf(seq uint32, r watch.Record) {
	b := s.startFetch(seq, r, s.qresync || s.own.uid)
	if s.condstore && !s.sel.noModSeqs {
		b = append(append(b, s.modSeq(r)...), ' ')
	}
	b = append(append(b, "FLAGS "...), s.sel.flagText(r)...)
	s.out.Buf = append(b, ")\r\n"...)
	s.out.Line()
}

// flagText is "(\Seen work)". Messages have few different sets of flags, so each is made once.
func (sel *selected) flagText(r watch.Record) string { return sel.flagTextWith(r, 0) }

// maxFlagTexts is how many bytes of such texts are kept.
const maxFlagTexts = 256 << 10

// seenText is flagText of a message that becomes \Seen.
func (sel *selected) seenText(r watch.Record) string { return sel.flagTextWith(r, formats.Seen) }

func (sel *selected) flagTextWith(r watch.Record, more formats.Flags) string {
	key := r.Set() | uint64(more)
	if sel.recent.Contains(r.UID) {
		key |= 1 << 63
	}
	text, ok := sel.flags[key]
	if !ok {
		text = sel.makeFlagText(r, more)
		if sel.flagBytes += len(text); sel.flagBytes > maxFlagTexts {
			clear(sel.flags)
			sel.flagBytes = len(text)
		}
		sel.flags[key] = text
	}
	return text
}

func (sel *selected) makeFlagText(r watch.Record, more formats.Flags) string {
	flags := r.Flags() | more
	if sel.recent.Contains(r.UID) {
		flags |= formats.Recent
	}
	b := []byte{'('}
	for i, name := range append(flags.Names(), spoken(sel.view.Keywords(r))...) {
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
		last = lastUID(v)
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
				wrong := bad("Error in IMAP command " + s.running + ": Invalid messageset")
				return nil, &wrong
			}
		}
	}
	return merged(list), nil
}

// lastUID is the highest UID that the client knows, 0 if there is none.
func lastUID(v *watch.Snapshot) uint32 {
	if v.Len() == 0 {
		return 0
	}
	return uint32(v.At(v.Len()).UID)
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
