// Package listfile opens and reads files that list accounts, one a line, as vpopmail, Courier and Dovecot keep them.
//
// Such a file may lie in a folder that belongs to a mail user while root reads it, and any line may be damaged: a link in
// the last part of the path is not followed, lines are bounded, and what is wrong with one line is a Problem that does not
// end the reading. A Problem never quotes the line, which may hold a password.
package listfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"syscall"
)

// Longest bounds a line. vpopmail itself reads lines of up to 600 bytes or so.
const Longest = 64 << 10

// ErrNotRegular is returned for a link, FIFO, folder or device in place of a list.
var ErrNotRegular = errors.New("not a regular file")

// Problem is one thing that is wrong with a list while the rest of it can be used.
type Problem struct {
	Path string // the file; a table's name for a database
	Line int    // 0: the file as a whole
	User string // address or name; "" when it could not be told
	What string
}

func (p Problem) Error() string {
	s := p.Path
	if p.Line > 0 {
		s += fmt.Sprintf(" line %d", p.Line)
	}
	if p.User != "" {
		s += ": " + p.User
	}
	return s + ": " + p.What
}

// Open opens a regular file for reading. A link in the last part of the path is not followed and a FIFO does not block:
// the folder may belong to a mail user.
func Open(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, nil, &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// Line is one line of a file without its end.
type Line struct {
	Number int
	Text   []byte
	Long   bool // longer than Longest; Text is its beginning
}

// Damage says why the line cannot be read at all; nil when it can.
func (l Line) Damage() error {
	switch {
	case l.Long:
		return fmt.Errorf("longer than %d bytes", Longest)
	case bytes.IndexByte(l.Text, 0) >= 0:
		return errors.New("holds a zero byte")
	}
	return nil
}

// Lines gives each line; a last one without a newline too. The text is valid until the next one is asked for.
func Lines(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		in := bufio.NewReaderSize(r, Longest)
		for n := 1; ; n++ {
			text, err := in.ReadSlice('\n')
			l := Line{Number: n, Text: bytes.TrimSuffix(text, []byte("\n"))}
			if err == bufio.ErrBufferFull {
				l.Long = true
				err = skipLine(in)
			}
			if err != nil && err != io.EOF {
				yield(Line{}, err)
				return
			}
			if err == io.EOF && len(l.Text) == 0 {
				return
			}
			if !yield(l, nil) || err == io.EOF {
				return
			}
		}
	}
}

// skipLine reads to the end of a line that is too long.
func skipLine(in *bufio.Reader) error {
	for {
		if _, err := in.ReadSlice('\n'); err != bufio.ErrBufferFull {
			return err
		}
	}
}
