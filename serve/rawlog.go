package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"dovetail/formats/disk"
)

// rawlog holds the two files in which everything is kept that is said on a connection (rawlog_dir, lmtp_rawlog_dir):
//
//	20260131-235959.4711.12.in     what the client says: start time, process, a number of the process's own
//	20260131-235959.4711.12.out    what it is told
//
// Each line of them begins with the time at which it came or went, "1769903999.123456 ", as in those of Dovecot 2.3.19
// (src/lib/iostream-rawlog.c). The contents of messages are in them, and so are passwords of whatever is said before a
// login; they are for their owner alone.
type rawlog struct {
	in, out rawFile
	broken  func(error) // is told why a file is given up
}

type rawFile struct {
	*disk.File      // nil once it is given up
	inside     bool // what was written last has not ended its line
	line       []byte
}

// rawlogs counts them in this process.
var rawlogs atomic.Uint64

// Rawlog keeps what is said from now on in new files in a folder. broken is told once when a file cannot be written any
// more; the connection goes on.
func (c *Conn) Rawlog(dir *disk.Dir, broken func(error)) error {
	name := fmt.Sprintf("%s.%d.%d", time.Now().Format("20060102-150405"), os.Getpid(), rawlogs.Add(1))
	in, err := dir.Create(name+".in", 0o600)
	if err != nil {
		return err
	}
	out, err := dir.Create(name+".out", 0o600)
	if err != nil {
		return errors.Join(err, in.Close(), dir.Remove(name+".in"))
	}
	c.raw = &rawlog{in: rawFile{File: in}, out: rawFile{File: out}, broken: broken}
	return nil
}

// A Rawlogger gives the folder for what its sessions say, which the caller closes; nil if there is to be none.
type Rawlogger interface{ Rawlog() (*disk.Dir, error) }

// KeepFor is Rawlog with the folder of a user. Where it is not there, or is not for us, nothing is kept, and that is no
// error: an administrator makes it for the users whom he wants to watch.
func (c *Conn) KeepFor(u Rawlogger, log func(level slog.Level, text string)) {
	broken := func(err error) { log(slog.LevelError, "rawlog: "+err.Error()) }
	dir, err := u.Rawlog()
	if err == nil && dir != nil {
		defer dir.Close()
		err = c.Rawlog(dir, broken)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		broken(err)
	}
}

func (r *rawlog) write(f *rawFile, p []byte) {
	if err := f.add(p, time.Now()); err != nil {
		r.broken(err)
	}
}

// add writes the bytes with a time in front of each line.
func (f *rawFile) add(p []byte, now time.Time) error {
	if f.File == nil || len(p) == 0 {
		return nil
	}
	f.line = f.line[:0]
	for _, b := range p {
		if !f.inside {
			f.line = fmt.Appendf(f.line, "%d.%06d ", now.Unix(), now.Nanosecond()/1000)
		}
		f.line = append(f.line, b)
		f.inside = b != '\n'
	}
	_, err := f.Write(f.line)
	if err != nil {
		f.close()
	}
	if cap(f.line) > 1<<16 {
		f.line = nil
	}
	return err
}

func (f *rawFile) close() {
	if f.File != nil {
		f.File.Close()
		f.File = nil
	}
}
