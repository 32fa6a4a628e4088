package mdbox

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"slices"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
)

// spool is a message file that is being written: what is in buf and, once that was too much, a file with a temporary name.
// It becomes a file m.<id>, or the end of one.
type spool struct {
	dir  *disk.Dir
	mode fs.FileMode
	now  time.Time
	room int64 // to ask for when the file is made; 0: none

	buf     []byte // behind the bytes of the file
	f       *disk.File
	temp    string // its name
	flushed int64  // its size

	header int64  // length of the file header
	id     uint32 // of the file m.<id> that it was made
	at     int64  // what stands in front of its messages there, in place of the header
	kept   bool   // the map points to it
}

// spoolMemory is how much is held in memory: a few messages of most sizes.
const spoolMemory = 256 << 10

func newSpool(dir *disk.Dir, mode fs.FileMode, now time.Time) *spool {
	s := &spool{dir: dir, mode: mode, now: now}
	s.buf = dbox.AppendFileHeader(nil, uint64(now.Unix()))
	s.header = int64(len(s.buf))
	s.at = s.header
	return s
}

func (s *spool) size() int64 { return s.flushed + int64(len(s.buf)) }

// flush writes what is in memory.
func (s *spool) flush() (err error) {
	if s.f == nil {
		s.temp = tree.TempName(s.now)
		if s.f, err = s.dir.Create(s.temp, s.mode); err != nil {
			return err
		}
		if s.room > 0 {
			s.f.Reserve(s.room) // where that cannot be had nothing is worse than without
		}
	}
	n, err := s.f.WriteAt(s.buf, s.flushed)
	s.flushed += int64(n)
	s.buf = s.buf[:0]
	return err
}

// message adds a message; after an error it is as before.
func (s *spool) message(ctx context.Context, body formats.Body, meta *dbox.Metadata) (offset, size int64, err error) {
	offset = s.size()
	if err := s.write(ctx, body, meta); err != nil {
		return 0, 0, errors.Join(err, s.cut(offset))
	}
	return offset, s.size() - offset, nil
}

func (s *spool) write(ctx context.Context, body formats.Body, meta *dbox.Metadata) error {
	start := s.size()
	s.buf = dbox.AppendMessageHeader(s.buf, body.Size())
	stored, err := s.body(ctx, body, meta)
	if err != nil {
		return err
	}
	if s.buf, err = meta.Append(s.buf); err != nil {
		return err
	}
	if stored == body.Size() {
		return nil
	}
	head := dbox.AppendMessageHeader(nil, stored) // the source did not know its size well
	if at := start - s.flushed; at >= 0 {
		copy(s.buf[at:], head)
		return nil
	}
	if start+int64(len(head)) > s.flushed {
		if err := s.flush(); err != nil {
			return err
		}
	}
	_, err = s.f.WriteAt(head, start)
	return err
}

// body copies the message and measures it.
func (s *spool) body(ctx context.Context, body formats.Body, meta *dbox.Metadata) (int64, error) {
	var lines dbox.LineCounter
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if len(s.buf) >= spoolMemory {
			if err := s.flush(); err != nil {
				return 0, err
			}
		}
		room := min(max(body.Size()-lines.Size, 512), spoolMemory)
		s.buf = append(s.buf, make([]byte, room)...)
		part := s.buf[int64(len(s.buf))-room:]
		n, err := body.ReadAt(part, lines.Size)
		lines.Count(part[:n])
		s.buf = s.buf[:len(s.buf)-len(part)+n]
		if errors.Is(err, io.EOF) || err == nil && lines.Size == body.Size() {
			meta.VirtualSize = lines.VirtualSize()
			return lines.Size, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// copy adds the bytes of a message.
func (s *spool) copy(r io.Reader) error {
	for {
		if len(s.buf) >= spoolMemory {
			if err := s.flush(); err != nil {
				return err
			}
		}
		at := len(s.buf)
		s.buf = slices.Grow(s.buf, 32<<10)[:at+32<<10]
		n, err := io.ReadFull(r, s.buf[at:])
		s.buf = s.buf[:at+n]
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// take copies the messages of a spool that is in memory, and says where they begin.
func (s *spool) take(from *spool) (start int64, err error) {
	start = s.size()
	s.buf = append(s.buf, from.buf[from.header:]...)
	if len(s.buf) >= spoolMemory {
		err = s.flush()
	}
	return start, err
}

// cut takes away what was written behind a place.
func (s *spool) cut(at int64) error {
	if at >= s.flushed {
		s.buf = s.buf[:at-s.flushed]
		return nil
	}
	s.buf, s.flushed = s.buf[:0], at
	return s.f.Truncate(at)
}

// finish makes the file complete and durable.
func (s *spool) finish() error {
	if len(s.buf) > 0 {
		if err := s.flush(); err != nil {
			return err
		}
	}
	return s.f.Sync()
}

// place is where a message is that the spool has at offset.
func (s *spool) place(offset, size int64) place {
	p := place{file: s.id, offset: uint32(offset - s.header + s.at), size: uint32(size)}
	if size > math.MaxUint32 {
		p.size = 0
	}
	return p
}

// name gives the file the first free name from an id on.
func (s *spool) name(id uint32) error {
	for ; id != 0; id++ {
		err := s.dir.RenameNew(s.temp, s.dir, fileName(id))
		if errors.Is(err, fs.ErrExist) {
			continue // a run that died left it, or the map lost it
		}
		if err == nil {
			s.id = id
		}
		return err
	}
	return formats.Corrupt("map: there are no more file ids")
}

// append writes the messages at the end of a file of the store.
func (s *spool) append(f *disk.File, end int64) error {
	if s.f != nil {
		if _, err := io.Copy(&writerAt{f, end}, s.f.Section(s.header, s.flushed-s.header)); err != nil {
			return err
		}
	}
	at, rest := end+max(s.flushed-s.header, 0), s.buf
	if s.f == nil {
		rest = rest[s.header:]
	}
	if _, err := f.WriteAt(rest, at); err != nil {
		return err
	}
	return f.Sync()
}

type writerAt struct {
	f  *disk.File
	at int64
}

func (w *writerAt) Write(p []byte) (int, error) {
	n, err := w.f.WriteAt(p, w.at)
	w.at += int64(n)
	return n, err
}

// close removes a file that was not wanted in the end.
func (s *spool) close() {
	if s.f == nil {
		return
	}
	s.f.Close()
	switch {
	case s.kept:
	case s.id != 0:
		s.dir.Remove(fileName(s.id)) // no record points to it
	default:
		s.dir.Remove(s.temp)
	}
}
