package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
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

// appendTo saves all messages of the command or none (RFC 3502). They go into the mailbox as they come.
func (s *session) appendTo(ctx context.Context, c *imapwire.Command, box *watch.Box) answer {
	in := incoming{s: s, c: c}
	defer in.spool.Close()
	done, err := box.Append(ctx, func() (watch.Message, error) { return in.next(ctx) })
	if err != nil {
		return s.notAppended(c, err)
	}
	s.count.appended += in.n
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

// incoming is the messages of one APPEND.
type incoming struct {
	s     *session
	c     *imapwire.Command
	n     int
	spool disk.Spool // of a message that is put together
}

// next gives the next message, io.EOF behind the last one.
func (in *incoming) next(ctx context.Context) (m watch.Message, err error) {
	said, err := in.s.in.NextMessage(in.n == 0, grant)
	if err != nil {
		return m, err
	}
	if said == nil {
		return m, io.EOF
	}
	in.n++
	flags, keywords, text := parseFlags(said.Flags)
	if text != "" {
		return m, refusalError{wrong(in.c, text)}
	}
	date := said.Date
	if now := time.Now(); date.IsZero() || date.After(now.Add(latest)) {
		date = now
	}
	m.Message = formats.Message{Flags: flags, Keywords: keywords, Detail: formats.Detail{InternalDate: date}}
	if !said.Catenate {
		m.Body, m.Size = said.Literal, said.Literal.Size
		return m, nil
	}
	if err := in.spool.Close(); err != nil {
		return m, err
	}
	in.spool = disk.Spool{}
	if err := in.s.catenate(ctx, in.c, &in.spool); err != nil {
		return m, err
	}
	m.Size = in.spool.Size()
	m.Body = io.NewSectionReader(&in.spool, 0, m.Size)
	return m, nil
}

// catenate puts a message together of texts and parts of messages that are here (RFC 4469).
func (s *session) catenate(ctx context.Context, c *imapwire.Command, to *disk.Spool) error {
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
