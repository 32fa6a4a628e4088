package convert

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dovetail/formats/conf"
)

// tree is files in memory, by absolute path or by path from the working
// directory, as the main file is named.
type tree map[string]string

// inMemory gives files that stand in a directory.
func inMemory(dir string, files []File) tree {
	t := tree{}
	for _, f := range files {
		t[filepath.Join(dir, f.Name)] = f.Text
	}
	return t
}

// overlay is a source in which files in memory stand before others. A folder
// that has files in memory has only these.
type overlay struct {
	under conf.Source
	tree  tree
}

func (o overlay) Open(name string) (fs.File, error) {
	if text, ok := o.tree[path.Clean(name)]; ok {
		return &memoryFile{info{path.Base(name), int64(len(text))}, strings.NewReader(text)}, nil
	}
	if o.under == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return o.under.Open(name)
}

func (o overlay) Lstat(name string) (fs.FileInfo, error) {
	if text, ok := o.tree[path.Clean(name)]; ok {
		return info{path.Base(name), int64(len(text))}, nil
	}
	if len(o.in(name)) > 0 {
		return info{path.Base(name), -1}, nil
	}
	if o.under == nil {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrNotExist}
	}
	return o.under.Lstat(name)
}

func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	if list := o.in(name); len(list) > 0 {
		return list, nil
	}
	if o.under == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return o.under.ReadDir(name)
}

// in lists what stands in a folder in memory.
func (o overlay) in(name string) []fs.DirEntry {
	prefix := path.Clean(name) + "/"
	switch path.Clean(name) {
	case ".":
		prefix = ""
	case "/":
		prefix = "/"
	}
	found := map[string]int64{}
	for file, text := range o.tree {
		rest, ok := strings.CutPrefix(file, prefix)
		if !ok || rest == "" {
			continue
		}
		first, _, deeper := strings.Cut(rest, "/")
		if deeper {
			found[first] = -1
		} else {
			found[first] = int64(len(text))
		}
	}
	var list []fs.DirEntry
	for first, size := range found {
		list = append(list, fs.FileInfoToDirEntry(info{first, size}))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}

// memoryFile is an open file.
type memoryFile struct {
	info
	*strings.Reader
}

func (f *memoryFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *memoryFile) Close() error               { return nil }
func (f *memoryFile) Size() int64                { return f.info.size }

// info describes a file, or a folder, which has a negative size.
type info struct {
	name string
	size int64
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return max(i.size, 0) }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.size < 0 }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// readText reads a file of a source.
func readText(src conf.Source, name string) (string, error) {
	f, err := src.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !st.Mode().IsRegular() || st.Size() > 1<<20 {
		return "", &os.PathError{Op: "read", Path: name, Err: errors.New("no file of settings")}
	}
	b := make([]byte, 0, st.Size()+1)
	for {
		n, err := f.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil || len(b) == cap(b) {
			return string(b), nil
		}
	}
}
