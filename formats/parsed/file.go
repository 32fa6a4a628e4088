package parsed

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// file is one of our files: a header, and behind it what processes have appended. It is not for several goroutines at once.
type file struct {
	dir      *disk.Dir
	mode     fs.FileMode
	validity formats.UIDValidity
	name     string
	magic    string // of 15 bytes
	version  byte
	content  content

	f       *disk.File // nil when there is none
	writes  bool       // it is open for writing
	end     int64      // it is known up to here
	scanned int64      // the size that it had when it was read last
	turn    int        // counts the files that were opened
	stale   int64      // bytes that count no more
	broken  bool       // nothing more can be written
	opened  bool
}

// content is what a file holds.
type content interface {
	// forget is called before another file is read: nothing is known.
	forget()

	// take takes over what stands from end to size, and moves end behind what was whole.
	take(size int64)

	// reread is called after another file was read: what waits to be written is on top of it.
	reread()
}

// read opens the file if that was not tried yet, and takes over what is in it.
func (l *file) read() {
	if l.opened {
		return
	}
	l.opened = true
	l.reopen()
}

// reopen takes the file that has the name now.
func (l *file) reopen() {
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
	l.content.forget()
	l.end, l.scanned, l.stale = 0, 0, 0
	l.turn++
	f, err := l.dir.OpenWrite(l.name, 0)
	l.writes = err == nil
	if err != nil {
		f, err = l.dir.Open(l.name)
	}
	if err != nil {
		return
	}
	var head [headerSize]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || !l.validHeader(head[:]) {
		f.Close()
		return
	}
	l.f, l.end = f, headerSize
	l.scan()
}

// scan takes over what was appended since the last time. It stops at the first that is not whole.
func (l *file) scan() {
	info, err := l.f.Stat()
	if err != nil || info.Size == l.scanned {
		return
	}
	l.scanned = info.Size
	if info.Size > l.end {
		l.content.take(min(info.Size, maxFile))
	}
}

// lock locks the file that has the name now, which is made if there is none that fits. It does not wait.
func (l *file) lock() bool {
	for range 10 {
		if l.f == nil {
			if !l.create() {
				return false
			}
			continue
		}
		if !l.writes {
			l.broken = true
			return false
		}
		if ok, err := l.f.TryLock(true); !ok || err != nil {
			l.broken = err != nil && !errors.Is(err, disk.ErrLocked)
			return false
		}
		if l.named() {
			return true
		}
		l.f.Unlock()
		l.reopen()
		l.content.reread()
	}
	return false
}

func (l *file) unlock() {
	if l.f != nil {
		l.f.Unlock()
	}
}

// named tells whether the open file is the one that has the name.
func (l *file) named() bool {
	is, err := l.dir.Stat(l.name)
	if err != nil {
		return false
	}
	open, err := l.f.Stat()
	return err == nil && is.Ino == open.Ino && is.Dev == open.Dev
}

// add appends to the file, which is locked. What others have appended is taken over first, the torn end of a process that
// died is cut off.
func (l *file) add(b []byte) bool {
	l.scan()
	if info, err := l.f.Stat(); err == nil && info.Size > l.end {
		l.broken = l.f.Truncate(l.end) != nil
	}
	l.broken = l.broken || l.end+int64(len(b)) > maxFile
	if l.broken {
		return false
	}
	if _, err := l.f.WriteAt(b, l.end); err != nil {
		l.f.Truncate(l.end) // best effort: without it, the next scan stops there
		l.broken = true
	}
	return !l.broken
}

// create makes a file, in place of one that does not fit, unless somebody else is faster.
func (l *file) create() bool {
	name := l.temp()
	err := l.write(name, func(w io.Writer) error { return nil })
	if err == nil {
		l.dir.Remove(l.name) // one that does not fit
		err = l.dir.RenameNew(name, l.dir, l.name)
	}
	if err != nil {
		l.dir.Remove(name)
		if !errors.Is(err, fs.ErrExist) {
			l.broken = true
			return false
		}
	}
	l.reopen()
	l.content.reread()
	return l.f != nil
}

// replace makes a file with what fn writes in place of the one that is locked.
func (l *file) replace(fn func(w io.Writer) error) error {
	name := l.temp()
	err := l.write(name, fn)
	if err == nil {
		err = l.dir.Rename(name, l.dir, l.name)
	}
	if err != nil {
		l.dir.Remove(name)
	}
	return err
}

func (l *file) temp() string {
	return l.name + ".tmp" + strconv.Itoa(os.Getpid()) + "." + strconv.FormatUint(rand.Uint64(), 36)
}

// write makes a file of that name with what fn writes.
func (l *file) write(name string, fn func(w io.Writer) error) error {
	f, err := l.dir.Create(name, l.mode)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(l.appendHeader(nil, rand.Uint64())); err != nil {
		return err
	}
	return fn(f)
}

func (l *file) close() {
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
	l.broken, l.opened = true, true
}

func (l *file) appendHeader(dst []byte, random uint64) []byte {
	start := len(dst)
	dst = append(append(dst, l.magic...), l.version)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(l.validity))
	dst = binary.LittleEndian.AppendUint64(dst, random)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func (l *file) validHeader(b []byte) bool {
	return len(b) >= headerSize && string(b[:len(l.magic)]) == l.magic && b[len(l.magic)] == l.version &&
		binary.LittleEndian.Uint32(b[16:]) == uint32(l.validity) &&
		binary.LittleEndian.Uint32(b[28:]) == crc32.Checksum(b[:28], castagnoli)
}
