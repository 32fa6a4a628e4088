package sync

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sync/errgroup"

	"dovetail/formats"
)

// copying is the state of filling one mailbox, across its groups.
type copying struct {
	*work
	c *compare
	p *plan

	copied []pair // committed

	mu     sync.Mutex // guards what follows
	failed map[uint32]bool
	marks  []mark // of the group at hand
}

// mark is the hash by which a message of the source will be known in the target.
type mark struct {
	src  uint32
	hash uint64
}

// do carries a plan out and gives the pairs that were copied.
func (w *work) do(ctx context.Context, c *compare, p *plan) ([]pair, error) {
	cp := &copying{work: w, c: c, p: p, failed: map[uint32]bool{}}
	next, stop := iter.Pull(cp.messages())
	defer stop()
	for last := false; !last; {
		group, end, err := cp.group(ctx, next)
		cp.copied = append(cp.copied, group...)
		w.r.Appended += len(group)
		// What stands in a planned place after a group that was not committed is not ours.
		w.journal.put(w.entryOf(c, cp.sofar(), nil, w.there))
		if err != nil {
			return nil, err
		}
		last = end
	}
	return cp.copied, nil
}

// sofar are the pairs known while a plan is being carried out, by target UID. Messages that are about to be expunged
// are ours until they are.
func (cp *copying) sofar() []pair {
	pairs := slices.Concat(cp.p.kept, cp.p.gone, cp.copied)
	sortByTarget(pairs)
	return pairs
}

// intend makes durable what is about to be committed, so that after a death in the commit the next run knows which
// messages of the target are ours.
func (cp *copying) intend(ctx context.Context, group []pair) error {
	if len(group) == 0 {
		return nil
	}
	e := cp.entryOf(cp.c, cp.sofar(), group, cp.there)
	e.marks = make([]uint64, 0, len(group))
	bySource := func(m mark, src uint32) int { return cmp.Compare(m.src, src) }
	slices.SortFunc(cp.marks, func(a, b mark) int { return bySource(a, b.src) })
	for _, pr := range group {
		at, _ := slices.BinarySearchFunc(cp.marks, pr.src, bySource) // every message of the group has one
		e.marks = append(e.marks, cp.marks[at].hash)
	}
	cp.marks = cp.marks[:0]
	cp.journal.put(e)
	return cp.journal.flush(ctx)
}

// mark gives the hash by which a message is known in the target before anybody has seen it there: its GUID if the
// target holds that, else its date and size, without the size if the target changes that.
func (cp *copying) mark(m *formats.Message, size int64, resized bool) uint64 {
	switch {
	case !cp.limits.NoGUID && m.GUID != "" && cp.limits.HoldsID(m.GUID):
		return hashText(m.GUID)
	case resized:
		return hashLook(m.InternalDate.Unix(), -1)
	}
	return hashLook(m.InternalDate.Unix(), size)
}

// found is a message of the source on its way, with the UID it gets.
type found struct {
	formats.Message
	pair     pair
	keywords []string // that the target can hold
}

// messages gives the messages to copy in the order of the UIDs they get, as they were listed.
func (cp *copying) messages() iter.Seq[found] {
	return func(yield func(found) bool) {
		for _, part := range cp.p.appends {
			for _, pr := range part {
				at, _ := cp.c.src.find(pr.src)
				r := cp.c.src.recs[at]
				f := found{Message: cp.c.src.message(r, cp.sets), pair: pr, keywords: cp.c.hold.names(r.set())}
				if err := cp.c.src.bad[f.UID]; err != nil {
					cp.aside(f, err)
				} else if !yield(f) {
					return
				}
			}
		}
	}
}

// bodyWorkers is how many goroutines read or write bodies within one mailbox.
func bodyWorkers() int { return min(4, runtime.GOMAXPROCS(0)) }

func (cp *copying) writers() int {
	if cp.limits.OneTx {
		return 1 // one file: the bodies come one after another anyway
	}
	return bodyWorkers()
}

// group copies and commits one group; end tells that it was the last, in which everything but appends is done as well.
func (cp *copying) group(ctx context.Context, next func() (found, bool)) (copied []pair, end bool, err error) {
	messages, size := cp.o.GroupMessages, cp.o.GroupBytes
	if cp.limits.OneTx && cp.fresh {
		messages, size = int(^uint(0)>>1), int64(^uint64(0)>>1)
	}
	var taken []pair
	var volume atomic.Int64
	_, err = cp.dst.Update(ctx, func(tx formats.Tx) error {
		workers, wctx := errgroup.WithContext(ctx)
		queue := make(chan found, 64)
		for range cp.writers() {
			workers.Go(func() error { return cp.copyAll(wctx, tx, queue, &volume) })
		}
		workers.Go(func() error {
			defer close(queue)
			for len(taken) < messages && volume.Load() < size {
				f, ok := next()
				if !ok {
					end = true
					return nil
				}
				select {
				case queue <- f:
					taken = append(taken, f.pair)
				case <-wctx.Done():
					return wctx.Err()
				}
			}
			return nil
		})
		if err := workers.Wait(); err != nil {
			return err
		}
		taken = slices.DeleteFunc(taken, func(p pair) bool { return cp.failed[p.src] })
		if err := cp.intend(ctx, taken); err != nil || !end {
			return err
		}
		return cp.rest(tx)
	})
	if err != nil {
		return nil, false, err
	}
	cp.r.Bytes += volume.Load()
	return taken, end, nil
}

// rest does everything of the plan but the appends.
func (cp *copying) rest(tx formats.Tx) error {
	for step, uids := range cp.p.flags {
		r := record{look: step.look}
		change := formats.FlagChange{Op: formats.ReplaceFlags, Flags: r.flags(), Keywords: cp.sets.names[r.set()],
			ModSeq: formats.ModSeq(step.modseq)}
		if err := tx.SetFlags(*uids, change); err != nil {
			return err
		}
	}
	if len(cp.p.expunge) > 0 {
		if err := tx.Expunge(cp.p.expunge); err != nil {
			return err
		}
	}
	if cp.p.uidNext == 0 && cp.p.highest == 0 && cp.p.firstRecent == 0 {
		return nil
	}
	return tx.Raise(cp.p.uidNext, cp.p.highest, cp.p.firstRecent)
}

func (cp *copying) copyAll(ctx context.Context, tx formats.Tx, queue <-chan found, volume *atomic.Int64) error {
	for f := range queue {
		n, err := cp.copyOne(ctx, tx, f)
		if err != nil {
			return err
		}
		volume.Add(n)
		cp.progressed(1)
		cp.progress.Bytes.Add(n)
	}
	return nil
}

// copyOne copies a message or sets it aside; an error is about the whole mailbox or run.
func (cp *copying) copyOne(ctx context.Context, tx formats.Tx, f found) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	body, err := cp.src.Body(ctx, &f.Message)
	if errors.Is(err, formats.ErrNoMessage) {
		cp.skip(f)
		return 0, nil
	}
	if err != nil {
		if fatal(err) {
			return 0, err
		}
		cp.aside(f, err)
		return 0, nil
	}
	defer body.Close()
	uid := f.Message.UID
	losses := cp.losses(&f.Message, body)
	m := f.Message
	m.UID = formats.UID(f.pair.dst)
	m.Flags &= formats.SystemFlags
	m.Keywords = f.keywords
	if err := tx.Append(ctx, m, body); err != nil {
		if fatal(err) || ctx.Err() != nil {
			return 0, err
		}
		cp.aside(f, err)
		return 0, nil
	}
	resized := slices.ContainsFunc(losses, func(l detail) bool { return l.kind == lostEnding || l.kind == lostHeader || l.kind == lostHeaderLine })
	hash := cp.mark(&m, body.Size(), resized)
	cp.mu.Lock()
	cp.marks = append(cp.marks, mark{f.pair.src, hash})
	cp.mu.Unlock()
	for _, l := range losses {
		cp.findings.lose(cp.name(), l.kind, l.detail, l.why, uid)
	}
	return body.Size(), nil
}

// aside leaves out a message that cannot be read or written, skip one that is gone.
func (cp *copying) aside(f found, err error) {
	cp.skip(f)
	cp.findings.setAside(cp.name(), f.Message.UID, err, "mend or remove this message and run the same again")
	cp.log.Warn("message set aside", "mailbox", cp.name(), "uid", f.Message.UID, "err", err)
}

func (cp *copying) skip(f found) {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	cp.failed[f.pair.src] = true
}

// detail is one loss of one message.
type detail struct {
	kind        kind
	detail, why string
}

// pop3Losses finds what the target cannot hold of what POP3 shows of a message.
func pop3Losses(m *formats.Message, to formats.Limits) (out []detail) {
	if to.IDProblem != nil {
		if why := to.IDProblem(m.POP3UIDL); why != "" {
			out = append(out, detail{lostPOP3UIDL, strconv.Quote(m.POP3UIDL), why})
		}
	}
	if to.NoPOP3 && m.POP3UIDL != "" {
		out = append(out, detail{lostPOP3UIDL, "", to.Format + " keeps no POP3 UIDLs"})
	}
	if to.NoPOP3 && m.POP3Order != 0 {
		out = append(out, detail{lostPOP3Order, "", to.Format + " keeps no POP3 order"})
	}
	if to.POP3OrderProblem != nil && m.POP3Order != 0 {
		if why := to.POP3OrderProblem(m); why != "" {
			out = append(out, detail{lostPOP3Order, "", why})
		}
	}
	return out
}

// losses finds what the target cannot hold of a message whose body is open: only the header and the last byte are read,
// and those only for formats that touch them.
func (cp *copying) losses(m *formats.Message, body formats.Body) []detail {
	var out []detail
	to, from := cp.limits, cp.from
	if to.NoGUID && !from.NoGUID && m.GUID != "" && !m.DerivedGUID {
		out = append(out, detail{lostGUID, "", to.Format + " computes GUIDs from headers"})
	}
	if to.IDProblem != nil {
		if why := to.IDProblem(m.GUID); why != "" && !m.DerivedGUID {
			out = append(out, detail{lostGUID, strconv.Quote(m.GUID), why})
		}
	}
	if !to.POP3InboxOnly || cp.task.target == "INBOX" {
		out = append(out, pop3Losses(m, to)...)
	}
	if to.NoSaveDate && !from.NoSaveDate && !m.SaveDate.IsZero() {
		out = append(out, detail{lostSaveDate, "", to.Format + " keeps no save dates"})
	}
	if to.FinalNewline && !endsWithNewline(body) {
		out = append(out, detail{lostEnding, "", to.Format + " ends every message with a line end"})
	}
	if len(to.HiddenHeaders) > 0 || to.HeaderProblem != nil {
		out = append(out, headerLosses(body, to)...)
	}
	return out
}

// headerLosses looks at the lines of the header; each loss is given once.
func headerLosses(body formats.Body, to formats.Limits) []detail {
	var out []detail
	for line := range headerLines(io.NewSectionReader(body, 0, body.Size())) {
		var d detail
		if name := fieldName(line, to.HiddenHeaders); name != "" {
			d = detail{lostHeader, name, to.Format + " keeps this header field for itself"}
		} else if to.HeaderProblem != nil {
			line = bytes.TrimRight(line, "\r\n")
			if why := to.HeaderProblem(line); why != "" {
				d = detail{lostHeaderLine, fmt.Sprintf("%.60q", line), why}
			}
		}
		if d != (detail{}) && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

func endsWithNewline(body formats.Body) bool {
	var last [1]byte
	n, _ := body.ReadAt(last[:], body.Size()-1)
	return n == 1 && last[0] == '\n'
}

// fatal tells whether an error ends the whole run: nothing more can be written, or nobody wants it any more.
func fatal(err error) bool {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded, formats.ErrReadOnly,
		syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}
