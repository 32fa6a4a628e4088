package parsed

import (
	"bytes"
	"strings"

	"dovetail/formats/message"
)

// appendAddresses writes a list of addresses with nothing needless, as Dovecot compares them (message-address.c
// message_address_write).
func appendAddresses(dst []byte, list []message.Address) []byte {
	inGroup, first := false, true
	for i := range list {
		a := &list[i]
		if a.Domain == nil && inGroup {
			dst = append(bytes.TrimSuffix(dst, []byte(" ")), ';')
			inGroup, first = false, false
			continue
		}
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		if a.Domain == nil {
			dst = append(appendWord(dst, a.Mailbox, true), ": "...)
			inGroup, first = true, true
			continue
		}
		dst = appendAddress(dst, a)
	}
	return dst
}

func appendAddress(dst []byte, a *message.Address) []byte {
	if len(a.Name) > 0 {
		dst = appendPhrase(dst, a.Name)
	} else if a.Name != nil && a.Route == nil && len(a.Mailbox)+len(a.Domain) == 0 {
		return dst
	}
	if a.Route == nil && len(a.Mailbox) == 0 && len(a.Domain) == 0 {
		return dst
	}
	if len(a.Name) > 0 {
		dst = append(dst, ' ')
	}
	dst = append(dst, '<')
	if a.Route != nil {
		dst = append(append(dst, a.Route...), ':')
	}
	dst = appendWord(dst, a.Mailbox, false)
	if len(a.Domain) > 0 {
		dst = append(append(dst, '@'), a.Domain...)
	}
	return append(dst, '>')
}

// appendPhrase leaves encoded words as they are: they would be none in quotes (RFC 2047 section 5).
func appendPhrase(dst, name []byte) []byte {
	if bytes.Contains(name, []byte("=?")) {
		return append(dst, name...)
	}
	return appendWord(dst, name, true)
}

// appendWord quotes what must be. Dots may stand in the local part of an address.
func appendWord(dst, word []byte, quoteDots bool) []byte {
	if len(word) == 0 {
		return append(dst, `""`...)
	}
	atom := true
	for _, b := range word {
		if b <= ' ' || b == 0x7f || strings.IndexByte(`()<>@,;:\"[]`, b) >= 0 || b == '.' && quoteDots {
			atom = false
			break
		}
	}
	if atom {
		return append(dst, word...)
	}
	dst = append(dst, '"')
	for _, b := range word {
		if b == '"' || b == '\\' || b == '\'' {
			dst = append(dst, '\\')
		}
		dst = append(dst, b)
	}
	return append(dst, '"')
}
