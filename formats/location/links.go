package location

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is Linux's (path_resolution(7)).
const maxLinks = 40

// WithoutLinks gives the place of a user's mail with paths that go through no symbolic link, so that they can be opened
// with disk.FS.NoLinks. A process that may open everything must not be led to the mail of others: root's links are
// followed, and anybody else's only to what belongs to the user, whose uid is given.
func (l Location) WithoutLinks(uid int) (Location, error) {
	for _, p := range []*string{&l.Root, &l.Inbox, &l.Index, &l.Control, &l.Alt, &l.Attachments} {
		if *p == "" || *p == "MEMORY" {
			continue
		}
		path, err := Linkless(*p, uid)
		if err != nil {
			return l, err
		}
		*p = path
	}
	return l, nil
}

// Linkless follows the links of one path, as WithoutLinks does. What does not exist yet has none.
func Linkless(path string, uid int) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	done, foreign := "/", ""
	rest := strings.Split(path, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		next := filepath.Join(done, part)
		info, err := os.Lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist) && foreign == "":
			return filepath.Join(append([]string{next}, rest...)...), nil
		case err != nil:
			return "", err
		case info.Mode().Type() != fs.ModeSymlink:
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
		}
		if owner(info) != 0 {
			foreign = next
		}
		to, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(to) {
			done = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	if foreign == "" {
		return done, nil
	}
	info, err := os.Lstat(done)
	if err != nil {
		return "", err
	}
	if owner(info) != uid {
		return "", fmt.Errorf("%s: the link %s is not root's, and leads to what is not the user's (uid %d)", path, foreign, uid)
	}
	return done, nil
}

func owner(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}
