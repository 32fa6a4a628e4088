package mbox

import (
	"bytes"
	"errors"
	"io"
	"io/fs"

	"dovetail/formats/disk"
)

// A mailbox file is never replaced by another one: a Dovecot that waits for its lock looks whether the file has been
// replaced before it waits, and not again when it has the lock (2.3.19.1, mbox-lock.c: mbox_file_open_latest). It would go
// on with the old file, and what it saves there would be lost. So the file is written over in place, and that it be all or
// nothing, what it is to hold lies complete beside it meanwhile, with a note that says so: after a crash readers read that,
// and the next writer does it again.

// overwrite makes the mailbox file hold what a spool does, durably.
func (c *committer) overwrite(s *spool) error {
	if err := s.sync(); err != nil {
		return err
	}
	in := intent{Ino: c.l.info.Ino, Size: c.l.info.Size, Spool: s.name, Total: s.pos(), Whole: true}
	if err := c.box.note(in); err != nil {
		return err
	}
	if err := in.extend(c.l.f, s.f); err != nil {
		return c.giveUp(in, err)
	}
	s.kept = true // if this fails twice whoever comes next does it
	if c.finish(in, s) != nil {
		if err := c.finish(in, s); err != nil {
			return err
		}
	}
	s.kept = false
	return nil
}

func (c *committer) finish(in intent, s *spool) error {
	err := in.fill(c.l.f, s.f)
	if err == nil {
		err = c.settle()
	}
	if err == nil {
		err = c.box.forget(in.Spool)
	}
	return err
}

// extend writes what lies behind the old end: only that needs room on the disk.
func (in intent) extend(f, from *disk.File) error {
	if in.Total <= in.Size {
		return nil
	}
	return copyDiffering(f, from, in.Size, in.Total)
}

// giveUp takes back an extension for which there was no room.
func (c *committer) giveUp(in intent, err error) error {
	if terr := c.l.f.Truncate(in.Size); terr != nil {
		return errors.Join(err, terr)
	}
	return errors.Join(err, c.box.forget(in.Spool))
}

// fill writes the rest. What others have added to the file since a process of ours died in the midst of this stays, behind
// line ends that mean nothing.
func (in intent) fill(f, from *disk.File) error {
	if err := copyDiffering(f, from, 0, in.Total); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	end := max(in.Size, in.Total)
	if st.Size <= end {
		return f.Truncate(in.Total)
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{'\n'}, int(end-in.Total)), in.Total)
	return err
}

// copyDiffering copies a part of one file to the same place of another, but what is equal there.
func copyDiffering(to, from *disk.File, at, end int64) error {
	is, was := make([]byte, 64<<10), make([]byte, 64<<10)
	for at < end {
		n := int(min(end-at, int64(len(is))))
		if m, err := from.ReadAt(is[:n], at); m < n {
			return noEOF(err)
		}
		m, err := to.ReadAt(was[:n], at)
		if m < n && err != nil && err != io.EOF {
			return err
		}
		if m < n || !bytes.Equal(is[:n], was[:n]) {
			if _, err := to.WriteAt(is[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
	}
	return nil
}

// unfinishedRewrite opens what a mailbox file is to hold; nil unless a process of ours died while it wrote that.
func (b *Mailbox) unfinishedRewrite(st disk.Info) (intent, *disk.File, error) {
	in, ok := b.readIntent()
	if !ok || !in.Whole || in.Ino != st.Ino {
		return in, nil, nil
	}
	f, err := b.dir.Open(in.Spool)
	if errors.Is(err, fs.ErrNotExist) {
		return in, nil, nil
	}
	if err != nil {
		return in, nil, err
	}
	if now, err := f.Stat(); err != nil || now.Size != in.Total {
		return in, nil, errors.Join(err, f.Close())
	}
	return in, f, nil
}

// redo finishes such a rewrite; the mailbox is locked.
func (b *Mailbox) redo(l *held, in intent, from *disk.File) error {
	err := in.fill(l.f, from)
	if err == nil {
		err = touched(l.f, l.info)
	}
	if err == nil {
		err = l.f.Sync()
	}
	return errors.Join(err, from.Close())
}
