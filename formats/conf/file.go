package conf

import "strings"

// File is one file as it was written.
type File struct {
	Name     string // the path as it was opened
	Dialect  Dialect
	Lines    []*Line
	Problems []*Problem // in the order of lines
}

// String gives the file as it would be written: the bytes that were parsed,
// with the lines that were changed since.
func (f *File) String() string {
	n := 0
	for _, l := range f.Lines {
		n += len(l.raw)
	}
	var b strings.Builder
	b.Grow(n)
	for _, l := range f.Lines {
		b.WriteString(l.raw)
	}
	return b.String()
}

// Above gives the comment that stands directly above a line of the file, with
// no blank line between them, or nil.
func (f *File) Above(l *Line) *Line {
	if i := l.index; i > 0 && i < len(f.Lines) && f.Lines[i] == l && f.Lines[i-1].Kind == Comment {
		return f.Lines[i-1]
	}
	return nil
}
