package passwdfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// list is one file as it was read last. All of it is kept as one text, with the place of each name's line: some 20
// bytes an account beside the file itself.
type list struct {
	path   string
	ofUser bool // its path depends on the user's name, which can be anything
	userdb bool // lines with a wrong uid or gid do not count
	warn   bool // lines without uid and gid are worth an error
	log    *slog.Logger
	ids    *ids

	mu      sync.Mutex
	checked int64 // second of the last look at the file
	stamp   stamp // of what was read
	err     error // of the last look; nil: content is good
	text    string
	lines   map[string]int // offset of the line of each name, as it stands in the file
}

// stamp tells one content of a file from another.
type stamp struct {
	size  int64
	mtime time.Time
	inode uint64
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), mtime: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}

// errMissing is what a lookup in a file gives that is not there.
var errMissing = errors.New("missing passwd file")

// find gives the line of a name; ok is false if there is none. The file is looked at once a second at most, and read
// again if it has changed.
func (l *list) find(name string, now time.Time) (line string, ok bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Unix() != l.checked {
		l.checked = now.Unix()
		l.err = l.sync()
	}
	if l.err != nil {
		return "", false, l.err
	}
	at, ok := l.lines[name]
	if !ok {
		return "", false, nil
	}
	line, _, _ = strings.Cut(l.text[at:], "\n")
	return strings.TrimSuffix(line, "\r"), true, nil
}

func (l *list) sync() error {
	info, err := os.Stat(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.forget()
		return fmt.Errorf("%w: %s", errMissing, l.path)
	case err == nil && l.ofUser && info.IsDir():
		l.forget()
		return fmt.Errorf("%w: %s is a folder", errMissing, l.path)
	case err != nil:
		return failed("stat", l.path, err)
	case l.lines != nil && stampOf(info) == l.stamp:
		return nil
	}
	return l.read()
}

func (l *list) forget() { l.stamp, l.text, l.lines = stamp{}, "", nil }

// read takes in the file. One that changes while it is read, because its writer does not put a new one in its place, is
// read again when it is looked at next.
func (l *list) read() error {
	f, err := open(l.path)
	if err != nil {
		l.forget()
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return failed("fstat", l.path, err)
	}
	var text strings.Builder
	text.Grow(int(info.Size()))
	if _, err := io.Copy(&text, f); err != nil {
		return failed("read", l.path, err)
	}
	l.stamp, l.text = stampOf(info), text.String()
	l.index()
	return nil
}

// open opens a list. Links are followed, as the path is the administrator's; what is no file is refused, and never
// waited for.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, failed("open", path, err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("open(%s) failed: not a regular file", path)
	}
	return f, nil
}

// failed says what Dovecot says, and for want of permission who was refused.
func failed(call, path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s(%s) failed: %w (euid=%d egid=%d)", call, path, err, os.Geteuid(), os.Getegid())
	}
	return fmt.Errorf("%s(%s) failed: %w", call, path, sentence(err))
}

// sentence begins an error of the system as C does: "No such file or directory".
func sentence(err error) error {
	text := err.Error()
	return &capital{strings.ToUpper(text[:1]) + text[1:], err}
}

type capital struct {
	text string
	err  error
}

func (c *capital) Error() string { return c.text }
func (c *capital) Unwrap() error { return c.err }

// index notes where each name's line is: the first one that is good.
func (l *list) index() {
	if strings.HasPrefix(l.text, "\ufeff") {
		l.log.Warn("passwd-file " + l.path + ": begins with a byte order mark, which belongs to the name of its first user; save it as UTF-8 without one")
	}
	l.lines = make(map[string]int, strings.Count(l.text, "\n")+1)
	l.ids = newIDs()
	for at := 0; at < len(l.text); {
		line, _, _ := strings.Cut(l.text[at:], "\n")
		name, _, _ := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if name != "" && name[0] != '#' && l.good(name, strings.TrimSuffix(line, "\r")) {
			l.lines[name] = at
		}
		at += len(line) + 1
	}
}

// good tells whether the line counts, and says in the log what is wrong with it.
func (l *list) good(name, line string) bool {
	flaw := l.flaw(line)
	if _, twice := l.lines[name]; twice {
		flaw = "exists more than once"
	}
	if flaw == "" && l.userdb && l.warn && !hasUser(line) {
		l.complain(name, "is missing userdb info")
	}
	if flaw != "" {
		l.complain(name, flaw)
	}
	return flaw == ""
}

// complain names a user, but not all of a line that is no user's: what stands behind a space or is too long for a name may be
// a password.
func (l *list) complain(name, what string) {
	const most = 64
	if at := strings.IndexAny(name, " \t"); at >= 0 {
		name = name[:at] + "…"
	}
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "?") + "…"
	}
	l.log.Error("passwd-file " + l.path + ":User " + name + " " + what)
}

// maxLine is more than any account has: 2 MiB are a file of another kind.
const maxLine = 2 << 20

// flaw says why a line does not count; "" if it does.
func (l *list) flaw(line string) string {
	if strings.IndexByte(line, 0) >= 0 {
		return "has a zero byte in its line"
	}
	if len(line) > maxLine {
		return fmt.Sprintf("has a line of %d bytes", len(line))
	}
	e, _ := Parse(line)
	if _, err := stored(e.Password); err != nil {
		return "has invalid password"
	}
	if !l.userdb {
		return ""
	}
	if _, err := l.ids.uid(e.UID); err != nil {
		return "has invalid UID '" + e.UID + "'"
	}
	if _, err := l.ids.gid(e.GID); err != nil {
		return "has invalid GID '" + e.GID + "'"
	}
	return ""
}

// hasUser tells whether a line says anything to a userdb: that takes a uid and a gid, which may be empty.
func hasUser(line string) bool { return strings.Count(line, ":") >= 3 }

// names gives all names in the order of the file, as users give them.
func names(text []byte, all bool) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range bytes.Lines(text) {
			line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			if len(line) == 0 || line[0] == ':' || line[0] == '#' || bytes.IndexByte(line, 0) >= 0 {
				continue
			}
			if !all && bytes.Count(line, []byte(":")) < 2 {
				continue
			}
			name, _, _ := bytes.Cut(line, []byte(":"))
			if !yield(unescaper.Replace(string(name))) {
				return
			}
		}
	}
}
