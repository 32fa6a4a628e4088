package message

import "bytes"

// KnownCharset tells whether text in a character set can be read.
func KnownCharset(name string) bool {
	return isUTF8(name) || charsetOf(name) != nil
}

// AppendUTF8 appends text that is in a character set as UTF-8. valid is false when some of it is not in that set.
func AppendUTF8(dst []byte, charset string, text []byte) (out []byte, valid bool) {
	start := len(dst)
	dst = toUTF8(dst, text, []byte(charset))
	return dst, !bytes.Contains(dst[start:], replacement)
}
