package main

import (
	"bufio"
	"fmt"
	"io"
)

// maxShown is how much of a line dump prints; the rest is counted.
const maxShown = 1000

// dumpLines prints a text file line by line, with what is not plain text escaped as in Go.
func dumpLines(w io.Writer, r io.ReaderAt, size int64) error {
	in := bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 64<<10)
	for off := int64(0); off < size; {
		line, more, err := firstPart(in)
		if err != nil {
			return err
		}
		rest := ""
		if more > 0 {
			rest = fmt.Sprintf(" and %d bytes more", more)
		}
		shown := fmt.Sprintf("%q", line)
		fmt.Fprintf(w, "%10d  %s%s\n", off, shown[1:len(shown)-1], rest)
		off += int64(len(line)) + more
	}
	fmt.Fprintf(w, "%10d  end\n", size)
	return nil
}

// firstPart reads a line with its line end and gives the beginning of it and the number of bytes after that.
func firstPart(in *bufio.Reader) (line []byte, more int64, err error) {
	for {
		part, err := in.ReadSlice('\n')
		shown := min(len(part), maxShown-len(line))
		line = append(line, part[:shown]...)
		more += int64(len(part) - shown)
		switch err {
		case bufio.ErrBufferFull:
		case nil, io.EOF:
			return line, more, nil
		default:
			return nil, 0, err
		}
	}
}
