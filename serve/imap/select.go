package imap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/layout"
	"dovetail/sync/watch"
)

// selected is the mailbox that commands work on.
type selected struct {
	box        *watch.Box
	at         mailbox
	view       *watch.Snapshot // what the client knows
	readOnly   bool
	recent     formats.Ranges // UIDs that are \Recent in this session
	recentTold uint32
	keywords   []string          // that the client was told of in FLAGS
	flags      map[uint64]string // texts of sets of flags
	flagBytes  int               // of them
	found      formats.Ranges    // what SEARCH saved for "$"
	recently   *recent           // that is being fetched in pieces; nil none
	refreshed  time.Time         // when the files were looked at for what is told behind commands

	noModSeqs bool           // the format keeps none
	full      formats.ModSeq // the highest one with whose expunges the client was told everything
	fetched   formats.ModSeq // the highest one that it was told since
}

func (s *session) selectMailbox(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Select)
	if s.sel != nil {
		s.deselect()
		s.line("* OK [CLOSED] Previous mailbox closed.")
	}
	if args.QResync != nil && !s.qresync {
		return wrong(c, "QRESYNC not enabled")
	}
	s.condstore = s.condstore || args.CondStore
	m, err := s.find(args.Mailbox)
	if err != nil {
		return s.failed(err)
	}
	if err := s.open(ctx, m, c.Name == "EXAMINE"); err != nil {
		return s.missing(ctx, err, "", m)
	}
	s.describe()
	if q := args.QResync; q != nil && formats.UIDValidity(q.UIDValidity) == s.sel.view.Status.UIDValidity && !s.sel.noModSeqs {
		if err := s.resync(ctx, q); err != nil {
			s.deselect()
			return s.failed(err)
		}
	}
	if s.sel.readOnly {
		return withCode("[READ-ONLY]", "Examine completed")
	}
	return withCode("[READ-WRITE]", "Select completed")
}

// open makes a mailbox the selected one.
func (s *session) open(ctx context.Context, m mailbox, readOnly bool) error {
	box, store, err := s.openBox(ctx, m)
	if err != nil {
		return err
	}
	limits := store.Limits()
	sel := &selected{box: box, at: m, readOnly: readOnly, flags: map[uint64]string{}, noModSeqs: limits.NoModSeq && !limits.OwnModSeq}
	// A mailbox on a full disk, or one that may only be read, is shown all the same.
	if err := sel.claimRecent(ctx); err != nil {
		s.log(slog.LevelError, oneLine(err))
	}
	if s.condstore {
		if err := sel.keepModSeqs(ctx); err != nil {
			s.log(slog.LevelError, oneLine(err))
			sel.noModSeqs = true
		}
	}
	sel.view = box.Snapshot()
	s.sel = sel
	return nil
}

// openBox opens a mailbox, which is made if it is one of those that make themselves.
func (s *session) openBox(ctx context.Context, m mailbox) (*watch.Box, formats.Store, error) {
	store, err := m.Space.Store(ctx)
	if err != nil {
		return nil, nil, err
	}
	box, err := s.p.Hub.Open(ctx, store, m.Name)
	if errors.Is(err, formats.ErrNoMailbox) {
		if store, err = m.Prepare(ctx); err == nil {
			box, err = s.p.Hub.Open(ctx, store, m.Name)
		}
	}
	return box, store, err
}

// find finds a mailbox by the name that came over the wire.
func (s *session) find(wire string) (m mailbox, err error) {
	name, err := layout.DecodeMUTF7(wire)
	if err != nil {
		return m, errNotMUTF7
	}
	if s.o.extraSeparator && len(name) > 1 {
		name = strings.TrimSuffix(name, s.separator())
	}
	return s.user.Find(name)
}

// claimRecent makes the messages that nobody has seen recent in this session, and in no other one that may change the
// mailbox (RFC 3501 section 2.3.2).
func (sel *selected) claimRecent(ctx context.Context) error {
	if sel.readOnly {
		if st := sel.box.Snapshot().Status; st.FirstRecent != 0 && st.FirstRecent < st.UIDNext {
			sel.recent.AddRange(st.FirstRecent, st.UIDNext-1)
			clear(sel.flags)
		}
		return nil
	}
	claimed, err := sel.box.ClaimRecent(ctx)
	sel.addRecent(claimed)
	return err
}

func (sel *selected) addRecent(claimed formats.Ranges) {
	for _, r := range claimed {
		sel.recent.AddRange(r.First, r.Last)
		clear(sel.flags) // which of them is recent has changed
	}
}

// mayClaim tells whether messages that the session adds to a mailbox are \Recent in the session itself (Dovecot 2.3,
// client_open_save_dest_box: they are added to the mailbox as it is selected).
func (s *session) mayClaim(box *watch.Box) bool {
	return s.sel != nil && s.sel.box == box && !s.sel.readOnly
}

// added takes note of messages that the session has added.
func (s *session) added(to *watch.Box, done formats.Committed) {
	s.leftover(done)
	if s.mayClaim(to) {
		s.sel.addRecent(done.Recent)
	}
}

// keepModSeqs does it for the selected mailbox.
func (sel *selected) keepModSeqs(ctx context.Context) (err error) {
	if sel.noModSeqs {
		return nil
	}
	sel.noModSeqs, err = keepModSeqs(ctx, sel.box)
	return err
}

// keepModSeqs has a modification sequence kept for each message from now on, if none is: the first client that asks for
// them makes that so for ever (RFC 7162 section 3.1.1). cannot is true where there is no place for them.
func keepModSeqs(ctx context.Context, box *watch.Box) (cannot bool, err error) {
	if box.Snapshot().Status.KeepsModSeqs {
		return false, nil
	}
	_, err = box.Update(ctx, func(tx formats.Tx) error {
		keeper, ok := tx.(formats.ModSeqKeeper)
		if cannot = !ok; ok {
			keeper.KeepModSeqs()
		}
		return nil
	})
	return cannot, err
}

// describe tells all about the mailbox that was selected.
func (s *session) describe() {
	sel, v := s.sel, s.sel.view
	s.flagLists()
	s.number(v.Len(), " EXISTS\r\n")
	sel.recentTold = sel.countRecent()
	s.number(sel.recentTold, " RECENT\r\n")
	unseen := uint32(0)
	v.Each(1, v.Len(), func(seq uint32, r watch.Record) bool {
		if r.Flags()&formats.Seen == 0 {
			unseen = seq
		}
		return unseen == 0
	})
	if unseen > 0 {
		s.line(fmt.Sprintf("* OK [UNSEEN %d] First unseen.", unseen))
	}
	s.line(fmt.Sprintf("* OK [UIDVALIDITY %d] UIDs valid", v.Status.UIDValidity))
	s.line(fmt.Sprintf("* OK [UIDNEXT %d] Predicted next UID", v.Status.UIDNext))
	switch {
	case sel.noModSeqs:
		s.line("* OK [NOMODSEQ] No permanent modsequences")
	case v.Status.KeepsModSeqs:
		s.tellHighest()
	}
}

// tellHighest tells the highest modification sequence of the mailbox.
func (s *session) tellHighest() {
	s.sel.full = max(s.sel.view.Status.HighestModSeq, 1)
	s.line(fmt.Sprintf("* OK [HIGHESTMODSEQ %d] Highest", s.sel.full))
}

// flagLists tells which flags there are and which can be set.
func (s *session) flagLists() {
	sel := s.sel
	sel.keywords = keywordsOf(sel.box.Mailbox, sel.view)
	list := strings.Join(append(formats.SystemFlags.Names(), spoken(sel.keywords)...), " ")
	s.line("* FLAGS (" + list + ")")
	if sel.readOnly {
		s.line("* OK [PERMANENTFLAGS ()] Read-only mailbox.")
		return
	}
	s.line("* OK [PERMANENTFLAGS (" + list + ` \*)] Flags permitted.`)
}

func (sel *selected) countRecent() (n uint32) {
	for _, r := range sel.recent {
		first, _ := sel.view.Seq(r.First)
		last, there := sel.view.Seq(r.Last)
		if !there {
			last--
		}
		n += last + 1 - first
	}
	return n
}

// deselect leaves the mailbox.
func (s *session) deselect() {
	if s.sel != nil {
		s.sel.box.Close()
		s.sel = nil
		s.updates = nil
	}
}

func (s *session) closeMailbox(ctx context.Context, _ *imapwire.Command) answer {
	if !s.sel.readOnly {
		if err := s.expungeDeleted(ctx, nil); err != nil {
			return s.failed(err)
		}
	}
	s.deselect()
	return ok("Close completed")
}

func (s *session) unselect(context.Context, *imapwire.Command) answer {
	s.deselect()
	return ok("Unselect completed")
}
