package message

import (
	"bytes"

	"dovetail/formats/message/titlecase"
)

// BaseSubject gives the text by which subjects are sorted and put into threads (RFC 5256 section 2.1), in the form in
// which Dovecot compares texts, and whether it was one of a reply or of a forwarded message. value is the field's.
func BaseSubject(value []byte) (base []byte, reply bool) {
	value = cutNUL(value)
	text, _ := titlecase.Append(nil, DecodeHeader(nil, value))
	s := baseSubject{text: packBlanks(cutNUL(text)), tried: -1}
	for again := true; again; again = s.forwardWrapper() {
		s.trailers()
		for s.leader() || s.blobBeforeText() {
		}
	}
	return s.text, s.reply
}

func cutNUL(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// packBlanks makes every run of white space one space.
func packBlanks(b []byte) []byte {
	out := b[:0]
	blank := false
	for _, c := range b {
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			if !blank {
				out = append(out, ' ')
			}
			blank = true
			continue
		}
		out = append(out, c)
		blank = false
	}
	return out
}

type baseSubject struct {
	text  []byte
	reply bool

	// tried is the length of a rest that is known to be no "Re:", so that many blobs before it are passed only once.
	tried int
}

// trailers removes "(fwd)" and spaces from the end (step 2).
func (s *baseSubject) trailers() {
	for {
		if t, ok := bytes.CutSuffix(s.text, []byte(" ")); ok {
			s.text, s.tried = t, -1
		} else if t, ok := bytes.CutSuffix(s.text, []byte("(FWD)")); ok {
			s.text, s.reply, s.tried = t, true, -1
		} else {
			return
		}
	}
}

// skipBlob skips "[…] ".
func skipBlob(b []byte) ([]byte, bool) {
	if len(b) == 0 || b[0] != '[' {
		return b, false
	}
	end := bytes.IndexAny(b[1:], "[]")
	if end < 0 || b[1+end] != ']' {
		return b, false
	}
	return bytes.TrimPrefix(b[end+2:], []byte(" ")), true
}

// leader removes a space, or "Re:" with blobs before it (step 3).
func (s *baseSubject) leader() (removed bool) {
	if t, ok := bytes.CutPrefix(s.text, []byte(" ")); ok {
		s.text, removed = t, true
	}
	t := s.text
	if s.tried >= 0 && len(t) >= s.tried {
		return removed
	}
	for len(t) > 0 && t[0] == '[' {
		var ok bool
		if t, ok = skipBlob(t); !ok {
			s.tried = len(t)
			return removed
		}
	}
	s.tried = len(t)
	found := false
	for _, word := range []string{"RE", "FWD", "FW"} {
		if t, found = bytes.CutPrefix(t, []byte(word)); found {
			break
		}
	}
	if !found {
		return removed
	}
	t = bytes.TrimPrefix(t, []byte(" "))
	if len(t) > 0 && t[0] == '[' {
		var ok bool
		if t, ok = skipBlob(t); !ok {
			return removed
		}
	}
	if t, found = bytes.CutPrefix(t, []byte(":")); !found {
		return removed
	}
	s.text, s.reply, s.tried = t, true, -1
	return true
}

// blobBeforeText removes "[list]" if something follows (step 4).
func (s *baseSubject) blobBeforeText() bool {
	t, ok := skipBlob(s.text)
	if ok = ok && len(t) > 0; ok {
		s.text = t
	}
	return ok
}

// forwardWrapper removes "[Fwd: " and "]" around all of it (step 6).
func (s *baseSubject) forwardWrapper() bool {
	if !bytes.HasPrefix(s.text, []byte("[FWD:")) || s.text[len(s.text)-1] != ']' {
		return false
	}
	s.text, s.reply, s.tried = s.text[5:len(s.text)-1], true, -1
	return true
}
