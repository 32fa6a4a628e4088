package message

import (
	"bytes"
	"strconv"
)

// maxEscapes is how many quotes and backslashes stand in a quoted string before a literal is preferred (imap-quote.c).
const maxEscapes = 4

// AppendString writes an IMAP string as Dovecot does: quoted, or a literal if it has 8-bit bytes, line ends or more quotes
// and backslashes than maxEscapes. It ends at a NUL.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	escapes := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			if escapes++; escapes > maxEscapes {
				return appendLiteral(dst, s)
			}
		case c == '\r' || c == '\n' || c >= 0x80:
			return appendLiteral(dst, s)
		}
	}
	dst = append(dst, '"')
	if escapes == 0 {
		return append(append(dst, s...), '"')
	}
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

func appendLiteral[T string | []byte](dst []byte, s T) []byte {
	dst = strconv.AppendInt(append(dst, '{'), int64(len(s)), 10)
	return append(append(dst, "}\r\n"...), s...)
}

// appendNString is AppendString, or NIL for nil.
func appendNString(dst, s []byte) []byte {
	if s == nil {
		return append(dst, "NIL"...)
	}
	return AppendString(dst, s)
}

// appendOneLine is appendNString of a value whose line ends are taken out; a line that does not begin with white space is
// set off by a space.
func appendOneLine(dst, s []byte) []byte {
	if bytes.IndexByte(s, '\r') < 0 && bytes.IndexByte(s, '\n') < 0 {
		return appendNString(dst, s)
	}
	line := make([]byte, 0, len(s))
	for i, c := range s {
		if c != '\r' && c != '\n' {
			line = append(line, c)
		} else if i+1 < len(s) && bytes.IndexByte([]byte(" \t\r\n"), s[i+1]) < 0 {
			line = append(line, ' ')
		}
	}
	return AppendString(dst, line)
}

// appendForHumans writes a text for people to read, with white space made single spaces: quoted if nothing needs to change
// for it, else as a literal (imap-quote.c imap_append_string_for_humans).
func appendForHumans(dst, s []byte) []byte {
	kept, same := 0, true
	blank := true
	for _, c := range s {
		switch c {
		case '\r', '\n', '\t', ' ':
			if blank {
				same = false
				continue
			}
			same = same && c == ' '
			blank = true
		default:
			same = same && c < 0x80 && c != '"' && c != '\\' && c != 0
			blank = false
		}
		kept++
	}
	if blank && kept > 0 {
		kept, same = kept-1, false
	}
	switch {
	case same:
		return append(append(append(dst, '"'), s...), '"')
	case kept == 0:
		return append(dst, `""`...)
	}
	dst = strconv.AppendInt(append(dst, '{'), int64(kept), 10)
	dst = append(dst, "}\r\n"...)
	blank = true
	for _, c := range s {
		switch c {
		case '\r', '\n', '\t', ' ':
			if !blank && kept > 0 {
				dst = append(dst, ' ')
				kept--
			}
			blank = true
			continue
		case 0:
			c = 0x80
		}
		dst = append(dst, c)
		kept--
		blank = false
	}
	return dst
}
