package message

import (
	"bytes"
	"io"
	"unicode/utf8"

	xencoding "golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// isUTF8 tells whether a charset's text is taken as UTF-8 (charset-utf8.c charset_is_utf8).
func isUTF8[T string | []byte](charset T) bool {
	return equalFold(charset, "us-ascii") || equalFold(charset, "ascii") || equalFold(charset, "utf-8") || equalFold(charset, "utf8")
}

// moreCharsets are names in mail that the indexes of x/text do not have, or have for something else than iconv.
var moreCharsets = map[string]xencoding.Encoding{
	"cp932": japanese.ShiftJIS, "windows-31j": japanese.ShiftJIS, "sjis": japanese.ShiftJIS, "x-sjis": japanese.ShiftJIS,
	"ms_kanji": japanese.ShiftJIS, "cp949": korean.EUCKR, "uhc": korean.EUCKR, "ks_c_5601-1987": korean.EUCKR, "euckr": korean.EUCKR,
	"cp936": simplifiedchinese.GBK, "gb_2312-80": simplifiedchinese.GBK, "gb2312": simplifiedchinese.GBK, "euc-cn": simplifiedchinese.GBK,
	"utf-16": unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "ucs-2": unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
	"utf-7": utf7{}, "unicode-1-1-utf-7": utf7{}, "latin1": charmap.ISO8859_1, "latin-1": charmap.ISO8859_1, "latin2": charmap.ISO8859_2,
	"iso8859-1": charmap.ISO8859_1, "iso8859-2": charmap.ISO8859_2, "iso8859-15": charmap.ISO8859_15, "8859-1": charmap.ISO8859_1,
	"cp1250": charmap.Windows1250, "cp1251": charmap.Windows1251, "cp1252": charmap.Windows1252, "cp1254": charmap.Windows1254,
	"cp1255": charmap.Windows1255, "cp1256": charmap.Windows1256, "cp1257": charmap.Windows1257, "ansi_x3.4-1968": xencoding.Nop,
}

// charsetOf finds an encoding by its name; nil for UTF-8, and for one that is not known, whose text is taken for UTF-8,
// too.
func charsetOf[T string | []byte](charset T) xencoding.Encoding {
	if isUTF8(charset) || len(charset) > 40 {
		return nil
	}
	name := make([]byte, 0, 40)
	for i := range len(charset) {
		name = append(name, lowered(charset[i]))
	}
	if e, ok := moreCharsets[string(name)]; ok {
		if e == xencoding.Nop {
			return nil
		}
		return e
	}
	if e, err := ianaindex.IANA.Encoding(string(name)); err == nil && e != nil {
		return e
	}
	if e, err := htmlindex.Get(string(name)); err == nil {
		return e
	}
	return nil
}

// textWriter makes valid UTF-8 of what is written to it. Characters may be cut between writes.
type textWriter struct {
	w       io.Writer
	trans   transform.Transformer // nil: it is UTF-8 already
	pending []byte
	out     []byte
	bad     bool // the last thing written was a replacement
}

func (t *textWriter) reset(w io.Writer, charset []byte) {
	*t = textWriter{w: w, pending: t.pending[:0], out: t.out}
	if e := charsetOf(charset); e != nil {
		t.trans = e.NewDecoder()
	}
}

func (t *textWriter) Write(b []byte) (int, error) {
	if err := t.convert(b, false); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close writes what was cut off.
func (t *textWriter) Close() error { return t.convert(nil, true) }

func (t *textWriter) convert(b []byte, end bool) error {
	if len(t.pending) > 0 {
		b = append(t.pending, b...)
	}
	t.out = t.out[:0]
	var rest []byte
	if t.trans == nil {
		rest = t.valid(b, end)
	} else {
		rest = t.transform(b, end)
	}
	t.pending = append(t.pending[:0], rest...)
	if len(t.out) == 0 {
		return nil
	}
	_, err := t.w.Write(t.out)
	return err
}

// transform converts, and gives what is an incomplete character.
func (t *textWriter) transform(b []byte, end bool) (rest []byte) {
	var buf [4096]byte
	for {
		n, used, err := t.trans.Transform(buf[:], b, end)
		t.valid(buf[:n], true)
		b = b[used:]
		if err == transform.ErrShortDst && (n > 0 || used > 0) {
			continue
		}
		if err == transform.ErrShortSrc && !end {
			return b
		}
		if err != nil && len(b) > 0 {
			t.replace()
			b = b[1:]
			continue
		}
		return nil
	}
}

// valid appends UTF-8, with one replacement for bytes that are none, and gives what is an incomplete character.
func (t *textWriter) valid(b []byte, end bool) (rest []byte) {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r < utf8.RuneSelf {
			n = ascii(b)
			t.out = append(t.out, b[:n]...)
			t.bad = false
		} else if r == utf8.RuneError {
			if n == 1 && !end && !utf8.FullRune(b) {
				return b
			}
			t.replace()
		} else {
			t.out = append(t.out, b[:n]...)
			t.bad = false
		}
		b = b[n:]
	}
	return nil
}

func (t *textWriter) replace() {
	if !t.bad {
		t.out = append(t.out, replacement...)
		t.bad = true
	}
}

// ascii is how many bytes at the start are ASCII.
func ascii(b []byte) int {
	for i, c := range b {
		if c >= 0x80 {
			return i
		}
	}
	return len(b)
}

// toUTF8 converts a whole text. charset nil is UTF-8.
func toUTF8(dst, text, charset []byte) []byte {
	if charset == nil || charsetOf(charset) == nil {
		if utf8.Valid(text) && !bytes.Contains(text, replacement) {
			return append(dst, text...)
		}
	}
	var t textWriter
	var b bytes.Buffer
	t.reset(&b, charset)
	t.Write(text)
	t.Close()
	return append(dst, b.Bytes()...)
}
