package imap

import (
	"context"
	"errors"
	"io"
	"strings"

	"dovetail/formats"
	"dovetail/formats/layout"
	"dovetail/serve/imapurl"
)

var errNotOwn = errors.New("Not a user's own URL")

// fetchURL writes what a URL of CATENATE stands for.
func (s *session) fetchURL(ctx context.Context, text string, to io.Writer) error {
	refuse := func(why string) error { return refusalError{no("[BADURL "+printable(text)+"]", why)} }
	u, err := imapurl.Parse(text)
	if err == nil && (u.Authorized || u.Absolute && u.User != s.name) {
		err = errNotOwn
	}
	if err != nil {
		return refuse(err.Error())
	}
	box := formats.Mailbox(nil)
	if u.Mailbox == "" && s.sel != nil {
		box = s.sel.box
	} else {
		name := u.Mailbox
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
	if st, err := box.Status(ctx); err != nil || u.Validity != 0 && st.UIDValidity != u.Validity {
		return refuse("Invalid UIDVALIDITY")
	}
	m := formats.Message{UID: u.UID}
	body, err := box.Body(ctx, &m)
	if err != nil {
		return refuse("Message not found")
	}
	defer body.Close()
	part, err := u.Text(body)
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
