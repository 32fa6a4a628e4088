package imap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/layout"
	"dovetail/sync/watch"
)

// selected is the mailbox that commands work on.
type selected struct {
	box      *watch.Box
	view     *watch.Snapshot // what the client knows
	readOnly bool
	recent   formats.Ranges // UIDs that are \Recent in this session
	keywords []string       // that the client was told of in FLAGS
	flags    map[uint64]string
	found    formats.Ranges // what SEARCH saved for "$"
}

func (s *session) selectMailbox(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Select)
	if s.sel != nil {
		s.line("* OK [CLOSED] Previous mailbox closed.")
		s.deselect()
	}
	m, err := s.find(args.Mailbox)
	if err != nil {
		return s.failed(err)
	}
	store, err := m.Prepare(ctx)
	if err != nil {
		return s.failed(err)
	}
	box, err := s.p.Hub.Open(ctx, store, m.Name)
	if err != nil {
		return s.failed(err)
	}
	sel := &selected{box: box, readOnly: c.Name == "EXAMINE", flags: map[uint64]string{}}
	if err := sel.claimRecent(ctx); err != nil {
		box.Close()
		return s.failed(err)
	}
	s.sel = sel
	sel.view = box.Snapshot()
	s.describe()
	what := "READ-WRITE"
	if sel.readOnly {
		what = "READ-ONLY"
	}
	name := "Select"
	if sel.readOnly {
		name = "Examine"
	}
	return withCode("["+what+"]", name+" completed")
}

// find finds a mailbox by the name that came over the wire.
func (s *session) find(wire string) (m mailbox, err error) {
	name, err := layout.DecodeMUTF7(wire)
	if err != nil {
		name = wire // 8-bit names are told by their bytes, as Dovecot does
	}
	return s.user.Find(name)
}

// claimRecent makes the messages that nobody has seen recent in this session, and in no other one that may change the
// mailbox (RFC 3501 section 2.3.2).
func (sel *selected) claimRecent(ctx context.Context) error {
	st := sel.box.Snapshot().Status
	if st.FirstRecent == 0 || st.FirstRecent >= st.UIDNext {
		return nil
	}
	sel.recent.AddRange(st.FirstRecent, st.UIDNext-1)
	if sel.readOnly {
		return nil
	}
	_, err := sel.box.Update(ctx, func(tx formats.Tx) error { return tx.Raise(0, 0, st.UIDNext) })
	return err
}

// describe tells all about the mailbox that was selected.
func (s *session) describe() {
	sel, v := s.sel, s.sel.view
	s.flagLists()
	s.line(fmt.Sprintf("* %d EXISTS", v.Len()))
	s.line(fmt.Sprintf("* %d RECENT", sel.countRecent()))
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
}

// flagLists tells which flags there are and which can be set.
func (s *session) flagLists() {
	sel := s.sel
	sel.keywords = slices.Clone(sel.view.KeywordsInUse())
	list := strings.Join(append(formats.SystemFlags.Names(), sel.keywords...), " ")
	s.line("* FLAGS (" + list + ")")
	if sel.readOnly {
		s.line("* OK [PERMANENTFLAGS ()] Read-only mailbox.")
		return
	}
	s.line("* OK [PERMANENTFLAGS (" + list + ` \*)] Flags permitted.`)
}

func (sel *selected) countRecent() (n int) {
	for uid := range sel.recent.All() {
		if _, there := sel.view.Seq(uid); there {
			n++
		}
	}
	return n
}

// deselect leaves the mailbox.
func (s *session) deselect() {
	if s.sel != nil {
		s.sel.box.Close()
		s.sel = nil
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
