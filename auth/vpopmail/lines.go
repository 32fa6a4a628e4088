package vpopmail

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"syscall"
)

// maxLine bounds a line of any of the lists. vpopmail itself reads lines of up to 600 bytes or so.
const maxLine = 64 << 10

var errNotRegular = errors.New("not a regular file")

// open opens a regular file for reading. A link in the last part of the path is not followed and a FIFO does not block:
// the folder may belong to a mail user.
func open(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, nil, &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// line is one line of a file without its end. long says that it was longer than maxLine; text is then its beginning.
type line struct {
	number int
	text   []byte
	long   bool
}

// lines gives each line; a last one without a newline too. The text is valid until the next one is asked for.
func lines(r io.Reader) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		in := bufio.NewReaderSize(r, maxLine)
		for n := 1; ; n++ {
			text, err := in.ReadSlice('\n')
			l := line{number: n, text: bytes.TrimSuffix(text, []byte("\n"))}
			if err == bufio.ErrBufferFull {
				l.long = true
				err = skipLine(in)
			}
			if err != nil && err != io.EOF {
				yield(line{}, err)
				return
			}
			if err == io.EOF && len(l.text) == 0 {
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
