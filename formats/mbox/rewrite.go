package mbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// piece is a message to be written again.
type piece struct {
	file     *disk.File
	entry    *entry
	uid      formats.UID
	flags    formats.Flags
	keywords []string
	same     bool // nothing about it changes
}

// sink takes the content of a mailbox file that is written anew.
type sink interface {
	io.Writer
	take(f *disk.File, from, n int64) error // bytes of another file
	last(p []byte) error                    // the byte that came last
	pos() int64                             // how many came
}

// rewriter writes a mailbox file anew. Messages that stay as they are are copied in long runs.
type rewriter struct {
	out     sink
	dialect Dialect
	zone    *time.Location
	count   int
	places  []place

	run      *disk.File // file of the run not yet copied, nil none
	from, to int64
	headers  map[*disk.File]*scanner
	touch    func() error
}

// place is where a message lies in a new file. Its line end before the From_ line counts as part of it, as in Dovecot's
// index.
type place struct {
	uid formats.UID
	at  int64
}

// rewrite writes the whole mailbox to a new file and puts it in place of the old one.
func (c *committer) rewrite(ctx context.Context) error {
	out, err := c.box.newSpool()
	if err != nil {
		return err
	}
	err = c.rewriteTo(ctx, out)
	if err == nil {
		err = c.overwrite(out)
	}
	if derr := out.discard(); derr != nil {
		c.leftover = errors.Join(c.leftover, derr)
	}
	return err
}

func (c *committer) rewriteTo(ctx context.Context, out sink) error {
	w := c.newRewriter(out)
	defer w.release()
	first := &c.base
	err := c.each(ctx, func(p piece) error {
		err := w.message(p, first)
		first = nil
		return err
	})
	if err == nil {
		err = w.flush()
	}
	c.places = w.places
	if err == nil && w.count == 0 {
		_, err = out.Write(internalMessage(c.base, time.Now()))
	}
	return err
}

func (c *committer) newRewriter(out sink) *rewriter {
	return &rewriter{out: out, dialect: c.now.dialect, zone: c.now.zone, headers: map[*disk.File]*scanner{}, touch: c.keepLock()}
}

// keepLock gives a function that, called often, tells others that the holder of the dotlock lives.
func (c *committer) keepLock() func() error {
	next := time.Now().Add(lockTouch)
	return func() error {
		if c.l.dot == nil || time.Now().Before(next) {
			return nil
		}
		next = time.Now().Add(lockTouch)
		return c.l.dot.Touch()
	}
}

const lockTouch = 10 * time.Second

// renumbered makes a spool with the messages of the transaction's in order of their UIDs.
func (c *committer) renumbered(ctx context.Context) (*spool, error) {
	out, err := c.box.newSpool()
	if err != nil {
		return nil, err
	}
	w := c.newRewriter(out)
	defer w.release()
	err = c.appended(ctx, func(p piece) error { return w.message(p, nil) })
	if err == nil {
		err = w.flush()
	}
	if err != nil {
		out.discard()
		return nil, err
	}
	return out, nil
}

// each gives the messages of the mailbox as they are to be.
func (c *committer) each(ctx context.Context, fn func(piece) error) error {
	for i := range c.now.entries {
		e := &c.now.entries[i]
		if c.gone.Contains(e.uid) {
			continue
		}
		p := piece{file: c.now.file, entry: e, uid: e.uid, flags: c.flagsOf(e), keywords: c.now.keySets[e.keys], same: e.given == e.uid && e.bits&unfinished == 0 && !c.fix[e.uid]}
		c.change(&p)
		if err := fn(p); err != nil {
			return err
		}
	}
	return c.appended(ctx, func(p piece) error {
		if c.gone.Contains(p.uid) {
			return nil
		}
		c.change(&p)
		return fn(p)
	})
}

// flagsOf are the flags of a message with \Recent.
func (c *committer) flagsOf(e *entry) formats.Flags {
	if e.uid >= max(c.now.firstRecent, c.claim) {
		return e.flags | formats.Recent
	}
	return e.flags
}

// change applies the flag changes of the transaction.
func (c *committer) change(p *piece) {
	for _, f := range c.changes {
		if !f.uids.Contains(p.uid) {
			continue
		}
		flags, keywords := f.change.Apply(p.flags, p.keywords)
		if flags&formats.SystemFlags != p.flags&formats.SystemFlags || !formats.SameKeywords(keywords, p.keywords) {
			p.same = false
		}
		p.flags, p.keywords = flags, keywords
	}
}

// appended gives the messages of the spool in the order of their UIDs.
func (c *committer) appended(ctx context.Context, fn func(piece) error) error {
	if len(c.records) == 0 {
		return nil
	}
	st, err := c.spool.f.Stat()
	if err != nil {
		return err
	}
	l := newLoader(c.spool.f, st, Auto, time.UTC, nil)
	for _, k := range c.added {
		l.learn(k)
	}
	s, err := l.load(ctx)
	if err != nil {
		return err
	}
	places := make(map[int64]int, len(s.entries))
	for i := range s.entries {
		places[s.entries[i].from] = i
	}
	for _, r := range c.records {
		i, ok := places[r.from]
		if !ok {
			return fmt.Errorf("message %d is not found again in %s", r.asked, c.spool.name)
		}
		e, flags := &s.entries[i], r.flags
		p := piece{file: c.spool.f, entry: e, uid: r.asked, flags: flags, keywords: s.keySets[e.keys], same: r.asked == r.uid && c.baseAt == 0}
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// message writes one message; first is X-IMAPbase for the first one of a file.
func (w *rewriter) message(p piece, first *base) error {
	w.count++
	if err := w.touch(); err != nil {
		return err
	}
	if p.same && first == nil && w.count > 1 {
		return w.verbatim(p)
	}
	if err := w.flush(); err != nil {
		return err
	}
	return w.again(p, first)
}

// verbatim copies a message as it stands, with the line end behind it.
func (w *rewriter) verbatim(p piece) error {
	e := p.entry
	if w.run == p.file && w.to == e.from {
		w.placed(p.uid, w.out.pos()+w.to-w.from)
		w.to = w.next(p)
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	w.placed(p.uid, w.out.pos())
	w.run, w.from, w.to = p.file, e.from, w.next(p)
	return nil
}

// placed notes where the From_ line of a message is. Behind a CR LF, which is rare, Dovecot has to look for itself.
func (w *rewriter) placed(uid formats.UID, from int64) {
	w.places = append(w.places, place{uid, max(from-1, 0)})
}

// next is the place behind the line end that ends a message, where one is; flush adds it where the file lacks it.
func (w *rewriter) next(p piece) int64 {
	sc := w.scanner(p.file, p.entry.end+2)
	return sc.skipEOL(p.entry.end)
}

func (w *rewriter) flush() error {
	if w.run == nil {
		return nil
	}
	if err := w.copy(w.run, w.from, w.to); err != nil {
		return err
	}
	w.run = nil
	var last [1]byte
	if err := w.out.last(last[:]); err != nil {
		return err
	}
	if last[0] != '\n' {
		_, err := w.out.Write([]byte{'\n'})
		return err
	}
	return nil
}

func (w *rewriter) copy(f *disk.File, from, to int64) error {
	const step = 64 << 20
	for from < to {
		n := min(to-from, step)
		if err := w.out.take(f, from, n); err != nil {
			return err
		}
		from += n
		if err := w.touch(); err != nil {
			return err
		}
	}
	return nil
}

// scanner is for looking at headers again.
func (w *rewriter) scanner(f *disk.File, end int64) *scanner {
	s := w.headers[f]
	if s == nil {
		s = newScanner(f, end, w.dialect, w.zone)
		s.headers.exact = true
		w.headers[f] = s
	}
	s.w.size = max(s.w.size, end)
	return s
}

func (w *rewriter) release() {
	for _, s := range w.headers {
		s.release()
	}
}

// again writes a message with new fields of ours. Everything else of it stays: its From_ line, its header, its body.
func (w *rewriter) again(p piece, first *base) error {
	e := p.entry
	w.placed(p.uid, w.out.pos())
	if err := w.copy(p.file, e.from, e.start()); err != nil {
		return err
	}
	sc := newScanner(p.file, e.end, w.dialect, w.zone)
	defer sc.release()
	sc.headers.exact = true
	h := sc.headers.read(e.start())
	headEnd := h.end - int64(h.blank)
	parts := h.visible(e.start(), headEnd)
	own := ownFields{base: first, uid: p.uid, flags: p.flags, keywords: p.keywords, pad: padding, contentLength: -1}
	if h.unfinished {
		return w.headerOnly(p, parts, own)
	}
	own.contentLength = e.end - h.end
	if _, err := parts.copyTo(w.out, p.file); err != nil {
		return err
	}
	text, _ := own.append(nil)
	if _, err := w.out.Write(text); err != nil {
		return err
	}
	if err := w.copy(p.file, headEnd, e.end); err != nil {
		return err
	}
	return w.separate()
}

// headerOnly writes a message that ends in its header. When its last line has no line end, our fields go to the front.
func (w *rewriter) headerOnly(p piece, parts spans, own ownFields) error {
	text, _ := own.append(nil)
	var edge [2]byte
	if n := parts.size(); n > 0 {
		parts.readAt(edge[:1], 0, p.file)
		parts.readAt(edge[1:], n-1, p.file)
	}
	front := edge[1] != 0 && edge[1] != '\n' && !isBlank(edge[0])
	if front {
		if _, err := w.out.Write(text); err != nil {
			return err
		}
	}
	if _, err := parts.copyTo(w.out, p.file); err != nil {
		return err
	}
	if front {
		return w.separate()
	}
	if err := w.endLine(); err != nil {
		return err
	}
	_, err := w.out.Write(text) // the line end of our last field separates
	return err
}

func (w *rewriter) separate() error {
	var last [1]byte
	if err := w.out.last(last[:]); err != nil {
		return err
	}
	_, err := w.out.Write(separator(last[0]))
	return err
}

// endLine makes sure that a new line begins: a header that ended with the file may lack the line end.
func (w *rewriter) endLine() error {
	var last [1]byte
	if err := w.out.last(last[:]); err != nil || last[0] == '\n' {
		return err
	}
	_, err := w.out.Write([]byte{'\n'})
	return err
}

func (s *spool) take(f *disk.File, from, n int64) error {
	_, err := io.Copy(s, io.LimitReader(f.Section(from, n), n))
	return err
}

// last reads the byte written last.
func (s *spool) last(p []byte) error {
	if n := len(s.buf); n > 0 {
		p[0] = s.buf[n-1]
		return nil
	}
	_, err := s.f.ReadAt(p, s.off-1)
	return noTail(err)
}

// noTail forgives an end of file behind a full read.
func noTail(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
