package imap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/sync/watch"
)

func (s *session) copy(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Copy)
	move := strings.HasSuffix(c.Name, "MOVE")
	var uids formats.Ranges
	if wrong := s.each(args.Set, c.UID, func(_ uint32, r watch.Record) bool { uids.Add(r.UID); return true }); wrong != nil {
		return *wrong
	}
	if move && s.sel.readOnly {
		return no("[READ-ONLY]", "Mailbox is read-only")
	}
	if len(uids) == 0 {
		return ok("No messages found")
	}
	m, err := s.find(args.Mailbox)
	if err != nil {
		return s.failed(err)
	}
	to, err := s.saveTarget(ctx, m)
	if err != nil {
		return s.missing(ctx, err, "[TRYCREATE]", m)
	}
	defer to.Close()
	done, err := s.copyTo(ctx, to, uids)
	if err != nil {
		return s.failed(err)
	}
	if slices.Contains(m.SpecialUse(), `\Trash`) {
		s.count.trashed += uids.Len()
	}
	code := fmt.Sprintf("[COPYUID %d %s %s]", to.Snapshot().Status.UIDValidity, uids, done.UIDs)
	if !move {
		return withCode(code, "Copy completed")
	}
	if _, err := s.update(ctx, s.sel.box, func(tx formats.Tx) error { return tx.Expunge(uids) }); err != nil {
		// RFC 6851 section 3.3: a message is moved, or it is as it was.
		if _, uerr := s.update(ctx, to, func(tx formats.Tx) error { return tx.Expunge(done.UIDs) }); uerr != nil {
			err = errors.Join(err, uerr)
		}
		return s.failed(err)
	}
	s.line("* OK " + code + " Moved UIDs.")
	return ok("Move completed")
}

// target opens a mailbox that messages go to.
func (s *session) target(ctx context.Context, m mailbox) (*watch.Box, error) {
	box, _, err := s.openBox(ctx, m)
	return box, err
}

// saveTarget opens a mailbox that gets new messages. A client of CONDSTORE is to find their modification sequences there
// (Dovecot 2.3, client_open_save_dest_box).
func (s *session) saveTarget(ctx context.Context, m mailbox) (*watch.Box, error) {
	box, err := s.target(ctx, m)
	if err != nil || !s.condstore {
		return box, err
	}
	if _, err := keepModSeqs(ctx, box); err != nil {
		box.Close()
		return nil, err
	}
	return box, nil
}

// copyTo copies messages of the selected mailbox.
func (s *session) copyTo(ctx context.Context, to *watch.Box, uids formats.Ranges) (formats.Committed, error) {
	return s.copyMessages(ctx, s.sel.box, s.sel.view, to, uids)
}

// copyMessages copies messages with their flags, dates and GUIDs into another mailbox, all or none (RFC 3501 section
// 6.4.7).
func (s *session) copyMessages(ctx context.Context, from *watch.Box, v *watch.Snapshot, to *watch.Box, uids formats.Ranges) (formats.Committed, error) {
	var copied formats.Ranges
	update := to.Update
	if s.mayClaim(to) {
		update = to.UpdateAndClaim
	}
	done, err := update(ctx, func(tx formats.Tx) error {
		copied = nil
		for uid := range uids.All() {
			seq, there := v.Seq(uid)
			if !there {
				continue
			}
			copied.Add(uid)
			r := v.At(seq)
			m := formats.Message{Flags: r.Flags() | formats.Recent, Keywords: v.Keywords(r)}
			if err := formats.Copy(ctx, tx, m, from.Mailbox, uid); err != nil {
				return err
			}
		}
		return nil
	})
	s.added(to, done)
	if err == nil {
		to.TakeKnown(from, copied, done.UIDs)
	}
	return done, err
}
