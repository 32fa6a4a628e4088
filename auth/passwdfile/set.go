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

// Set puts another password into the user's line. All else in the file stays as it is, byte for byte: order, comments,
// other fields, owner and mode. The new file is complete on the disk before it takes the place of the old one. Of
// several programs that change it by this function none loses the work of another; an editor may.
func (p *PassDB) Set(_ context.Context, r *auth.Request, stored string) error {
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
	if err := l.change(name, stored); err != nil {
		return err
	}
	l.mu.Lock()
	l.checked = 0
	l.mu.Unlock()
	return nil
}

// change rewrites the file with another password in the line that counts for the name.
func (l *list) change(name, stored string) error {
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
	changed, ok := l.replaced(text, name, stored)
	if !ok {
		return auth.ErrUnknown
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

// replaced gives the text with another password; false when no line counts for the name.
func (l *list) replaced(text []byte, name, stored string) ([]byte, bool) {
	at := 0
	for line := range bytes.Lines(text) {
		start := at
		at += len(line)
		end := bytes.TrimRight(line, "\r\n")
		got, rest, _ := bytes.Cut(end, []byte(":"))
		if string(got) != name || len(end) == 0 || end[0] == '#' || !l.counts(string(end)) {
			continue
		}
		_, behind, more := bytes.Cut(rest, []byte(":"))
		out := append(append(append([]byte{}, text[:start]...), name...), ':')
		out = append(out, stored...)
		if more {
			out = append(append(out, ':'), behind...)
		}
		return append(append(out, line[len(end):]...), text[at:]...), true
	}
	return nil, false
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
