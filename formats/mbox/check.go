package mbox

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"path/filepath"

	"dovetail/formats"
)

// Check looks for what Dovecot and we understand in another way than it was meant, and for what is torn.
func (b *Mailbox) Check(ctx context.Context) iter.Seq2[formats.Problem, error] {
	return func(yield func(formats.Problem, error) bool) {
		s, err := b.current(ctx)
		if err != nil {
			yield(formats.Problem{}, err)
			return
		}
		defer s.release()
		c := &checker{box: b, s: s}
		for _, p := range c.file() {
			if !yield(p, nil) {
				return
			}
		}
		for i := range s.entries {
			found, err := c.message(ctx, &s.entries[i])
			if err != nil {
				yield(formats.Problem{}, b.fail("check", s.entries[i].uid, s.entries[i].from, err))
				return
			}
			for _, p := range found {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

type checker struct {
	box *Mailbox
	s   *snapshot
}

func (c *checker) problem(e *entry, at int64, what, cost, mend string) formats.Problem {
	p := formats.Problem{Mailbox: c.box.name, Path: filepath.Join(c.box.dir.Path(), c.box.file), Offset: at, What: what, Cost: cost, Mend: mend}
	if e != nil {
		p.UID = e.uid
	}
	return p
}

// file checks what concerns no single message.
func (c *checker) file() (found []formats.Problem) {
	if c.s.size < c.s.id.Size {
		found = append(found, c.problem(nil, c.s.size, "an append of dovetail died and left a torn end", "other programs see pieces of messages", "the file is cut back to what it was before"))
	}
	if c.s.lead > 0 {
		found = append(found, c.problem(nil, 0, fmt.Sprintf("%d bytes before the first From_ line", c.s.lead), "Dovecot does not take it for an mbox file", "the file is written without them"))
	}
	return found
}

// message checks one message.
func (c *checker) message(ctx context.Context, e *entry) (found []formats.Problem, err error) {
	err = c.s.read(ctx, c.box.store.opts.Locks.until(), func() error {
		found, err = c.look(e)
		return err
	})
	return found, err
}

func (c *checker) look(e *entry) (found []formats.Problem, err error) {
	if e.given != 0 && e.given != e.uid {
		found = append(found, c.problem(e, e.from, fmt.Sprintf("X-UID %d is not above the one before it, or above the last UID of X-IMAPbase", e.given),
			"this message and those behind it get new UIDs", "the new UIDs are written"))
	}
	sc := newScanner(c.s.file, e.end, c.s.dialect, c.s.zone)
	defer sc.release()
	sc.headers.exact = true
	h := sc.headers.read(e.start())
	m := interpret(h, false)
	if e.bits&wrongCL != 0 {
		found = append(found, c.wrongLength(e, h, m.contentLength))
	}
	if e.keys == 0 && len(bytes.TrimSpace(m.keywords)) > 0 {
		found = append(found, c.problem(e, e.from, fmt.Sprintf("keywords %.100q are not all listed in X-IMAPbase", bytes.TrimSpace(m.keywords)),
			"none of them is shown; Dovecot removes the field when it next writes the message", ""))
	}
	if at := fromInBody(sc, h, e); at >= 0 {
		found = append(found, c.problem(e, at, "a line of text looks like a From_ line", "programs that do not read Content-Length see two messages", ""))
	}
	return found, sc.w.err
}

func (c *checker) wrongLength(e *entry, h *header, length int64) formats.Problem {
	what := fmt.Sprintf("Content-Length is %d, but the message ends after %d bytes", length, e.end-h.end)
	if h.end+length > c.s.size {
		return c.problem(e, h.end, what+": the file ends before", "the message may be torn, and mail behind it lost", "")
	}
	return c.problem(e, h.end, what+" at the next From_ line", "other programs may divide the file in another way", "the right length is written")
}

// fromInBody finds the first line of a body that would end the message if it had no Content-Length, -1 if there is none.
func fromInBody(sc *scanner, h *header, e *entry) int64 {
	for pos := h.end - 1; !h.unfinished; {
		at := sc.w.index(pos, fromMark)
		if at < 0 {
			break
		}
		if _, _, ok := sc.fromLine(at + 1); ok && at+1 < e.end {
			return at + 1
		}
		pos = at + 1
	}
	return -1
}

// Repair mends what agree allows, with one rewrite of the file.
func (b *Mailbox) Repair(ctx context.Context, agree func(formats.Problem) bool) error {
	fix := map[formats.UID]bool{}
	any := false
	for p, err := range b.Check(ctx) {
		if err != nil {
			return err
		}
		if p.Mend != "" && agree(p) {
			any = true
			fix[p.UID] = true
		}
	}
	if !any {
		return nil
	}
	return b.rewrite(ctx, fix)
}

// rewrite writes the file anew, with new fields for the messages in fix.
func (b *Mailbox) rewrite(ctx context.Context, fix map[formats.UID]bool) error {
	if b.store.readOnly() {
		return b.fail("repair", 0, 0, formats.ErrReadOnly)
	}
	if d := b.store.opts.Dialect; d.quoteMark() != nil {
		return b.fail("repair", 0, 0, fmt.Errorf("%w: %s is a dialect for reading", formats.ErrReadOnly, d))
	}
	one := b.store.writer(b)
	one.Lock()
	defer one.Unlock()
	start, err := b.current(ctx)
	if err != nil {
		return err
	}
	defer start.release()
	t := &tx{box: b, start: start, fix: fix}
	if _, err = t.commit(ctx); err == nil {
		err = b.forgetSnapshot()
	}
	return b.fail("repair", 0, 0, err)
}
