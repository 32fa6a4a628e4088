package mbox

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"dovetail/formats/disk"
)

// inPlace is the last resort on a full disk, where no file can be written beside the mailbox: flags change in the spaces
// behind them, and what follows expunged messages moves over them, as Dovecot does it at all times. Else nobody could make
// room by deleting mail. It is not one step: if the process dies in the middle, some flags are changed and others not,
// and the message that was being moved is damaged. full is the error of the file that could not be written.
func (c *committer) inPlace(ctx context.Context, full error) error {
	if !c.l.f.Overwritable() || c.raise > c.now.next {
		return full
	}
	c.places = nil
	var ok bool
	var err error
	switch {
	case len(c.gone) == 0:
		ok, err = c.patchAll(ctx)
	case len(c.changes) == 0:
		ok, err = c.shrink(ctx)
	}
	if err == nil && !ok {
		return full
	}
	return err
}

// patchAll changes flags of several messages, one after the other; false if they do not fit all.
func (c *committer) patchAll(ctx context.Context) (bool, error) {
	if len(c.base.keywords) != len(c.now.base.keywords) {
		return false, nil
	}
	type patch struct {
		at   int64
		text []byte
	}
	var patches []patch
	for i := range c.now.entries {
		e := &c.now.entries[i]
		p := piece{entry: e, uid: e.uid, flags: c.flagsOf(e), keywords: c.now.keySets[e.keys], same: true}
		if c.change(&p); p.same {
			continue
		}
		at, text, err := c.fieldsInPlace(&p)
		if err != nil || text == nil {
			return false, err
		}
		patches = append(patches, patch{at, text})
	}
	for _, p := range patches {
		if _, err := c.l.f.WriteAt(p.text, p.at); err != nil {
			return false, err
		}
	}
	if err := c.settle(); err != nil {
		return false, err
	}
	c.unmoved = true
	return true, nil
}

// shrink takes messages out of the file; false if what stays has no place in front of where it is now.
func (c *committer) shrink(ctx context.Context) (bool, error) {
	to := &plan{file: c.now.file}
	if err := c.planTo(ctx, to); err != nil || !to.fits() {
		return false, err
	}
	if c.firstStays() {
		if _, err := c.l.f.WriteAt(c.baseText(), c.now.baseAt); err != nil {
			return false, err
		}
	}
	if err := to.carryOut(c.l.f); err != nil {
		return false, fmt.Errorf("while messages were moved in place: %w", err)
	}
	if err := c.settle(); err != nil {
		return false, err
	}
	return true, nil
}

// firstStays tells whether the first message, with X-IMAPbase in its header, can be left alone but for the numbers there.
func (c *committer) firstStays() bool {
	return len(c.now.entries) > 0 && !c.gone.Contains(c.now.entries[0].uid) && c.baseText() != nil
}

// planTo is rewriteTo, but the first message stays as it is where it can.
func (c *committer) planTo(ctx context.Context, to *plan) error {
	if !c.firstStays() {
		return c.rewriteTo(ctx, to)
	}
	w := c.newRewriter(to)
	defer w.release()
	w.count = 1
	if err := c.each(ctx, func(p piece) error { return w.message(p, nil) }); err != nil {
		return err
	}
	return w.flush()
}

// plan is what a file is to hold, made of bytes that it holds now and of others.
type plan struct {
	file  *disk.File
	parts []part
	texts int64 // length of the others
	size  int64 // of all
}

// part is bytes of the file, or, where n is 0, others.
type part struct {
	from, n int64
	text    []byte
}

// maxTexts bounds what a plan holds in memory.
const maxTexts = 16 << 20

func (p *plan) Write(b []byte) (int, error) {
	if p.texts += int64(len(b)); p.texts > maxTexts {
		return 0, fmt.Errorf("%w, and more than %d bytes would change in place", unix.ENOSPC, maxTexts)
	}
	if len(b) == 0 {
		return 0, nil
	}
	p.parts = append(p.parts, part{text: append([]byte(nil), b...)})
	p.size += int64(len(b))
	return len(b), nil
}

func (p *plan) take(f *disk.File, from, n int64) error {
	if f != p.file {
		return fmt.Errorf("%s is another file", f.Path())
	}
	if n > 0 {
		p.parts = append(p.parts, part{from: from, n: n})
		p.size += n
	}
	return nil
}

func (p *plan) pos() int64 { return p.size }

func (p *plan) last(b []byte) error {
	if len(p.parts) == 0 {
		return nil
	}
	end := &p.parts[len(p.parts)-1]
	if end.n == 0 {
		b[0] = end.text[len(end.text)-1]
		return nil
	}
	_, err := p.file.ReadAt(b, end.from+end.n-1)
	return noTail(err)
}

// fits tells whether every byte that is still to be moved is behind what has been written before it.
func (p *plan) fits() bool {
	at := int64(0)
	for i := range p.parts {
		q := &p.parts[i]
		if q.n > 0 {
			if at > q.from {
				return false
			}
			at += q.n
			continue
		}
		at += int64(len(q.text))
	}
	return true
}

// carryOut makes it so.
func (p *plan) carryOut(f *disk.File) error {
	at := int64(0)
	buf := make([]byte, spoolBuffer)
	for i := range p.parts {
		q := &p.parts[i]
		if q.n == 0 {
			if _, err := f.WriteAt(q.text, at); err != nil {
				return err
			}
			at += int64(len(q.text))
			continue
		}
		if err := move(f, q.from, at, q.n, buf); err != nil {
			return err
		}
		at += q.n
	}
	return f.Truncate(at)
}

// move moves n bytes towards the beginning.
func move(f *disk.File, from, to, n int64, buf []byte) error {
	for from != to && n > 0 {
		part := buf[:min(int64(len(buf)), n)]
		if k, err := f.ReadAt(part, from); k < len(part) {
			return noEOF(err)
		}
		if _, err := f.WriteAt(part, to); err != nil {
			return err
		}
		from, to, n = from+int64(len(part)), to+int64(len(part)), n-int64(len(part))
	}
	return nil
}
