package maildir

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"

	"dovetail/formats"
)

// courierUIDDBName is Courier-IMAP's list of UIDs, in every folder:
//
//	1 142307211 48          version (always 1), UIDVALIDITY, next UID
//	1 1085682923.2112.host  UID, base name (everything behind the first space)
//
// Verified with Courier-IMAP 4.18.2 and 5.0.13. UIDVALIDITY is a C long and can exceed 32 bits. Courier writes a name up
// to its last colon and finds files by what comes before the first one.
const courierUIDDBName = "courierimapuiddb"

// courierHeader is the first line of the list.
type courierHeader struct{ UIDValidity, UIDNext uint64 }

// parseCourierHeader reads the line without its end. Courier throws a list away whose first line does not begin with
// three numbers, the first of them 1.
func parseCourierHeader(line []byte) (h courierHeader, err error) {
	fields := bytes.Fields(line)
	ok := len(fields) >= 3 && string(fields[0]) == "1"
	if ok {
		h.UIDValidity, err = strconv.ParseUint(string(fields[1]), 10, 64)
		ok = err == nil
	}
	if ok {
		h.UIDNext, err = strconv.ParseUint(string(fields[2]), 10, 64)
		ok = err == nil
	}
	if !ok {
		return courierHeader{}, formats.Corrupt("header %q is not of version 1", clip(line))
	}
	return h, nil
}

func (h courierHeader) append(b []byte) []byte {
	b = strconv.AppendUint(append(b, "1 "...), h.UIDValidity, 10)
	b = strconv.AppendUint(append(b, ' '), h.UIDNext, 10)
	return append(b, '\n')
}

// parseCourierUID reads a record without its line end; the name is as it stands there, a part of line.
func parseCourierUID(line []byte) (uid formats.UID, name []byte, ok bool) {
	number, name, ok := bytes.Cut(line, []byte{' '})
	n, isNumber := number32(number)
	if !ok || !isNumber || n == 0 || n+1 == 0 || len(name) == 0 || name[0] == infoSep || bytes.IndexByte(name, '/') >= 0 {
		return 0, nil, false
	}
	return formats.UID(n), name, true
}

func appendCourierUID(b []byte, uid formats.UID, name []byte) []byte {
	b = strconv.AppendUint(b, uint64(uid), 10)
	b = append(append(b, ' '), name...)
	return append(b, '\n')
}

// lines gives the lines of a control file with their numbers from 1 and without their ends; whole is false for a last one
// that has none.
func lines(text []byte) func(yield func(n int, l controlLine) bool) {
	return func(yield func(int, controlLine) bool) {
		for n := 1; len(text) > 0; n++ {
			line, rest, whole := bytes.Cut(text, []byte{'\n'})
			if !yield(n, controlLine{line, whole}) {
				return
			}
			text = rest
		}
	}
}

// lineReader gives the lines of a control file of any size. A line is valid until the next one is read.
type lineReader struct {
	r   *bufio.Reader
	n   int   // the number of the line read last
	err error // that ended the reading; nil at the end of the file
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: bufio.NewReaderSize(r, maxLine)} }

// next gives the next line; ok is false at the end. What is longer than any record is given in part, as if it had no end.
func (r *lineReader) next() (l controlLine, ok bool) {
	text, err := r.r.ReadSlice('\n')
	if len(text) == 0 || err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
		if err != io.EOF {
			r.err = err
		}
		return controlLine{}, false
	}
	r.n++
	if err == nil {
		return controlLine{text[:len(text)-1], true}, true
	}
	if errors.Is(err, bufio.ErrBufferFull) {
		text = bytes.Clone(clip(text))
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.r.ReadSlice('\n')
		}
	}
	return controlLine{text, false}, true
}

// all gives the lines that are left, with their numbers.
func (r *lineReader) all() func(yield func(n int, l controlLine) bool) {
	return func(yield func(int, controlLine) bool) {
		for {
			l, ok := r.next()
			if !ok || !yield(r.n, l) {
				return
			}
		}
	}
}

// controlLine is one line of a control file.
type controlLine struct {
	text  []byte
	whole bool
}
