package submission

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"dovetail/formats"
	"dovetail/serve"
	"dovetail/serve/imapurl"
	"dovetail/serve/smtp"
	"dovetail/sync/watch"
)

const imapPort = 143

// urlServer is the server of the IMAP URLs that we read: that of this configuration.
func (s *session) urlServer() string {
	host := s.o.URLAuthHost
	if host == "" || host == "*" {
		host = s.Host
	}
	if s.o.URLAuthPort != imapPort {
		host += ":" + strconv.Itoa(int(s.o.URLAuthPort))
	}
	return host
}

// chunkByURL is BURL (RFC 4468): a part of the message is one that the user has stored. Only URLs of the user's own
// messages are read. Those that others may read, too, need keys of mailboxes (RFC 4467), which there are none of; the
// answer is then that of a Dovecot without a place for them.
func (s *session) chunkByURL(ctx context.Context, args string) {
	u, last, err := parseBURL(args)
	if err != nil {
		s.Refused = true
		s.Reply(501, "5.5.4", err.Error())
		return
	}
	if !s.ready() {
		s.Refused = true
		return
	}
	t := &s.tx.text
	t.Chunked, s.State = true, "DATA"
	size, err := s.fetch(ctx, u, t)
	refused, isRefusal := errors.AsType[*smtp.Refusal](err)
	switch {
	case isRefusal && refused.Code == 552:
		s.Reply(552, "5.2.3", refused.Text)
	case errors.Is(err, errNoKeys):
		s.Reply(554, "5.7.14", err.Error())
	case isRefusal:
		s.Reply(554, "5.6.6", "IMAP URL resolution failed: "+refused.Text)
	case err != nil:
		s.log(slog.LevelError, fmt.Sprintf("BURL: %v", err))
		s.Reply(451, "4.3.0", serve.CriticalError())
	case last:
		s.pass(ctx)
		return
	default:
		s.Reply(250, "2.0.0", fmt.Sprintf("Added %d octets", size))
		return
	}
	s.Refused = true
}

// parseBURL reads what follows the verb.
func parseBURL(args string) (u imapurl.URL, last bool, err error) {
	words := strings.Split(args, " ")
	if args == "" {
		return u, false, errors.New("Missing chunk URL parameter")
	}
	if u, err = imapurl.Parse(words[0]); err != nil && u.Absolute {
		return u, false, fmt.Errorf("Invalid chunk URL: %w", err)
	}
	switch {
	case !u.Absolute:
		return u, false, errors.New("Invalid chunk URL: Relative URL not allowed")
	case len(words) > 1 && !strings.EqualFold(words[1], "LAST"):
		return u, false, errors.New("Invalid end marker parameter")
	case len(words) > 2:
		return u, false, errors.New("Invalid parameters")
	}
	return u, len(words) == 2, nil
}

var errNoKeys = errors.New("No IMAP URLAUTH access available")

func unresolved(why string) error { return &smtp.Refusal{Code: 554, Text: why} }

// fetch adds what a URL stands for to a message.
func (s *session) fetch(ctx context.Context, u imapurl.URL, to *smtp.Text) (size int64, err error) {
	if u.Authorized {
		return 0, errNoKeys
	}
	if err := s.own(u); err != nil {
		return 0, err
	}
	box, err := s.mailbox(ctx, u.Mailbox)
	if err != nil {
		return 0, err
	}
	defer box.Close()
	if st, err := box.Status(ctx); err != nil || u.Validity != 0 && st.UIDValidity != u.Validity {
		return 0, unresolved("Invalid UIDVALIDITY")
	}
	body, err := box.Body(ctx, &formats.Message{UID: u.UID})
	if err != nil {
		return 0, unresolved("Message not found")
	}
	defer body.Close()
	part, err := u.Text(body)
	if err != nil {
		return 0, unresolved("Message part not found")
	}
	if to.Limit > 0 && to.Size()+part.Size() > to.Limit {
		return 0, &smtp.Refusal{Code: 552, Text: "Message size exceeds administrative limit"}
	}
	size, to.Failed = part.WriteTo(&to.Spool)
	return size, to.Failed
}

// own refuses a URL that is not of this server and user (Dovecot 2.3.19, src/submission/submission-commands.c).
func (s *session) own(u imapurl.URL) error {
	host, port, hasPort := strings.Cut(u.Host, ":")
	switch {
	case s.o.URLAuthHost != "*" && host != s.o.URLAuthHost:
		return unresolved("Inappropriate or missing host name")
	case hasPort && port != strconv.Itoa(int(s.o.URLAuthPort)), !hasPort && s.o.URLAuthPort != imapPort:
		return unresolved("Inappropriate server port")
	case u.User != s.name:
		return unresolved("Not a user's own URL")
	}
	return nil
}

func (s *session) mailbox(ctx context.Context, name string) (*watch.Box, error) {
	m, err := s.user.Find(name)
	if err != nil {
		return nil, unresolved(err.Error())
	}
	store, err := m.Space.Store(ctx)
	if err != nil {
		return nil, err
	}
	box, err := s.p.Hub.Open(ctx, store, m.Name)
	if errors.Is(err, formats.ErrNoMailbox) {
		return nil, unresolved("Mailbox doesn't exist: " + name)
	}
	return box, err
}
