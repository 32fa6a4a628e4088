package mbox

import (
	"context"
	"errors"
	"io/fs"

	"dovetail/formats"
)

// patchOne changes the flags of a single message in place, with one write, using the spaces behind its keywords. More
// messages than one mean a rewrite: only that is all of it or nothing.
func (c *committer) patchOne(ctx context.Context) (bool, error) {
	var one *piece
	for i := range c.now.entries {
		e := &c.now.entries[i]
		p := piece{entry: e, uid: e.uid, flags: c.flagsOf(e), keywords: c.now.keySets[e.keys], same: true}
		if c.change(&p); p.same {
			continue
		}
		if one != nil {
			return false, nil
		}
		one = &p
	}
	if one == nil {
		return true, nil
	}
	if len(c.base.keywords) != len(c.now.base.keywords) || c.raise > c.now.next {
		return false, nil // X-IMAPbase must change as well
	}
	at, text, err := c.fieldsInPlace(one)
	if err != nil || text == nil {
		return false, err
	}
	if _, err := c.l.f.WriteAt(text, at); err != nil {
		return false, err
	}
	if err := c.settle(); err != nil {
		return false, err
	}
	c.unmoved = true
	return true, nil
}

// fieldsInPlace gives new fields behind X-UID as long as those that the message has; nil if they do not fit, or do not
// stand together.
func (c *committer) fieldsInPlace(p *piece) (at int64, text []byte, err error) {
	e := p.entry
	sc := newScanner(c.now.file, e.end, c.now.dialect, c.now.zone)
	defer sc.release()
	sc.headers.exact = true
	h := sc.headers.read(e.start())
	if sc.w.err != nil || h.unfinished {
		return 0, nil, sc.w.err
	}
	var end int64
	for _, f := range h.hidden {
		switch {
		case f.kind == fieldUID, f.kind == fieldIMAP, f.kind == fieldIMAPBase:
			if end != 0 {
				return 0, nil, nil
			}
		case end == 0:
			at, end = f.start, f.end
		case f.start != end:
			return 0, nil, nil
		default:
			end = f.end
		}
	}
	own := ownFields{flags: p.flags, keywords: p.keywords, contentLength: e.end - h.end}
	own.pad = int(end-at) - len(own.appendFlags(nil))
	if own.pad < 1 {
		return 0, nil, nil
	}
	return at, own.appendFlags(nil), nil
}

// exists tells an existing mailbox apart from other failures.
func exists(err, second error) error {
	if errors.Is(err, fs.ErrExist) {
		return formats.ErrExists
	}
	return errors.Join(err, second)
}
