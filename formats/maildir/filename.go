package maildir

import (
	"bytes"
	"cmp"
	"math"
	"strconv"

	"dovetail/formats"
)

const (
	infoSep  = ':'
	flagsSep = ','
	info2    = ":2,"
)

// baseName is what identifies a message in every list: everything before the first colon
// (Dovecot 2.3, maildir-filename.c, maildir_filename_base_cmp; sizes belong to it).
func baseName(name []byte) []byte {
	if i := bytes.IndexByte(name, infoSep); i >= 0 {
		return name[:i]
	}
	return name
}

// infoPart is what follows ":2," after the last colon; ok is false when the name has no flags part that is understood
// (maildir-filename-flags.c).
func infoPart(name []byte) (info []byte, ok bool) {
	i := bytes.LastIndexByte(name, infoSep)
	if i < 0 || !bytes.HasPrefix(name[i:], []byte(info2)) {
		return nil, false
	}
	return name[i+len(info2):], true
}

// letters is a set of keyword letters: bit 0 is 'a'.
type letters uint32

// flagLetters in ASCII order, as they stand in names.
var flagLetters = []struct {
	letter byte
	flag   formats.Flags
}{
	{'D', formats.Draft}, {'F', formats.Flagged}, {'R', formats.Answered}, {'S', formats.Seen}, {'T', formats.Deleted},
}

func letterFlag(c byte) formats.Flags {
	switch c {
	case 'D':
		return formats.Draft
	case 'F':
		return formats.Flagged
	case 'R':
		return formats.Answered
	case 'S':
		return formats.Seen
	case 'T':
		return formats.Deleted
	}
	return 0
}

// parseInfo reads flags and keyword letters from a file name. Letters end at a further comma; others are ignored here
// and kept by withInfo.
func parseInfo(name []byte) (formats.Flags, letters) {
	info, _ := infoPart(name)
	var flags formats.Flags
	var keys letters
	for _, c := range info {
		switch {
		case c == flagsSep:
			return flags, keys
		case c >= 'a' && c <= 'z':
			keys |= 1 << (c - 'a')
		default:
			flags |= letterFlag(c)
		}
	}
	return flags, keys
}

// withInfo appends to dst the name with other flags and keyword letters: all in ASCII order, letters with no meaning for
// us in their places, a further comma and what follows kept.
func withInfo(dst, name []byte, flags formats.Flags, keys letters) []byte {
	old, ok := infoPart(name)
	if i := bytes.LastIndexByte(name, infoSep); i >= 0 {
		name = name[:i]
	}
	if !ok {
		old = nil
	}
	dst = append(append(dst, name...), info2...)
	known := appendLetters(make([]byte, 0, 32), flags, keys)
	for i, c := range old {
		if c == flagsSep {
			return append(append(dst, known...), old[i:]...)
		}
		if c >= 'a' && c <= 'z' || letterFlag(c) != 0 {
			continue
		}
		for len(known) > 0 && known[0] < c {
			dst, known = append(dst, known[0]), known[1:]
		}
		dst = append(dst, c)
	}
	return append(dst, known...)
}

// appendLetters writes flags and keyword letters in ASCII order.
func appendLetters(dst []byte, flags formats.Flags, keys letters) []byte {
	for _, f := range flagLetters {
		if flags&f.flag != 0 {
			dst = append(dst, f.letter)
		}
	}
	for i := range byte(26) {
		if keys&(1<<i) != 0 {
			dst = append(dst, 'a'+i)
		}
	}
	return dst
}

// sizeField reads ",S=" or ",W=" from a name: the first one, decimal, up to a comma, the colon or the end.
func sizeField(name []byte, key byte) (int64, bool) {
	for {
		i := bytes.IndexByte(name, flagsSep)
		if i < 0 || len(name) < i+3 {
			return 0, false
		}
		if name = name[i+1:]; name[0] == key && name[1] == '=' {
			return leadingSize(name[2:])
		}
	}
}

// leadingSize reads a number up to a comma, a colon or the end.
func leadingSize(digits []byte) (n int64, ok bool) {
	for i, c := range digits {
		switch {
		case c >= '0' && c <= '9' && i < 18:
			n = 10*n + int64(c-'0')
		case c == flagsSep || c == infoSep:
			return n, i > 0
		default:
			return 0, false
		}
	}
	return n, len(digits) > 0
}

// appendSizes writes ",S=…,W=…".
func appendSizes(dst []byte, size, virtual int64) []byte {
	dst = strconv.AppendInt(append(dst, ",S="...), size, 10)
	return strconv.AppendInt(append(dst, ",W="...), virtual, 10)
}

// withoutSizes appends to dst the name without its ",S=" and ",W=" fields.
func withoutSizes(dst, name []byte) []byte {
	base := baseName(name)
	for i, part := range bytes.Split(base, []byte{flagsSep}) {
		if i > 0 && (bytes.HasPrefix(part, []byte("S=")) || bytes.HasPrefix(part, []byte("W="))) {
			continue
		}
		if i > 0 {
			dst = append(dst, flagsSep)
		}
		dst = append(dst, part...)
	}
	return append(dst, name[len(base):]...)
}

// leadingNumber reads the digits at the start of a name; rest is what follows. Too many digits count as the largest.
func leadingNumber(name []byte) (n int64, rest []byte) {
	i := 0
	for ; i < len(name) && name[i] >= '0' && name[i] <= '9'; i++ {
		if n < math.MaxInt64/10-9 {
			n = 10*n + int64(name[i]-'0')
		} else {
			n = math.MaxInt64
		}
	}
	return n, name[i:]
}

// microseconds is the number after the first M of the second dotted part.
func microseconds(rest []byte) (int64, bool) {
	if len(rest) == 0 || rest[0] != '.' {
		return 0, false
	}
	part := rest[1:]
	if i := bytes.IndexAny(part, ".:"); i >= 0 {
		part = part[:i]
	}
	i := bytes.IndexByte(part, 'M')
	if i < 0 {
		return 0, false
	}
	n, _ := leadingNumber(part[i+1:])
	return n, true
}

// compareDovecot is the order in which Dovecot gives UIDs to files that it has not seen: by leading number, by the number
// after M, then bytewise (Dovecot 2.3, maildir-filename.c, maildir_filename_sort_cmp).
func compareDovecot(a, b []byte) int {
	na, ra := leadingNumber(a)
	nb, rb := leadingNumber(b)
	if c := cmp.Compare(na, nb); c != 0 {
		return c
	}
	ma, oka := microseconds(ra)
	mb, okb := microseconds(rb)
	if oka && okb && ma != mb {
		return cmp.Compare(ma, mb)
	}
	return bytes.Compare(baseName(ra), baseName(rb))
}

// compareCourier is Courier's: by leading number, then bytewise up to the colon (maildir/maildirinfo, sort by name).
func compareCourier(a, b []byte) int {
	na, _ := leadingNumber(a)
	nb, _ := leadingNumber(b)
	if c := cmp.Compare(na, nb); c != 0 {
		return c
	}
	return bytes.Compare(baseName(a), baseName(b))
}
