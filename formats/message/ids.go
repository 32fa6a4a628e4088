package message

import (
	"bytes"
	"strings"
)

// MessageIDs gives the message ids in a References, In-Reply-To or Message-ID field, without brackets and white space, in
// their order (message-id.c). What is none is left out.
func MessageIDs(value []byte) (ids []string) {
	value = cutNUL(value)
	// Each "<" may begin one that needs all of the rest to be read; a value that is nothing but such is not worth it.
	effort := 8*len(value) + 4096
	for {
		i := bytes.IndexByte(value, '<')
		if i < 0 {
			return ids
		}
		value = value[i+1:]
		end := bytes.IndexAny(value, ">\"([")
		switch {
		case end < 0:
			return ids
		case value[end] == '>':
			if id := value[:end]; bytes.IndexByte(id, '@') >= 0 {
				ids = append(ids, withoutBlanks(id))
			}
			value = value[end+1:]
		default:
			id, used := quotedID(value)
			if id != "" {
				ids = append(ids, id)
				value = value[used:]
			} else if effort -= used + end; effort < 0 {
				return ids
			}
		}
	}
}

func withoutBlanks(id []byte) string {
	if !bytes.ContainsAny(id, " \t\r\n") {
		return string(id)
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, string(id))
}

// quotedID reads an id with quotes or comments in it, up to ">". used is how much of the value was looked at.
func quotedID(value []byte) (id string, used int) {
	var l lexer
	l.reset(value)
	l.skip()
	var text []byte
	var r result
	if l.at('"') {
		text, r = l.quotedString(nil)
	} else {
		text, r = l.dotAtom(nil)
	}
	if r != more || !l.at('@') {
		return "", l.i
	}
	l.i++
	l.skip()
	text, r = l.dotAtom(append(text, '@'))
	if r != more || !l.at('>') {
		return "", l.i
	}
	return string(text), l.i + 1
}

// FirstAddress gives what SORT FROM, TO and CC compare, the mailbox of the first address of a field, and what the
// DISPLAY keys do (RFC 5957), the name in UTF-8 or, without one, the whole address (index-sort.c).
func FirstAddress(value []byte) (mailbox, display string) {
	list := ParseAddresses(value, 1)
	if len(list) == 0 {
		return "", ""
	}
	a := list[0]
	mailbox = string(a.Mailbox)
	if a.Name != nil {
		if name := DecodeHeader(nil, a.Name); len(name) > 0 {
			return mailbox, string(name)
		}
	}
	if a.Mailbox != nil && a.Domain != nil {
		return mailbox, mailbox + "@" + string(a.Domain)
	}
	return mailbox, mailbox
}
