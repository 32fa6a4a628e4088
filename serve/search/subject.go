package search

import (
	"bytes"

	"dovetail/formats/message/charset"
	"dovetail/formats/message/titlecase"
)

// appendBaseSubject appends the base subject of a Subject's value (RFC 5256 section 2.1) in titlecase. reply tells that it
// answers or forwards another message. Where the RFC and Dovecot differ it is Dovecot's (imap-base-subject.c).
func appendBaseSubject(dst, value []byte) (out []byte, reply bool) {
	start := len(dst)
	dst = charset.AppendWords(dst, value, titlecase.Append)
	if i := bytes.IndexByte(dst[start:], 0); i >= 0 {
		dst = dst[:start+i]
	}
	text, reply := baseOf(oneSpace(dst[start:]))
	return dst[:start+copy(dst[start:], text)], reply
}

// oneSpace makes one space of every run of white space, in place.
func oneSpace(b []byte) []byte {
	out, space := b[:0], false
	for _, c := range b {
		white := c == ' ' || c == '\t' || c == '\r' || c == '\n'
		if !white {
			out = append(out, c)
		} else if !space {
			out = append(out, ' ')
		}
		space = white
	}
	return out
}

// baseOf removes what answering and forwarding have put around a subject.
func baseOf(b []byte) (_ []byte, reply bool) {
	for {
		var was bool
		b, was = withoutTrailer(b)
		reply = reply || was
		for {
			rest, is := withoutLeader(b)
			if blob, ok := withoutBlob(rest); ok && len(blob) > 0 {
				rest = blob
			}
			reply = reply || is
			if len(rest) == len(b) {
				break
			}
			b = rest
		}
		if !bytes.HasPrefix(b, []byte("[FWD:")) || b[len(b)-1] != ']' {
			return b, reply
		}
		b, reply = b[len("[FWD:"):len(b)-1], true
	}
}

func withoutTrailer(b []byte) (_ []byte, reply bool) {
	for {
		switch {
		case bytes.HasSuffix(b, []byte(" ")):
			b = b[:len(b)-1]
		case bytes.HasSuffix(b, []byte("(FWD)")):
			b, reply = b[:len(b)-len("(FWD)")], true
		default:
			return b, reply
		}
	}
}

// withoutLeader takes a space and "[blob] Re [blob]:" from the beginning.
func withoutLeader(b []byte) (_ []byte, reply bool) {
	b = bytes.TrimPrefix(b, []byte(" "))
	rest := b
	for {
		more, ok := withoutBlob(rest)
		if !ok {
			break
		}
		rest = more
	}
	if bytes.HasPrefix(rest, []byte("[")) {
		return b, false
	}
	switch {
	case bytes.HasPrefix(rest, []byte("RE")), bytes.HasPrefix(rest, []byte("FW")) && !bytes.HasPrefix(rest, []byte("FWD")):
		rest = rest[2:]
	case bytes.HasPrefix(rest, []byte("FWD")):
		rest = rest[3:]
	default:
		return b, false
	}
	rest = bytes.TrimPrefix(rest, []byte(" "))
	if bytes.HasPrefix(rest, []byte("[")) {
		var ok bool
		if rest, ok = withoutBlob(rest); !ok {
			return b, false
		}
	}
	if !bytes.HasPrefix(rest, []byte(":")) {
		return b, false
	}
	return rest[1:], true
}

// withoutBlob takes "[…] " from the beginning.
func withoutBlob(b []byte) ([]byte, bool) {
	if len(b) == 0 || b[0] != '[' {
		return b, false
	}
	n := bytes.IndexAny(b[1:], "[]")
	if n < 0 || b[1+n] != ']' {
		return b, false
	}
	return bytes.TrimPrefix(b[n+2:], []byte(" ")), true
}
