package index

import (
	"context"
	"errors"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index/translog"
)

// What damage costs, in words for the user; from experiments with Dovecot 2.3.19.1 and 2.4.4.
const (
	costRebuild = "Dovecot repairs the index at the next access and logs errors"
	costEmpty   = "Dovecot takes the mailbox for empty: it gets a new UIDVALIDITY, flags and keywords are lost"
	costLost    = "Dovecot rebuilds the mailbox: UIDs stay, flags, keywords, UIDVALIDITY and mailbox GUID are lost"
	costTail    = "Dovecot takes the log for corrupted when it next changes the mailbox"

	mendTail = "cut off the incomplete transaction"
)

// Check lists everything in the files of an index that Dovecot would complain about or mend; nothing when it is sound.
// It takes no lock: what another program is writing at the moment may look like an incomplete transaction.
// Problem.Mailbox is left empty. The error is one that keeps from looking.
func Check(dir *disk.Dir, prefix string) ([]formats.Problem, error) {
	var c checker
	c.dir, c.prefix = dir, prefix
	snap := c.snapshot()
	head := c.log()
	switch {
	case c.err != nil:
		return nil, c.err
	case c.noSnap && c.noLog:
		return nil, &formats.Error{Op: "check index", Path: join(dir, prefix), Err: fs.ErrNotExist}
	case c.noLog && snap == nil:
		return c.found, nil
	case len(c.found) > 0 && c.costs(costEmpty):
		return c.found, nil
	}
	if snap != nil && head != nil && snap.IndexID != head.IndexID {
		c.add(prefix, 16, formats.Corrupt("indexid %d, but the log has %d", snap.IndexID, head.IndexID), costRebuild, "")
		return c.found, nil
	}
	c.replay()
	return c.found, c.err
}

type checker struct {
	dir    *disk.Dir
	prefix string
	noSnap bool
	noLog  bool
	found  []formats.Problem
	err    error
}

func (c *checker) add(name string, offset int64, err error, cost, mend string) {
	c.found = append(c.found, formats.Problem{Path: join(c.dir, name), Offset: offset, What: err.Error(), Cost: cost, Mend: mend})
}

func (c *checker) costs(cost string) bool {
	for _, p := range c.found {
		if p.Cost == cost {
			return true
		}
	}
	return false
}

// damage files an error of reading: damage is a problem, anything else ends the check.
func (c *checker) damage(name string, err error, cost string) {
	if !errors.Is(err, formats.ErrCorrupt) {
		c.err = err
		return
	}
	if e, ok := errors.AsType[*formats.Error](err); ok {
		c.add(name, e.Offset, e.Err, cost, "")
		return
	}
	c.add(name, 0, err, cost, "")
}

// snapshot checks what can be seen in the snapshot alone; counters, too, which Read does not need.
func (c *checker) snapshot() *State {
	f, err := c.dir.Open(c.prefix)
	if errors.Is(err, fs.ErrNotExist) {
		c.noSnap = true
		return nil
	}
	if err != nil {
		c.err = err
		return nil
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		c.err = err
		return nil
	}
	s, h, err := readSnapshot(f, st.Size)
	if err != nil {
		c.damage(c.prefix, err, costRebuild)
		return s
	}
	if err := s.checkCounters(h); err != nil {
		c.damage(c.prefix, err, costRebuild)
	}
	return s
}

// checkCounters compares the header's counters with the records.
func (s *State) checkCounters(h *header) error {
	var seen, deleted uint32
	for i := range s.Len() {
		f := s.Flags(i)
		if f&formats.Seen != 0 {
			seen++
		}
		if f&formats.Deleted != 0 {
			deleted++
		}
	}
	if seen != h.seen {
		return badIndex(40, formats.Corrupt("%d messages are counted as seen, %d are", h.seen, seen))
	}
	if deleted != h.deleted {
		return badIndex(44, formats.Corrupt("%d messages are counted as deleted, %d are", h.deleted, deleted))
	}
	return nil
}

// log checks the log's header.
func (c *checker) log() *translog.Header {
	name := c.prefix + ".log"
	f, head, err := openLog(c.dir, name)
	if err == nil {
		f.Close()
		return &head
	}
	if _, serr := c.dir.Stat(name); errors.Is(serr, fs.ErrNotExist) {
		c.noLog = true
		if c.noSnap {
			return nil
		}
		c.add(name, 0, formats.Corrupt("log is missing"), "Dovecot starts a new one; changes that were only there are lost", "")
		return nil
	}
	cost := costRebuild
	if c.noSnap {
		cost = costEmpty
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = formats.Corrupt("log is empty")
	}
	c.damage(name, err, cost)
	return nil
}

// replay reads everything as Read does and looks at what is behind the last transaction.
func (c *checker) replay() {
	l, err := load(c.dir, c.prefix)
	if l.log != nil {
		defer l.log.Close()
	}
	if err != nil {
		c.joined(err)
		return
	}
	if l.log == nil {
		return
	}
	st, err := l.log.Stat()
	if err != nil {
		c.err = err
		return
	}
	if end := int64(l.state.Head); st.Size > end {
		what := formats.Corrupt("%d bytes behind the last complete transaction", st.Size-end)
		c.add(c.prefix+".log", end, what, costTail, mendTail)
	}
}

// joined files the errors of load that were not found before.
func (c *checker) joined(err error) {
	parts := []error{err}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		parts = j.Unwrap()
	}
	for _, err := range parts {
		e, ok := errors.AsType[*formats.Error](err)
		if !ok || !errors.Is(err, formats.ErrCorrupt) {
			c.err = err
			return
		}
		p := formats.Problem{Path: e.Path, Offset: e.Offset, What: e.Err.Error(), Cost: costRebuild}
		if e.Path == join(c.dir, c.prefix) && c.noSnap {
			p.Cost = costLost
		}
		if !c.knows(p) {
			c.found = append(c.found, p)
		}
	}
}

func (c *checker) knows(p formats.Problem) bool {
	for _, had := range c.found {
		if had.Path == p.Path {
			return true
		}
	}
	return false
}

// CutTail cuts off what a writer that died left behind the last complete transaction. Update does so by itself.
func (x *Index) CutTail(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.lock(ctx); err != nil { // cuts
		return err
	}
	return x.log.Unlock()
}
