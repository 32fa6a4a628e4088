// Package charset turns text in any of the character sets of mail into UTF-8, and reads the encoded words of header
// fields (RFC 2047). What is invalid in its set becomes U+FFFD, once for each run of it, as with Dovecot.
//
// The names are those of the IANA registry, of the WHATWG's list and what else mail programs write (cp932, ks_c_5601,
// UTF-7, …). US-ASCII and names that mean nothing special are taken for UTF-8, so 8-bit characters that should not be
// there are read as what they mostly are.
package charset

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"
)

// aliases are names that neither list has, or that mail means otherwise than they do; lower case, without "-" and "_".
var aliases = map[string]encoding.Encoding{
	"cp932": japanese.ShiftJIS, "ms932": japanese.ShiftJIS, "windows31j": japanese.ShiftJIS, "xsjis": japanese.ShiftJIS,
	"sjis": japanese.ShiftJIS, "cp949": korean.EUCKR, "uhc": korean.EUCKR, "ksc56011987": korean.EUCKR, "ksc5601": korean.EUCKR,
	"euckr": korean.EUCKR, "cp936": simplifiedchinese.GBK, "gb2312": simplifiedchinese.GBK, "euccn": simplifiedchinese.GBK,
	"gbk": simplifiedchinese.GBK, "gb18030": simplifiedchinese.GB18030, "cp950": traditionalchinese.Big5, "big5hkscs": traditionalchinese.Big5,
	"eucjp": japanese.EUCJP, "eucjpms": japanese.EUCJP, "iso2022jp1": japanese.ISO2022JP, "iso2022jp2": japanese.ISO2022JP, "cp50220": japanese.ISO2022JP,
	"cp1250": charmap.Windows1250, "cp1251": charmap.Windows1251, "cp1252": charmap.Windows1252, "cp1253": charmap.Windows1253,
	"cp1254": charmap.Windows1254, "cp1255": charmap.Windows1255, "cp1256": charmap.Windows1256, "cp1257": charmap.Windows1257,
	"cp1258": charmap.Windows1258, "cp437": charmap.CodePage437, "cp850": charmap.CodePage850, "cp852": charmap.CodePage852,
	"cp855": charmap.CodePage855, "cp858": charmap.CodePage858, "cp862": charmap.CodePage862, "cp866": charmap.CodePage866, "cp874": charmap.Windows874,
	"macintosh": charmap.Macintosh, "macroman": charmap.Macintosh, "koi8r": charmap.KOI8R, "koi8u": charmap.KOI8U, "koi8ru": charmap.KOI8U,
	"latin1": charmap.ISO8859_1, "iso88591": charmap.ISO8859_1, "88591": charmap.ISO8859_1, "latin2": charmap.ISO8859_2, "latin5": charmap.ISO8859_9,
	"latin9": charmap.ISO8859_15, "iso88599": charmap.ISO8859_9, "iso88598i": charmap.ISO8859_8, "iso88598e": charmap.ISO8859_8,
	"utf16": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), "utf16be": unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"utf16le": unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "ucs2": unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
	"utf32": utf32.UTF32(utf32.LittleEndian, utf32.UseBOM), "utf32be": utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM),
	"utf32le": utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM),
}

// maxName is longer than the name of any character set.
const maxName = 64

// IsUTF8 tells whether a name stands for UTF-8 or ASCII.
func IsUTF8(name string) bool {
	switch strings.ToLower(name) {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return true
	}
	return false
}

// Known tells whether text in a character set can be read.
func Known(name string) bool {
	_, ok := NewDecoder(name)
	return ok
}

// Decoder turns a stream of text into UTF-8. It is for one goroutine.
type Decoder struct {
	t    transform.Transformer // nil: it is UTF-8 already
	rest []byte                // begins a character
	out  []byte
}

// NewDecoder gives a decoder for a character set; for one that is not known, ok is false and it is one for UTF-8.
func NewDecoder(name string) (d *Decoder, ok bool) {
	d = &Decoder{}
	if IsUTF8(name) {
		return d, true
	}
	lower := strings.ToLower(name)
	if len(name) > maxName || name == "" {
		return d, false
	}
	plain := strings.NewReplacer("-", "", "_", "").Replace(lower)
	switch {
	case plain == "utf8", plain == "ansix3.41968", plain == "iso646us", plain == "646":
		return d, true
	case plain == "utf7", plain == "unicode11utf7":
		d.t = &utf7{}
		return d, true
	}
	e := aliases[plain]
	if e == nil {
		e, _ = ianaindex.MIME.Encoding(lower)
	}
	if e == nil {
		e, _ = ianaindex.IANA.Encoding(lower)
	}
	if e == nil {
		e, _ = htmlindex.Get(lower)
	}
	if e == nil || e == encoding.Replacement {
		return d, false
	}
	if e == unicode.UTF8 {
		return d, true
	}
	d.t = e.NewDecoder().Transformer
	return d, true
}

// Append appends text as UTF-8. A character that begins at its end waits for the rest of it, unless this is the last.
func (d *Decoder) Append(dst, text []byte, last bool) []byte {
	if len(d.rest) > 0 {
		text = append(d.rest, text...)
		d.rest = nil
	}
	if d.t == nil {
		return d.appendUTF8(dst, text, last)
	}
	if d.out == nil {
		d.out = make([]byte, 4<<10)
	}
	for {
		n, used, err := d.t.Transform(d.out, text, last)
		dst = appendValid(dst, d.out[:n])
		text = text[used:]
		switch {
		case err == transform.ErrShortDst:
			continue
		case err == transform.ErrShortSrc && !last:
			d.rest = bytes.Clone(text)
			return dst
		case err != nil && len(text) > 0: // passed over byte by byte
			dst = appendReplacement(dst)
			text = text[1:]
			continue
		case len(text) == 0 || used == 0 && n == 0:
			return dst
		}
	}
}

func (d *Decoder) appendUTF8(dst, text []byte, last bool) []byte {
	if !last {
		end := len(text)
		for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
			if b := text[len(text)-i]; utf8.RuneStart(b) {
				if !utf8.FullRune(text[len(text)-i:]) {
					end -= i
				}
				break
			}
		}
		if end < len(text) {
			d.rest = bytes.Clone(text[end:])
			text = text[:end]
		}
	}
	return appendValid(dst, text)
}

var replacement = []byte("\uFFFD")

func appendReplacement(dst []byte) []byte {
	if bytes.HasSuffix(dst, replacement) {
		return dst
	}
	return append(dst, replacement...)
}

// appendValid appends UTF-8, with each run of what is not as one U+FFFD.
func appendValid(dst, text []byte) []byte {
	if utf8.Valid(text) && !bytes.Contains(text, replacement) {
		return append(dst, text...)
	}
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError {
			dst = appendReplacement(dst)
		} else {
			dst = append(dst, text[:size]...)
		}
		text = text[size:]
	}
	return dst
}

// AppendUTF8 appends a whole text as UTF-8. valid is false when some of it is not in its character set, or that is not
// known.
func AppendUTF8(dst []byte, name string, text []byte) (out []byte, valid bool) {
	d, ok := NewDecoder(name)
	start := len(dst)
	dst = d.Append(dst, text, true)
	return dst, ok && !bytes.Contains(dst[start:], replacement)
}
