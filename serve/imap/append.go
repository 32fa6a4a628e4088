package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/sync/watch"
)

// maxAppend is the largest message taken; there is no setting for it in Dovecot, which takes any.
const maxAppend = 1 << 40

func (s *session) append(ctx context.Context, c *imapwire.Command) answer {
	m, err := s.find(c.Args.(*imapwire.Append).Mailbox)
	if err == nil {
		var box *watch.Box
		if box, err = s.target(ctx, m); err == nil {
			defer box.Close()
			return s.appendTo(ctx, c, box)
		}
	}
	a := s.missing(err, "[TRYCREATE]", m)
	s.passOver(c)
	return a
}

var (
	errTooBig = errors.New("Message size is too large")
	errEmpty  = errors.New("Can't save a zero byte message.")
)

// grant says yes to a message of that size.
func grant(size uint64, _ bool) error {
	switch {
	case size > maxAppend:
		return errTooBig
	case size == 0:
		return errEmpty
	}
	return nil
}

// grantPart says yes to a part of a message: it may be empty.
func grantPart(size uint64, _ bool) error {
	if size > maxAppend {
		return errTooBig
	}
	return nil
}

// refusal is an error that is an answer.
type refusalError struct{ answer }

func (e refusalError) Error() string { return e.text }

// appendTo saves all messages of the command or none (RFC 3502).
func (s *session) appendTo(ctx context.Context, c *imapwire.Command, box *watch.Box) answer {
	n := 0
	done, err := box.Update(ctx, func(tx formats.Tx) error {
		for ; ; n++ {
			m, err := s.in.NextMessage(n == 0, grant)
			if m == nil || err != nil {
				return err
			}
			if err := s.save(ctx, tx, c, m); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return s.notAppended(c, err)
	}
	s.count.appended += n
	st := box.Snapshot().Status
	return withCode(fmt.Sprintf("[APPENDUID %d %s]", st.UIDValidity, done.UIDs), "Append completed")
}

// notAppended answers, and passes over what the client still sends of the command.
func (s *session) notAppended(c *imapwire.Command, err error) answer {
	syntax, isSyntax := errors.AsType[*imapwire.SyntaxError](err)
	switch {
	case isSyntax:
		return wrong(c, syntax.Text)
	case errors.Is(err, errTooBig):
		return no("[TOOBIG]", err.Error())
	case errors.Is(err, errEmpty):
		return no("", err.Error())
	case errors.Is(err, io.ErrUnexpectedEOF):
		s.end("Connection closed (in APPEND)")
		return answer{}
	}
	if s.in.Abandon() != nil {
		s.end("Connection closed")
	}
	if refused, ok := errors.AsType[refusalError](err); ok {
		return refused.answer
	}
	return s.failed(err)
}

// latest is how far in the future an internal date may lie before it is taken for a mistake: Dovecot's two hours.
const latest = 2 * time.Hour

// save takes one message in and appends it.
func (s *session) save(ctx context.Context, tx formats.Tx, c *imapwire.Command, m *imapwire.AppendMessage) error {
	flags, keywords, text := parseFlags(m.Flags)
	if text != "" {
		return refusalError{wrong(c, text)}
	}
	var sp spool
	defer sp.Close()
	var err error
	if m.Catenate {
		err = s.catenate(ctx, c, &sp)
	} else {
		_, err = io.Copy(&sp, m.Literal)
	}
	if err != nil {
		return err
	}
	date := m.Date
	if now := time.Now(); date.IsZero() || date.After(now.Add(latest)) {
		date = now
	}
	return tx.Append(ctx, formats.Message{Flags: flags, Keywords: keywords, Detail: formats.Detail{InternalDate: date}}, &sp)
}

// catenate puts a message together of texts and parts of messages that are here (RFC 4469).
func (s *session) catenate(ctx context.Context, c *imapwire.Command, to *spool) error {
	for n := 0; ; n++ {
		part, err := s.in.NextPart(grantPart)
		switch {
		case err != nil:
			return err
		case part == nil && n == 0:
			return refusalError{wrong(c, "Empty CATENATE list")}
		case part == nil && to.Size() == 0:
			return refusalError{no("", errEmpty.Error())}
		case part == nil:
			return nil
		case part.Text != nil:
			_, err = io.Copy(to, part.Text)
		default:
			err = s.fetchURL(ctx, part.URL, to)
		}
		if err != nil {
			return err
		}
	}
}
