package message

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// param is a parameter of a MIME field, "charset=utf-8".
type param struct{ key, value string }

// piece is a part of a parameter that goes on in others (RFC 2231 section 3).
type piece struct {
	param
	number   uint32
	extended bool // with charset and "%" (section 4)
}

// parameters reads what follows a MIME field's value. Pieces are joined, but nothing is decoded: BODYSTRUCTURE shows
// "filename*" as it is (rfc2231-parser.c). What cannot be read is left out.
func (l *lexer) parameters(dst []param) []param {
	l.nul = replacement
	defer func() { l.nul = nil }()
	var pieces []piece
	var number uint32
	for {
		key, value, r := l.parameter()
		if r == done {
			break
		}
		if r == bad {
			if l.atEnd() {
				break
			}
			l.i++
			continue
		}
		p, ok := splitPiece(key, value, &number)
		if ok {
			pieces = append(pieces, p)
		} else {
			dst = append(dst, param{key, value})
		}
	}
	if len(pieces) == 0 {
		return dst
	}
	slices.SortStableFunc(pieces, func(a, b piece) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return int(int64(a.number) - int64(b.number))
	})
	for len(pieces) > 0 {
		n := 1
		for n < len(pieces) && sameFold(pieces[n].key, pieces[0].key) {
			n++
		}
		dst = joinPieces(dst, pieces[:n])
		pieces = pieces[n:]
	}
	return dst
}

// parameter reads ";key=value".
func (l *lexer) parameter() (key, value string, r result) {
	if l.atEnd() {
		return "", "", done
	}
	if !l.at(';') {
		return "", "", bad
	}
	l.i++
	if l.skip() != more {
		return "", "", bad
	}
	token, r := l.token(nil)
	if r != more || !l.at('=') {
		return "", "", bad
	}
	l.i++
	var text []byte
	switch r = l.skip(); {
	case r != more:
	case l.at('"'):
		text, r = l.quotedString(nil)
	case l.at('='):
		// name==?utf-8?b?…?=, as some programs write.
		for !l.atEnd() && bytes.IndexByte([]byte("; \t\r\n"), l.b[l.i]) < 0 {
			text = append(text, l.b[l.i])
			l.i++
		}
	default:
		text, r = l.token(nil)
	}
	if r == bad {
		return "", "", bad
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		text = text[:i]
	}
	return string(token), string(text), more
}

// splitPiece reads "name*1*". number is that of the piece before, which a name without one takes over.
func splitPiece(key, value string, number *uint32) (piece, bool) {
	name, rest, found := strings.Cut(key, "*")
	if !found {
		return piece{}, false
	}
	if rest != "" {
		*number = 0
		for rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			*number = *number*10 + uint32(rest[0]-'0')
			rest = rest[1:]
		}
		if rest == "" {
			return piece{param{name, value}, *number, false}, true
		}
		return piece{param{name, value}, *number, true}, rest == "*"
	}
	return piece{param{name, value}, *number, true}, true
}

// joinPieces joins the pieces of one parameter, or gives them as they came if one is missing.
func joinPieces(dst []param, pieces []piece) []param {
	extended, complete := false, true
	for i, p := range pieces {
		extended = extended || p.extended
		complete = complete && p.number == uint32(i)
	}
	if !complete {
		for _, p := range pieces {
			key := p.key + "*" + strconv.FormatUint(uint64(p.number), 10)
			if p.extended {
				key += "*"
			}
			dst = append(dst, param{key, p.value})
		}
		return dst
	}
	var b strings.Builder
	if !pieces[0].extended && extended {
		b.WriteString("''")
	}
	for _, p := range pieces {
		if !p.extended && extended {
			b.WriteString(strings.ReplaceAll(p.value, "%", "%25"))
		} else {
			b.WriteString(p.value)
		}
	}
	key := pieces[0].key
	if extended {
		key += "*"
	}
	return append(dst, param{key, b.String()})
}
