package mbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strings"

	"dovetail/formats/disk"
)

// spool is a file beside the mailbox into which a transaction writes: an mbox file itself. Its lock, held as long as its
// process lives, tells it from one that a dead process left behind.
type spool struct {
	dir  *disk.Dir
	name string
	f    *disk.File
	buf  []byte
	off  int64 // of buf in the file
	kept bool  // a note speaks of it: discard leaves it
}

// spoolBuffer is how much is written at once.
const spoolBuffer = 512 << 10

// ownName makes a name for a file of ours about one mailbox: names of mailboxes may be too long to be part of it.
func (b *Mailbox) ownName(kind string) string {
	h := fnv.New64a()
	h.Write([]byte(b.file))
	return fmt.Sprintf("%s%s-%016x", ownPrefix, kind, h.Sum64())
}

func (b *Mailbox) newSpool() (*spool, error) {
	name := b.ownName("spool") + "-" + rand.Text()[:12] + lockSuffix
	f, err := b.dir.Create(name, fileMode)
	if err != nil {
		return nil, err
	}
	s := &spool{dir: b.dir, name: name, f: f, buf: make([]byte, 0, spoolBuffer)}
	if _, err := f.TryLock(true); err != nil {
		return nil, errors.Join(err, s.discard())
	}
	return s, nil
}

// sweep removes spools of dead processes; the mailbox is locked.
func (b *Mailbox) sweep() error {
	names, err := b.dir.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, b.ownName("spool")) {
			continue
		}
		f, err := b.dir.OpenWrite(name, 0)
		if err != nil {
			continue // gone
		}
		free, err := f.TryLock(true)
		f.Close()
		if free && err == nil {
			err = b.dir.Remove(name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// pos is where the next byte goes.
func (s *spool) pos() int64 { return s.off + int64(len(s.buf)) }

func (s *spool) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(s.buf) == cap(s.buf) {
			if err := s.flush(); err != nil {
				return 0, err
			}
		}
		k := copy(s.buf[len(s.buf):cap(s.buf)], p)
		s.buf = s.buf[:len(s.buf)+k]
		p = p[k:]
	}
	return n, nil
}

func (s *spool) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	if _, err := s.f.WriteAt(s.buf, s.off); err != nil {
		return err
	}
	s.off += int64(len(s.buf))
	s.buf = s.buf[:0]
	return nil
}

// patch replaces bytes that were written before.
func (s *spool) patch(at int64, p []byte) error {
	if at >= s.off {
		copy(s.buf[at-s.off:], p)
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	_, err := s.f.WriteAt(p, at)
	return err
}

// cut forgets everything from at on.
func (s *spool) cut(at int64) error {
	if at >= s.off {
		s.buf = s.buf[:at-s.off]
		return nil
	}
	s.buf = s.buf[:0]
	s.off = at
	return s.f.Truncate(at)
}

// sync makes the content durable.
func (s *spool) sync() error {
	if err := s.flush(); err != nil {
		return err
	}
	return s.f.Sync()
}

// discard removes the file.
func (s *spool) discard() error {
	if s.kept {
		return s.f.Close()
	}
	err := s.dir.Remove(s.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it got its final name
	}
	return errors.Join(err, s.f.Close())
}
