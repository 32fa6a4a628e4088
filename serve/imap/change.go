package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/sync/watch"
)

var readOnly = no("[READ-ONLY]", "Mailbox is read-only")

func (s *session) store(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Store)
	if s.sel.readOnly {
		return readOnly
	}
	flags, keywords, wrong := parseFlags(args.Flags)
	if wrong != "" {
		return bad("Error in IMAP command " + c.Name + ": " + wrong)
	}
	var uids formats.Ranges
	if wrong := s.each(args.Set, c.UID, func(_ uint32, r watch.Record) bool { uids.Add(r.UID); return true }); wrong != nil {
		return *wrong
	}
	op := map[byte]formats.FlagOp{'+': formats.AddFlags, '-': formats.RemoveFlags, '=': formats.ReplaceFlags}[args.Op]
	before := s.sel.view
	if _, err := s.sel.box.Update(ctx, func(tx formats.Tx) error {
		return tx.SetFlags(uids, formats.FlagChange{Op: op, Flags: flags, Keywords: keywords})
	}); err != nil {
		return s.failed(err)
	}
	s.told(before, uids, args.Silent)
	return ok("Store completed")
}

// told takes over the session's own changes of flags, as far as nothing else has happened meanwhile: what is to be told
// of the rest, the end of the command does. Silent ones are not told (RFC 3501 section 6.4.6).
func (s *session) told(before *watch.Snapshot, uids formats.Ranges, silent bool) {
	now := s.sel.box.Snapshot()
	c := watch.Diff(before, now)
	if len(c.Expunged) > 0 || c.Added > 0 {
		return
	}
	s.sel.view = now
	if s.sel.newKeywords() {
		s.flagLists()
	}
	for _, seq := range c.Flags {
		r := now.At(seq)
		if !silent || !uids.Contains(r.UID) {
			s.flagsOf(seq, r)
		}
	}
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

func (s *session) expunge(ctx context.Context, c *imapwire.Command) answer {
	if s.sel.readOnly {
		return readOnly
	}
	var only *imapwire.Set
	if c.UID {
		only = &c.Args.(*imapwire.Expunge).Set
	}
	if err := s.expungeDeleted(ctx, only); err != nil {
		return s.failed(err)
	}
	return ok("Expunge completed")
}

// expungeDeleted removes the messages with \Deleted, or those of them with UIDs in a set.
func (s *session) expungeDeleted(ctx context.Context, only *imapwire.Set) error {
	now, err := s.sel.box.Refresh(ctx)
	if err != nil {
		return err
	}
	var uids formats.Ranges
	last := uint32(0)
	if n := now.Len(); n > 0 {
		last = uint32(now.At(n).UID)
	}
	now.Each(1, now.Len(), func(_ uint32, r watch.Record) bool {
		if r.Flags()&formats.Deleted != 0 && (only == nil || only.Contains(uint32(r.UID), last)) {
			uids.Add(r.UID)
		}
		return true
	})
	if uids.Len() == 0 {
		return nil
	}
	_, err = s.sel.box.Update(ctx, func(tx formats.Tx) error { return tx.Expunge(uids) })
	return err
}

// maxAppend is the largest message taken; there is no setting for it in Dovecot, which takes any.
const maxAppend = 1 << 40

func (s *session) append(ctx context.Context, c *imapwire.Command) answer {
	m, err := s.find(c.Args.(*imapwire.Append).Mailbox)
	if err == nil {
		var box *watch.Box
		if box, err = s.target(ctx, m); err == nil {
			defer box.Close()
			return s.appendTo(ctx, box)
		}
	}
	a := s.failed(err)
	if errors.Is(err, formats.ErrNoMailbox) {
		a = no("[TRYCREATE]", "Mailbox doesn't exist: "+encoded(m.Full))
	}
	s.passOver(c)
	return a
}

// target opens a mailbox that messages go to.
func (s *session) target(ctx context.Context, m mailbox) (*watch.Box, error) {
	store, err := m.Prepare(ctx)
	if err != nil {
		return nil, err
	}
	return s.p.Hub.Open(ctx, store, m.Name)
}

func grant(size uint64, _ bool) error {
	if size > maxAppend {
		return errTooBig
	}
	return nil
}

var errTooBig = errors.New("Message size is too large")

// appendTo saves all messages of the command or none (RFC 3502).
func (s *session) appendTo(ctx context.Context, box *watch.Box) answer {
	var refused *answer
	done, err := box.Update(ctx, func(tx formats.Tx) error {
		for first := true; ; first = false {
			m, err := s.in.NextMessage(first, grant)
			if m == nil || err != nil {
				return err
			}
			flags, keywords, wrong := parseFlags(m.Flags)
			if wrong != "" {
				a := bad("Error in IMAP command APPEND: " + wrong)
				refused = &a
				return errRefused
			}
			if err := s.save(ctx, tx, m, flags, keywords); err != nil {
				return err
			}
		}
	})
	syntax, isSyntax := errors.AsType[*imapwire.SyntaxError](err)
	switch {
	case refused != nil:
		if s.in.Abandon() != nil {
			s.end("Connection closed")
		}
		return *refused
	case isSyntax:
		return bad("Error in IMAP command APPEND: " + syntax.Text)
	case errors.Is(err, errTooBig):
		return no("[TOOBIG]", err.Error())
	case errors.Is(err, io.ErrUnexpectedEOF):
		s.end("Connection closed (in APPEND)")
		return answer{}
	case err != nil:
		if s.in.Abandon() != nil {
			s.end("Connection closed")
		}
		return s.failed(err)
	}
	st := box.Snapshot().Status
	return withCode(fmt.Sprintf("[APPENDUID %d %s]", st.UIDValidity, done.UIDs), "Append completed")
}

// save spools a message to a file, because a transaction wants to read it at any place, and appends it.
func (s *session) save(ctx context.Context, tx formats.Tx, m *imapwire.AppendMessage, flags formats.Flags, keywords []string) error {
	f, err := os.CreateTemp("", "dovetail-append")
	if err != nil {
		return err
	}
	defer f.Close()
	os.Remove(f.Name())
	if _, err := io.Copy(f, m.Literal); err != nil {
		return err
	}
	return tx.Append(ctx, formats.Message{Flags: flags, Keywords: keywords, Detail: formats.Detail{InternalDate: m.Date}}, fileBody{f, m.Literal.Size})
}

// fileBody is a message in a temporary file.
type fileBody struct {
	*os.File
	size int64
}

func (b fileBody) Size() int64 { return b.size }
func (b fileBody) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, io.NewSectionReader(b.File, 0, b.size))
}

func (s *session) copy(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Copy)
	move := strings.HasSuffix(c.Name, "MOVE")
	if move && s.sel.readOnly {
		return readOnly
	}
	m, err := s.find(args.Mailbox)
	if err != nil {
		return s.failed(err)
	}
	to, err := s.target(ctx, m)
	if errors.Is(err, formats.ErrNoMailbox) {
		return no("[TRYCREATE]", "Mailbox doesn't exist: "+encoded(m.Full))
	}
	if err != nil {
		return s.failed(err)
	}
	defer to.Close()
	var uids formats.Ranges
	if wrong := s.each(args.Set, c.UID, func(_ uint32, r watch.Record) bool { uids.Add(r.UID); return true }); wrong != nil {
		return *wrong
	}
	done, err := s.copyTo(ctx, to, uids)
	if err != nil {
		return s.failed(err)
	}
	code := ""
	if uids.Len() > 0 {
		code = fmt.Sprintf("[COPYUID %d %s %s]", to.Snapshot().Status.UIDValidity, uids, done.UIDs)
	}
	if !move {
		return withCode(code, "Copy completed")
	}
	if code != "" {
		s.line("* OK " + code + " Moved UIDs.")
	}
	if _, err := s.sel.box.Update(ctx, func(tx formats.Tx) error { return tx.Expunge(uids) }); err != nil {
		return s.failed(err)
	}
	return ok("Move completed")
}

// copyTo copies messages with their flags and dates into another mailbox, all or none.
func (s *session) copyTo(ctx context.Context, to *watch.Box, uids formats.Ranges) (formats.Committed, error) {
	return to.Update(ctx, func(tx formats.Tx) error {
		v := s.sel.view
		for uid := range uids.All() {
			seq, there := v.Seq(uid)
			if !there {
				continue
			}
			r := v.At(seq)
			m := formats.Message{UID: uid}
			body, err := s.sel.box.Body(ctx, &m)
			if err != nil {
				return err
			}
			copied := formats.Message{Flags: r.Flags(), Keywords: v.Keywords(r), Detail: formats.Detail{InternalDate: m.InternalDate}}
			err = errors.Join(tx.Append(ctx, copied, body), body.Close())
			if err != nil {
				return err
			}
		}
		return nil
	})
}
