// Package imapurl reads IMAP URLs of messages (RFC 5092), and gives what they stand for.
package imapurl

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/message"
)

// URL is that of a message, or a part of one (RFC 5092 section 6):
//
//	imap://user@host/Drafts;UIDVALIDITY=1/;UID=20/;SECTION=1.2/;PARTIAL=0.1024
//	/Drafts/;UID=20        of this server
//	;UID=20                of the selected mailbox
type URL struct {
	Absolute bool   // it names a server
	User     string // "" without one
	Host     string // with its port, if there is one

	Mailbox        string              // in UTF-8; "" the selected one
	Validity       formats.UIDValidity // 0: any
	UID            formats.UID
	Section        string
	Partial        bool
	Offset, Length int64 // Length -1: to the end
	Authorized     bool  // it is for somebody else, too (RFC 4467)
}

var errURL = errors.New("Invalid IMAP URL")

// Parse reads a URL.
func Parse(text string) (u URL, err error) {
	rest := text
	if len(rest) >= 7 && strings.EqualFold(rest[:7], "imap://") {
		authority, path, _ := strings.Cut(rest[7:], "/")
		name, host, given := strings.Cut(authority, "@")
		if !given {
			name, host = "", authority
		}
		name, _, _ = strings.Cut(name, ";")
		if u.User, err = url.PathUnescape(name); err != nil || host == "" {
			return u, errURL
		}
		u.Absolute, u.Host, rest = true, host, "/"+path
	}
	if i := strings.Index(strings.ToUpper(rest), ";URLAUTH="); i >= 0 {
		rest, u.Authorized = rest[:i], true
		if i := strings.LastIndex(strings.ToUpper(rest), ";EXPIRE="); i >= 0 {
			rest = rest[:i]
		}
	}
	u.Length = -1
	for i, word := range strings.Split(rest, "/;") {
		after, relative := strings.CutPrefix(word, ";")
		switch {
		case i == 0 && !relative:
			err = u.setMailbox(word)
		default:
			err = u.set(after)
		}
		if err != nil {
			return u, err
		}
	}
	if u.UID == 0 {
		return u, errURL
	}
	return u, nil
}

func (u *URL) setMailbox(word string) error {
	name, validity, has := strings.Cut(strings.TrimPrefix(word, "/"), ";")
	decoded, err := url.PathUnescape(name)
	if err != nil || decoded == "" {
		return errURL
	}
	u.Mailbox = decoded
	if has {
		return u.set(validity)
	}
	return nil
}

func (u *URL) set(word string) error {
	key, value, _ := strings.Cut(word, "=")
	switch strings.ToUpper(key) {
	case "UIDVALIDITY":
		n, err := strconv.ParseUint(value, 10, 32)
		u.Validity = formats.UIDValidity(n)
		if err == nil && n > 0 {
			return nil
		}
	case "UID":
		n, err := strconv.ParseUint(value, 10, 32)
		u.UID = formats.UID(n)
		if err == nil && n > 0 {
			return nil
		}
	case "SECTION":
		section, err := url.PathUnescape(value)
		u.Section = section
		if err == nil && section != "" {
			return nil
		}
	case "PARTIAL":
		offset, length, has := strings.Cut(value, ".")
		n, err := strconv.ParseInt(offset, 10, 64)
		u.Partial, u.Offset = true, n
		if has && err == nil {
			u.Length, err = strconv.ParseInt(length, 10, 64)
		}
		if err == nil && n >= 0 && (!has || u.Length > 0) {
			return nil
		}
	}
	return errURL
}

// Text is what the URL stands for of a message. The body must stay open as long as it is used.
func (u *URL) Text(body formats.Body) (*message.Text, error) {
	section, err := imapwire.ParseSection(u.Section)
	if err != nil {
		return nil, err
	}
	parsed, err := message.Parse(body, body.Size())
	if err != nil {
		return nil, err
	}
	part := message.All
	if u.Partial {
		part.Offset = u.Offset
		if u.Length >= 0 {
			part.Length = u.Length
		}
	}
	which := message.Section{Part: section.Part, Which: message.Which(section.Specifier), Fields: section.Fields}
	return message.NewSource(body, parsed.Tree).Section(which, part)
}
