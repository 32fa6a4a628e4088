package imap

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/layout"
	"dovetail/formats/message"
)

// messageURL is an IMAP URL of a message, or a part of one, as CATENATE has it (RFC 5092 section 6):
//
//	imap://user@host/Drafts;UIDVALIDITY=1/;UID=20/;SECTION=1.2/;PARTIAL=0.1024
//	/Drafts/;UID=20        of this server
//	;UID=20                of the selected mailbox
type messageURL struct {
	mailbox        string // "" the selected one
	validity       formats.UIDValidity
	uid            formats.UID
	section        string
	partial        bool
	offset, length int64 // length -1: to the end
}

// parseURL reads a URL; wrong says why it is none of ours, in Dovecot's words.
func parseURL(text, user string) (u messageURL, wrong string) {
	rest := text
	if len(rest) >= 7 && strings.EqualFold(rest[:7], "imap://") {
		authority, path, _ := strings.Cut(rest[7:], "/")
		name, _, given := strings.Cut(authority, "@")
		name, _, _ = strings.Cut(name, ";")
		if name, err := url.PathUnescape(name); !given || err != nil || name != user {
			return u, "Not a user's own URL"
		}
		rest = "/" + path
	}
	u.length = -1
	for i, word := range strings.Split(rest, "/;") {
		if i == 0 {
			if after, relative := strings.CutPrefix(word, ";"); relative {
				if wrong = u.set(after); wrong != "" {
					return u, wrong
				}
				continue
			}
			if wrong = u.setMailbox(word); wrong != "" {
				return u, wrong
			}
			continue
		}
		if wrong = u.set(word); wrong != "" {
			return u, wrong
		}
	}
	if u.uid == 0 {
		return u, "Invalid IMAP URL"
	}
	return u, ""
}

func (u *messageURL) setMailbox(word string) (wrong string) {
	name, validity, has := strings.Cut(strings.TrimPrefix(word, "/"), ";")
	decoded, err := url.PathUnescape(name)
	if err != nil || decoded == "" {
		return "Invalid IMAP URL"
	}
	u.mailbox = decoded
	if has {
		return u.set(validity)
	}
	return ""
}

func (u *messageURL) set(word string) (wrong string) {
	key, value, _ := strings.Cut(word, "=")
	switch strings.ToUpper(key) {
	case "UIDVALIDITY":
		n, err := strconv.ParseUint(value, 10, 32)
		u.validity = formats.UIDValidity(n)
		if err == nil && n > 0 {
			return ""
		}
	case "UID":
		n, err := strconv.ParseUint(value, 10, 32)
		u.uid = formats.UID(n)
		if err == nil && n > 0 {
			return ""
		}
	case "SECTION":
		section, err := url.PathUnescape(value)
		u.section = section
		if err == nil && section != "" {
			return ""
		}
	case "PARTIAL":
		offset, length, has := strings.Cut(value, ".")
		n, err := strconv.ParseInt(offset, 10, 64)
		u.partial, u.offset = true, n
		if has && err == nil {
			u.length, err = strconv.ParseInt(length, 10, 64)
		}
		if err == nil && n >= 0 && (!has || u.length > 0) {
			return ""
		}
	}
	return "Invalid IMAP URL"
}

// fetchURL writes what a URL of CATENATE stands for.
func (s *session) fetchURL(ctx context.Context, text string, to io.Writer) error {
	refuse := func(why string) error { return refusalError{no("[BADURL "+printable(text)+"]", why)} }
	u, wrong := parseURL(text, s.name)
	if wrong != "" {
		return refuse(wrong)
	}
	box := formats.Mailbox(nil)
	if u.mailbox == "" && s.sel != nil {
		box = s.sel.box
	} else {
		name := u.mailbox
		if encoded, err := layout.EncodeMUTF7(name); err == nil {
			name = encoded // URLs have UTF-8 (RFC 5092 section 8)
		}
		m, err := s.find(name)
		if err != nil {
			return refuse(err.Error())
		}
		opened, err := s.target(ctx, m)
		if errors.Is(err, formats.ErrNoMailbox) {
			return refuse("Mailbox doesn't exist: " + encoded(m.Full))
		}
		if err != nil {
			return err
		}
		defer opened.Close()
		box = opened
	}
	if st, err := box.Status(ctx); err != nil || u.validity != 0 && st.UIDValidity != u.validity {
		return refuse("Invalid UIDVALIDITY")
	}
	m := formats.Message{UID: u.uid}
	body, err := box.Body(ctx, &m)
	if err != nil {
		return refuse("Message not found")
	}
	defer body.Close()
	part, err := u.text(body)
	if err != nil {
		return refuse(err.Error())
	}
	_, err = part.WriteTo(to)
	return err
}

// printable is a text of the client as it can stand in the line of an answer.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == ']' || r >= 0x7f {
			return '?'
		}
		return r
	}, text)
}

// text is what the URL means of a message.
func (u *messageURL) text(body formats.Body) (*message.Text, error) {
	section, err := imapwire.ParseSection(u.section)
	if err != nil {
		return nil, err
	}
	parsed, err := message.Parse(body, body.Size())
	if err != nil {
		return nil, err
	}
	part := message.All
	if u.partial {
		part.Offset = u.offset
		if u.length >= 0 {
			part.Length = u.length
		}
	}
	which := message.Section{Part: section.Part, Which: message.Which(section.Specifier), Fields: section.Fields}
	return message.NewSource(body, parsed.Tree).Section(which, part)
}
