package maildir

import (
	"bytes"
	"fmt"
	"strconv"

	"dovetail/formats"
)

// courierPOP3Name is what Courier's POP3 server keeps for INBOX:
//
//	version 0   no header        FILENAME SIZE                 UIDL: base name, escaped
//	version 1   /1 NEXT          FILENAME SIZE UID             UID<uid>; uid 0: base name
//	version 2   /2 NEXT UIDV     FILENAME SIZE UID:UIDV        UID<uid>-<uidv>; uidv 0: UID<uid>; uid 0: base name
//	version 3   /3 NEXT UIDV     FILENAME SIZE UID:UIDV:UTF8   as version 2; UTF8 1: bytes above 127 in the header
//
// Verified with Courier-IMAP 4.18.2 and 5.0.13. File names may contain spaces and carry the flags of the last POP3
// session. Sizes are Courier's own sums (bytes and LFs, 4.x two more when the last line has no end) and nobody else's.
const courierPOP3Name = "courierpop3dsizelist"

// courierPOP3Header is the first line of a list; Version 0 has none.
type courierPOP3Header struct {
	Version     int
	Next        uint32
	UIDValidity uint32 // its own, not IMAP's
}

// courierPOP3 is a line of the list.
type courierPOP3 struct {
	Name        []byte // with flags
	Size        uint64
	UID         uint32
	UIDValidity uint32
	UTF8        uint32
}

// parseCourierPOP3Header reads the first line of a list and gives the rest of it. The version of a list that is not
// understood is an error: Courier throws such a list away.
func parseCourierPOP3Header(b []byte) (h courierPOP3Header, rest []byte, err error) {
	if len(b) == 0 || b[0] != '/' {
		return h, b, nil
	}
	first, rest, ok := bytes.Cut(b, []byte{'\n'})
	fields := bytes.Fields(first[1:])
	var version uint32
	if ok = ok && len(fields) >= 2; ok {
		version, ok = number32(fields[0])
	}
	if ok = ok && version >= 1 && version <= 3; ok {
		h.Version = int(version)
		h.Next, ok = number32(fields[1])
	}
	if ok && version > 1 {
		if ok = len(fields) >= 3; ok {
			h.UIDValidity, ok = number32(fields[2])
		}
	}
	if !ok {
		return courierPOP3Header{}, nil, formats.Corrupt("header %q is of no known version", clip(first))
	}
	return h, rest, nil
}

func (h courierPOP3Header) append(b []byte) []byte {
	switch h.Version {
	case 1:
		return fmt.Appendf(b, "/1 %d\n", h.Next)
	case 2, 3:
		return fmt.Appendf(b, "/%d %d %d\n", h.Version, h.Next, h.UIDValidity)
	}
	return b
}

// parseCourierPOP3 reads a record without its line end. It splits from the right, because the name may contain spaces.
// The name is a part of line.
func parseCourierPOP3(version int, line []byte) (r courierPOP3, ok bool) {
	rest := line
	if version > 0 {
		i := bytes.LastIndexByte(rest, ' ')
		if i < 0 || !r.parseIDs(version, rest[i+1:]) {
			return r, false
		}
		rest = rest[:i]
	}
	i := bytes.LastIndexByte(rest, ' ')
	if i <= 0 || rest[0] == infoSep || bytes.IndexByte(rest[:i], '/') >= 0 {
		return r, false
	}
	r.Name = rest[:i]
	r.Size, ok = number63(rest[i+1:])
	return r, ok
}

func (r *courierPOP3) parseIDs(version int, ids []byte) bool {
	into := [...]*uint32{&r.UID, &r.UIDValidity, &r.UTF8}
	for i := range version {
		field, rest, more := bytes.Cut(ids, []byte{':'})
		n, ok := number32(field)
		if !ok || more != (i < version-1) {
			return false
		}
		*into[i], ids = n, rest
	}
	return true
}

func number63(digits []byte) (uint64, bool) {
	if len(digits) == 0 || digits[0] == '+' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(digits), 10, 63)
	return n, err == nil
}

// append writes the record with its line end in a list of that version.
func (r *courierPOP3) append(version int, b []byte) []byte {
	b = append(append(b, r.Name...), ' ')
	b = strconv.AppendUint(b, r.Size, 10)
	sep := byte(' ')
	for i, n := range [...]uint32{r.UID, r.UIDValidity, r.UTF8} {
		if i == version {
			break
		}
		b = strconv.AppendUint(append(b, sep), uint64(n), 10)
		sep = ':'
	}
	return append(b, '\n')
}

// appendUIDL writes what Courier shows for the message: the POP3 server cuts names at the first colon.
func (r *courierPOP3) appendUIDL(b []byte) []byte {
	if r.UID == 0 {
		return appendEscapedUIDL(b, baseName(r.Name))
	}
	b = strconv.AppendUint(append(b, "UID"...), uint64(r.UID), 10)
	if r.UIDValidity != 0 {
		b = strconv.AppendUint(append(b, '-'), uint64(r.UIDValidity), 10)
	}
	return b
}

// parseCourierUIDL reads a UIDL of the forms that a POP3 list can hold: UIDn, UIDn-v and the escaped base name, which is
// uid 0.
func parseCourierUIDL(uidl, base []byte) (uid, validity uint32, ok bool) {
	if rest, found := bytes.CutPrefix(uidl, []byte("UID")); found {
		number, v, second := bytes.Cut(rest, []byte{'-'})
		n, ok1 := number32(number)
		m, ok2 := uint32(0), true
		if second {
			m, ok2 = number32(v)
		}
		r := courierPOP3{UID: n, UIDValidity: m}
		if ok1 && ok2 && n != 0 && bytes.Equal(r.appendUIDL(nil), uidl) {
			return n, m, true
		}
	}
	return 0, 0, bytes.Equal(appendEscapedUIDL(nil, base), uidl)
}

// appendEscapedUIDL writes bytes that a UIDL cannot hold, quotes and + as + and two hexadecimal digits.
func appendEscapedUIDL(b, name []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range name {
		if c < 0x21 || c > 0x7e || c == '\'' || c == '"' || c == '+' {
			b = append(b, '+', digits[c>>4], digits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// comparePOP3 is the order in which Courier's POP3 server shows messages: by leading number, then byte by byte as signed
// characters, names being equal where both have come to their colon (imap/pop3dserver.c, cmpmsgs). A colon that stands
// beside another byte is compared like any other.
func comparePOP3(a, b []byte) int {
	na, _ := leadingNumber(a)
	nb, _ := leadingNumber(b)
	if na != nb {
		if na < nb {
			return -1
		}
		return 1
	}
	for i := 0; i < len(a) || i < len(b); i++ {
		var ca, cb int8
		if i < len(a) {
			ca = int8(a[i])
		}
		if i < len(b) {
			cb = int8(b[i])
		}
		if ca == infoSep && cb == infoSep {
			return bytes.Compare(a, b) // equal for Courier, whose order is left to chance
		}
		if ca != cb {
			return int(ca) - int(cb)
		}
	}
	return 0
}
