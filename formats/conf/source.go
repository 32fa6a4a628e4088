package conf

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	gopath "path"
	"strings"
	"syscall"
)

// Source is where Load finds files. Paths are as in a configuration: absolute,
// or relative to the working directory.
type Source interface {
	Open(path string) (fs.File, error) // must not wait for the other end of a FIFO
	Lstat(path string) (fs.FileInfo, error)
	ReadDir(path string) ([]fs.DirEntry, error)
}

// OS is the file system of the machine.
type OS struct{}

// Open opens a file for reading and never waits for a writer.
func (OS) Open(path string) (fs.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
}

func (OS) Lstat(path string) (fs.FileInfo, error)     { return os.Lstat(path) }
func (OS) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

// In is a Source over a tree held elsewhere, such as a test's map. The root of
// the tree is "/" and also the working directory.
type In struct{ FS fs.FS }

func (s In) Open(path string) (fs.File, error)          { return s.FS.Open(inside(path)) }
func (s In) Lstat(path string) (fs.FileInfo, error)     { return fs.Stat(s.FS, inside(path)) }
func (s In) ReadDir(path string) ([]fs.DirEntry, error) { return fs.ReadDir(s.FS, inside(path)) }

func inside(path string) string {
	return cmp.Or(strings.TrimPrefix(gopath.Clean("/"+path), "/"), ".")
}

// Reason gives the last cause of a system error in the words that C programs
// print for it: "No such file or directory".
func Reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	text := err.Error()
	var number syscall.Errno
	switch {
	case errors.As(err, &number):
		text = number.Error()
	case errors.Is(err, fs.ErrNotExist):
		text = syscall.ENOENT.Error()
	case errors.Is(err, fs.ErrPermission):
		text = syscall.EACCES.Error()
	}
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

var errIsDir error = syscall.EISDIR
