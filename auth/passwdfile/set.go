package passwdfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"dovetail/auth"
)

// Set puts another password into the user's line, if old is the one that stands there. All else in the file stays as it
// is, byte for byte: order, comments, other fields, owner and mode. The new file is complete on the disk before it takes
// the place of the old one. Of several programs that change it by this function none loses the work of another; what an
// editor writes between the reading and the renaming is lost.
func (p *PassDB) Set(_ context.Context, r *auth.Request, old, stored string) error {
	if stored == "" || strings.ContainsAny(stored, ":\r\n\x00") {
		return errors.New("a colon, line end or zero byte in the stored password, which a passwd-file cannot hold")
	}
	_, l, err := p.o.Files.find(r, p.o.Format)
	if err != nil {
		return err
	}
	name := escaper.Replace(r.User)
	if p.o.Format != nil {
		if name, err = r.ExpandEscaped(p.o.Format, escaper.Replace); err != nil {
			return err
		}
	}
	if err := l.change(name, old, stored); err != nil {
		return err
	}
	l.mu.Lock()
	l.checked = 0
	l.mu.Unlock()
	return nil
}

// change rewrites the file with another password in the line that counts for the name.
func (l *list) change(name, old, stored string) error {
	path, err := filepath.EvalSymlinks(l.path) // the file is replaced, not a link to it
	if err != nil {
		return failed("open", l.path, err)
	}
	f, err := lock(path)
	if err != nil {
		return err
	}
	defer f.Close() // which also unlocks
	text, err := io.ReadAll(f)
	if err != nil {
		return failed("read", path, err)
	}
	changed, err := l.replaced(text, name, old, stored)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return failed("fstat", path, err)
	}
	return replace(path, info, changed)
}

// lock opens the file and waits until nobody else has it locked. One that was put in its place meanwhile is opened anew.
func lock(path string) (*os.File, error) {
	for {
		f, err := open(path)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			f.Close()
			return nil, failed("flock", path, err)
		}
		have, err1 := f.Stat()
		now, err2 := os.Stat(path)
		if err := errors.Join(err1, err2); err != nil {
			f.Close()
			return nil, failed("stat", path, err)
		}
		if os.SameFile(have, now) {
			return f, nil
		}
		f.Close()
	}
}

// replaced gives the text with another password; an error when no line counts for the name, or not this one.
func (l *list) replaced(text []byte, name, old, now string) ([]byte, error) {
	at := 0
	for line := range bytes.Lines(text) {
		start := at
		at += len(line)
		end := bytes.TrimRight(line, "\r\n")
		got, rest, _ := bytes.Cut(end, []byte(":"))
		if string(got) != name || len(end) == 0 || end[0] == '#' || !l.counts(string(end)) {
			continue
		}
		had, behind, more := bytes.Cut(rest, []byte(":"))
		if password, err := stored(string(had)); err != nil || password != old {
			return nil, auth.ErrChanged
		}
		out := append(append(append([]byte{}, text[:start]...), name...), ':')
		out = append(out, now...)
		if more {
			out = append(append(out, ':'), behind...)
		}
		return append(append(out, line[len(end):]...), text[at:]...), nil
	}
	return nil, auth.ErrUnknown
}

// counts tells whether a line is one of those that a lookup finds.
func (l *list) counts(line string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flaw(line) == ""
}

// replace puts a new file with the owner and mode of the old one in its place.
func replace(path string, old fs.FileInfo, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return fmt.Errorf("%s cannot be replaced: %w", path, err)
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("%s stays as it was: %w", path, err)
		}
	}()
	sys := old.Sys().(*syscall.Stat_t)
	if err := os.Chown(f.Name(), int(sys.Uid), int(sys.Gid)); err != nil {
		return err
	}
	if err := f.Chmod(old.Mode().Perm()); err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
