package maildir

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"

	"dovetail/formats"
)

const uidlistName = "dovecot-uidlist"

// maxLine bounds a line of any control file: a file name is at most 255 bytes, a record has a few short fields.
const maxLine = 64 << 10

// listHeader is the first line of a uidlist.
type listHeader struct {
	Version     int // 1 or 3 as read; always written as 3
	UIDValidity formats.UIDValidity
	UIDNext     formats.UID // of the header; appended records raise it without rewriting the line
	GUID        formats.GUID
	HasGUID     bool
	Extra       string // keys with no meaning for us, as found: "P%f Xy"
}

// listRecord is one line: which UID a base name has. Its slices are valid until the next record is read.
type listRecord struct {
	UID  formats.UID
	Ext  []byte // fields as found, separated by single spaces: "G0a1b2c W120"
	Base []byte
}

// parseListHeader reads the line without its line end.
func parseListHeader(line []byte) (listHeader, error) {
	if len(line) < 2 || line[1] != ' ' {
		return listHeader{}, formats.Corrupt("uidlist header %q: version missing", clip(line))
	}
	h := listHeader{Version: int(line[0]) - '0'}
	var err error
	switch h.Version {
	case 1:
		err = h.parseVersion1(line[2:])
	case 3:
		err = h.parseVersion3(line[2:])
	default:
		return h, formats.Corrupt("uidlist version %q is not known", line[:1])
	}
	if err == nil && (h.UIDValidity == 0 || h.UIDNext == 0) {
		err = formats.Corrupt("uidlist header %q: UIDVALIDITY or UIDNEXT is zero or missing", clip(line))
	}
	return h, err
}

func (h *listHeader) parseVersion1(line []byte) error {
	fields := bytes.Fields(line)
	if len(fields) < 2 {
		return formats.Corrupt("uidlist header of version 1 %q: want UIDVALIDITY and UIDNEXT", clip(line))
	}
	validity, ok := number32(fields[0])
	next, ok2 := number32(fields[1])
	if !ok || !ok2 {
		return formats.Corrupt("uidlist header of version 1 %q: not numbers", clip(line))
	}
	h.UIDValidity, h.UIDNext = formats.UIDValidity(validity), formats.UID(next)
	return nil
}

func (h *listHeader) parseVersion3(line []byte) error {
	var extra []byte
	for field := range bytes.FieldsFuncSeq(line, isSpace) {
		value := field[1:]
		n, ok := number32(value)
		switch field[0] {
		case 'V':
			h.UIDValidity = formats.UIDValidity(n)
		case 'N':
			h.UIDNext = formats.UID(n)
		case 'G':
			g, err := formats.ParseGUID(string(value))
			if err != nil {
				return formats.Corrupt("uidlist header: %v", err)
			}
			h.GUID, h.HasGUID, ok = g, true, true
		default:
			if len(extra) > 0 {
				extra = append(extra, ' ')
			}
			extra, ok = append(extra, field...), true
		}
		if !ok {
			return formats.Corrupt("uidlist header field %q is not a number", clip(field))
		}
	}
	h.Extra = string(extra)
	return nil
}

// append writes the header as version 3, with its line end.
func (h listHeader) append(b []byte) []byte {
	b = strconv.AppendUint(append(b, "3 V"...), uint64(h.UIDValidity), 10)
	b = strconv.AppendUint(append(b, " N"...), uint64(h.UIDNext), 10)
	if h.HasGUID {
		b = append(append(b, " G"...), h.GUID.String()...)
	}
	if h.Extra != "" {
		b = append(append(b, ' '), h.Extra...)
	}
	return append(b, '\n')
}

// parseListRecord reads a line without its line end.
func parseListRecord(version int, line []byte) (listRecord, error) {
	digits, rest, ok := bytes.Cut(line, []byte{' '})
	uid, isNumber := number32(digits)
	if !ok || !isNumber || uid == 0 || uid == math.MaxUint32 {
		return listRecord{}, formats.Corrupt("uidlist record %q: no UID", clip(line))
	}
	r := listRecord{UID: formats.UID(uid), Base: bytes.TrimLeft(rest, " ")}
	if version == 3 {
		r.Ext, r.Base = cutExt(r.Base)
	}
	r.Base = baseName(r.Base)
	if len(r.Base) == 0 || bytes.IndexByte(r.Base, '/') >= 0 {
		return r, formats.Corrupt("uidlist record %q: no file name", clip(line))
	}
	return r, nil
}

// cutExt splits "G… W… :name". Fields that do not begin with a capital letter are dropped, as Dovecot does
// (maildir-uidlist.c, maildir_uidlist_read_extended).
func cutExt(s []byte) (ext, base []byte) {
	whole, n := s, 0
	clean := true
	for len(s) > 0 && s[0] != infoSep {
		i := bytes.IndexByte(s, ' ')
		if i < 0 {
			return nil, nil
		}
		next := bytes.TrimLeft(s[i:], " ")
		clean = clean && s[0] >= 'A' && s[0] <= 'Z' && len(s)-len(next) == i+1
		n += len(s) - len(next)
		s = next
	}
	if len(s) > 0 {
		base = s[1:]
	}
	ext = bytes.TrimRight(whole[:n], " ")
	if !clean {
		ext = cleanExt(ext)
	}
	return ext, base
}

func cleanExt(ext []byte) []byte {
	var kept [][]byte
	for field := range bytes.FieldsFuncSeq(ext, isSpace) {
		if field[0] >= 'A' && field[0] <= 'Z' {
			kept = append(kept, field)
		}
	}
	return bytes.Join(kept, []byte{' '})
}

// append writes the record as version 3, with its line end.
func (r listRecord) append(b []byte) []byte {
	b = append(strconv.AppendUint(b, uint64(r.UID), 10), ' ')
	if len(r.Ext) > 0 {
		b = append(append(b, r.Ext...), ' ')
	}
	return append(append(append(b, infoSep), r.Base...), '\n')
}

// extField finds a field of a record by its letter; the last one counts.
func extField(ext []byte, key byte) (value []byte, ok bool) {
	for len(ext) > 0 {
		field, rest, _ := bytes.Cut(ext, []byte{' '})
		if len(field) > 0 && field[0] == key {
			value, ok = field[1:], true
		}
		ext = rest
	}
	return value, ok
}

// extValue tells whether text can be the value of a field: it ends at the next space or line end.
func extValue(text string) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// idProblem is Limits.IDProblem.
func idProblem(id string) string {
	if extValue(id) {
		return ""
	}
	return "a space or control character would end it in dovecot-uidlist"
}

// listReader reads a uidlist line by line.
type listReader struct {
	r       *bufio.Reader
	version int
	last    formats.UID // of the record read last; the next must be above it

	offset int64 // behind the last line that was understood
	line   int   // number of that line, from 1

	// damage says why reading stopped before the end; nil for a file that was read whole. What was read before it
	// counts: Dovecot reads such a file up to there, too.
	damage error
}

func newListReader(r io.Reader) *listReader { return &listReader{r: bufio.NewReaderSize(r, maxLine)} }

// next gives the line without its end; ok is false at the end. A last line without its line end is damage: it may be
// half of one.
func (l *listReader) next() (line []byte, ok bool, err error) {
	line, err = l.r.ReadSlice('\n')
	switch {
	case err == io.EOF:
		if len(line) > 0 {
			l.damage = formats.Corrupt("line %d has no line end", l.line+1)
		}
		return nil, false, nil
	case errors.Is(err, bufio.ErrBufferFull):
		l.damage = formats.Corrupt("line %d is longer than %d bytes", l.line+1, maxLine)
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	return line[:len(line)-1], true, nil
}

func (l *listReader) took(line []byte) {
	l.offset += int64(len(line)) + 1
	l.line++
}

// header reads the first line. A file without a usable one has no list: the error wraps ErrCorrupt.
func (l *listReader) header() (listHeader, error) {
	line, ok, err := l.next()
	if err != nil {
		return listHeader{}, err
	}
	if !ok {
		return listHeader{}, formats.Corrupt("uidlist has no header")
	}
	h, err := parseListHeader(line)
	if err != nil {
		return h, err
	}
	l.version = h.Version
	l.took(line)
	return h, nil
}

// record gives the next record; ok is false at the end or at damage. An unordered record ends the reading
// (Dovecot 2.3, maildir-uidlist.c, maildir_uidlist_next).
func (l *listReader) record() (rec listRecord, ok bool, err error) {
	line, ok, err := l.next()
	if err != nil || !ok {
		return listRecord{}, false, err
	}
	rec, err = parseListRecord(l.version, line)
	if err == nil && rec.UID <= l.last {
		err = formats.Corrupt("UID %d stands after UID %d", rec.UID, l.last)
	}
	if err != nil {
		l.damage = err
		return listRecord{}, false, nil
	}
	l.last = rec.UID
	l.took(line)
	return rec, true, nil
}

func number32[T []byte | string](digits T) (uint32, bool) {
	n, err := strconv.ParseUint(string(digits), 10, 32)
	return uint32(n), err == nil && digits[0] != '+'
}

func isSpace(r rune) bool { return r == ' ' }

// clip bounds what an error quotes.
func clip(b []byte) []byte { return b[:min(len(b), 80)] }
