package mbox

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// committer applies a transaction to the locked mailbox.
type committer struct {
	*tx
	l   *held
	now *snapshot

	base    base    // of the mailbox afterwards
	places  []place // of its messages, if they were all written again
	ordered bool    // the spool's messages stand in the order of their UIDs, which are right

	unmoved bool // messages that were there are where they were

	placed bool  // the spool lies in the file as it is
	at     int64 // where

	leftover error // see formats.Committed
}

// plan gives UIDs and the new X-IMAPbase.
func (c *committer) plan(ctx context.Context) error {
	c.base = c.now.base
	if c.base.validity == 0 && c.first.validity != 0 {
		c.base.validity = c.first.validity
	}
	if c.base.validity == 0 {
		if err := c.box.store.takeValidity(ctx, &c.base); err != nil {
			return err
		}
	}
	c.base.last = c.now.next - 1
	if err := c.giveUIDs(); err != nil {
		return err
	}
	c.base.last = max(c.base.last, max(c.raise, 1)-1)
	c.base.keywords = c.keywords()
	return nil
}

// giveUIDs sets asked of every record. Messages without a wish come in the order of Append; with wishes, in their order.
func (c *committer) giveUIDs() error {
	c.ordered = true
	for i, r := range c.records {
		if i > 0 && r.asked != 0 && r.asked <= c.records[i-1].asked {
			c.ordered = false
		}
	}
	if !c.ordered {
		slices.SortStableFunc(c.records, func(a, b record) int { return cmp.Compare(a.asked, b.asked) })
	}
	for i := range c.records {
		r := &c.records[i]
		if r.asked == 0 {
			r.asked = c.base.last + 1
		}
		if r.asked <= c.base.last {
			return fmt.Errorf("%w: %d, and UIDNEXT is %d", formats.ErrUIDTaken, r.asked, c.base.last+1)
		}
		if r.asked != r.uid {
			c.ordered = false
		}
		c.base.last = r.asked
	}
	return nil
}

// keywords are those that the mailbox knew and those that are new, in that order: never fewer, as IMAP clients see the
// list as PERMANENTFLAGS.
func (c *committer) keywords() []string {
	list := slices.Clone(c.now.base.keywords)
	have := map[string]bool{}
	for _, k := range list {
		have[fold(k)] = true
	}
	add := func(names []string) {
		for _, k := range names {
			if !have[fold(k)] {
				have[fold(k)] = true
				list = append(list, k)
			}
		}
	}
	for _, set := range c.now.keySets { // the index may know more than the file
		add(set)
	}
	add(c.added)
	return list
}

func (c *committer) write(ctx context.Context) error {
	settled := c.now.numbered() && len(c.fix) == 0
	switch {
	case len(c.now.entries) == 0 && c.ordered && len(c.records) > 0 && len(c.changes) == 0 && len(c.gone) == 0 && c.fresh:
		if ok, err := c.publish(ctx); ok || err != nil {
			return err
		}
	case settled && len(c.changes) == 0 && len(c.gone) == 0:
		if ok, err := c.extend(ctx); ok || err != nil {
			return err
		}
	case settled && len(c.records) == 0 && len(c.gone) == 0:
		if ok, err := c.patchOne(ctx); ok || err != nil {
			return err
		}
	}
	err := c.rewrite(ctx)
	if disk.Full(err) && settled && len(c.records) == 0 {
		return c.inPlace(ctx, err)
	}
	return err
}

// publish makes the spool all of the mailbox, which is empty, or holds the internal message only.
func (c *committer) publish(ctx context.Context) (bool, error) {
	value := appendBase(nil, c.base)
	room := len(appendBase(nil, c.first)) + baseRoom
	if len(value) > room {
		return false, nil // too many keywords: the rewrite has room for all
	}
	if err := c.spool.patch(c.baseAt, appendSpaces(value, room-len(value))); err != nil {
		return false, err
	}
	c.placed = true
	if err := c.overwrite(c.spool); err != nil {
		return true, err
	}
	return true, nil
}

// baseText is the new value of X-IMAPbase, as long as the old one with the spaces behind it; nil if it does not fit.
func (c *committer) baseText() []byte {
	value := appendBase(nil, c.base)
	room := int(c.now.baseEnd - c.now.baseAt)
	if len(value) > room {
		return nil
	}
	return appendSpaces(value, room-len(value))
}

// extend adds the messages of the spool to the end of the file, or only raises UIDNEXT. The order matters: UIDs above
// the last one that X-IMAPbase names would be void, so that comes first; and before anything stands in the file that may
// be left torn, the intent does.
func (c *committer) extend(ctx context.Context) (bool, error) {
	text := c.baseText()
	if text == nil {
		return false, nil
	}
	from := c.spool
	if len(c.records) > 0 && !c.ordered {
		var err error
		if from, err = c.renumbered(ctx); err != nil {
			return false, err
		}
		defer from.discard()
	}
	if len(c.records) == 0 {
		if _, err := c.l.f.WriteAt(text, c.now.baseAt); err != nil {
			return false, err
		}
		return true, c.settle()
	}
	in, err := c.announce(from, text)
	if err != nil {
		return false, err
	}
	if _, err := c.l.f.WriteAt(text, c.now.baseAt); err != nil {
		return false, c.undo(in, err)
	}
	if err := c.copyBehind(from, in); err != nil {
		return false, c.undo(in, err)
	}
	if err := c.box.forget(in.Spool); err != nil {
		return false, c.undo(in, err)
	}
	c.unmoved, c.placed, c.at = true, c.ordered, in.Size+int64(len(in.Lead))
	return true, nil
}

// settle makes a change in place durable and visible to programs that look at the time.
func (c *committer) settle() error {
	if err := touched(c.l.f, c.l.info); err != nil {
		return err
	}
	return c.l.f.Sync()
}

// announce notes the intent to append.
func (c *committer) announce(from *spool, base []byte) (intent, error) {
	in := intent{Ino: c.l.info.Ino, Size: c.l.info.Size, Spool: from.name}
	var last [1]byte
	if _, err := c.l.f.ReadAt(last[:], in.Size-1); err != nil {
		return in, err
	}
	if last[0] != '\n' {
		in.Lead = "\n"
	}
	old := make([]byte, len(base))
	if n, err := c.l.f.ReadAt(old, c.now.baseAt); n < len(old) {
		return in, noEOF(err)
	}
	in.BaseAt, in.Old, in.New = c.now.baseAt, string(old), string(base)
	if err := from.sync(); err != nil {
		return in, err
	}
	in.Total = int64(len(in.Lead)) + from.pos()
	return in, c.box.note(in)
}

func (c *committer) copyBehind(from *spool, in intent) error {
	at := in.Size
	if in.Lead != "" {
		if _, err := c.l.f.WriteAt([]byte(in.Lead), at); err != nil {
			return err
		}
		at += int64(len(in.Lead))
	}
	buf := from.buf[:cap(from.buf)]
	for off, end := int64(0), from.pos(); off < end; {
		part := buf[:min(int64(len(buf)), end-off)]
		if n, err := from.f.ReadAt(part, off); n < len(part) {
			return noEOF(err)
		}
		if _, err := c.l.f.WriteAt(part, at+off); err != nil {
			return err
		}
		off += int64(len(part))
	}
	return c.settle()
}

// undo takes back an append that failed, for instance because the disk is full.
func (c *committer) undo(in intent, err error) error {
	if terr := in.undo(c.l.f); terr != nil {
		return fmt.Errorf("%w (and taking it back: %w)", err, terr)
	}
	if ferr := c.box.forget(in.Spool); ferr != nil {
		return fmt.Errorf("%w (and removing the note of it: %w)", err, ferr)
	}
	return err
}
