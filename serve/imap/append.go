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
	"dovetail/formats/message"
	"dovetail/serve"
	"dovetail/sync/watch"
)

// maxAppend is the largest message taken; there is no setting for it in Dovecot, which takes any.
const maxAppend = 1 << 40

func (s *session) append(ctx context.Context, c *imapwire.Command) answer {
	m, err := s.find(c.Args.(*imapwire.Append).Mailbox)
	if err == nil {
		var box *watch.Box
		if box, err = s.saveTarget(ctx, m); err == nil {
			defer box.Close()
			return s.appendTo(ctx, c, box)
		}
	}
	a := s.missing(ctx, err, "[TRYCREATE]", m)
	s.passOver(c)
	return a
}

var (
	errTooBig = errors.New("Message size is too large")
	errEmpty  = errors.New("Can't save a zero byte message.")
)

// grant says yes to a message of that size.
func (in *incoming) grant(said *imapwire.AppendMessage, size uint64) error {
	if _, err := in.describe(said); err != nil {
		return err
	}
	if size == 0 {
		return errEmpty
	}
	return grantPart(size)
}

// grantPart says yes to a part of a message: it may be empty.
func grantPart(size uint64) error {
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
	in := incoming{s: s, c: c, box: box}
	defer in.spool.Close()
	add := box.Append
	if s.mayClaim(box) {
		add = box.AppendAndClaim
	}
	done, err := add(ctx, func() (watch.Message, error) {
		m, err := in.next(ctx)
		m.Body, m.Size = s.user.LineEnds(m.Body, m.Size)
		return m, err
	})
	s.added(box, done)
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
	case isSyntax && syntax.Fatal:
		s.leave(syntax.Text)
		return answer{}
	case isSyntax:
		return wrong(c, syntax.Text)
	case s.sentAway():
		return answer{}
	case serve.IsTimeout(err):
		s.inactive()
		return answer{}
	case errors.Is(err, errTooBig):
		return no("[TOOBIG]", err.Error())
	case errors.Is(err, errEmpty):
		return no("", err.Error())
	case errors.Is(err, io.ErrUnexpectedEOF):
		s.end("Connection closed (in APPEND)")
		return answer{}
	}
	s.wait()
	s.passedOver(s.in.Abandon())
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
	box   *watch.Box
	n     int
	spool disk.Spool // of a message that is put together, or changed
}

// next gives the next message, io.EOF behind the last one.
func (in *incoming) next(ctx context.Context) (m watch.Message, err error) {
	in.s.wait()
	said, err := in.s.in.NextMessage(in.n == 0, in.grant)
	if err != nil {
		return m, err
	}
	if said == nil {
		return m, io.EOF
	}
	in.n++
	if m.Message, err = in.describe(said); err != nil {
		return m, err
	}
	if !said.Catenate && !said.Literal.Binary {
		m.Body, m.Size = unhurried{in.s, said.Literal}, said.Literal.Size
		return m, nil
	}
	if err := in.fresh(); err != nil {
		return m, err
	}
	binary := !said.Catenate
	if binary {
		_, err = io.Copy(&in.spool, unhurried{in.s, said.Literal})
	} else {
		binary, err = in.s.catenate(ctx, in.c, &in.spool)
	}
	if err == nil && binary {
		err = in.encode()
	}
	if err != nil {
		return m, err
	}
	m.Size = in.spool.Size()
	m.Body = io.NewSectionReader(&in.spool, 0, m.Size)
	return m, nil
}

// describe is what was said of a message.
func (in *incoming) describe(said *imapwire.AppendMessage) (m formats.Message, err error) {
	flags, keywords, text := parseFlags(said.Flags)
	if text != "" {
		return m, refusalError{wrong(in.c, text)}
	}
	if a := in.s.refusedKeywords(in.box, keywords); a != nil {
		return m, refusalError{*a}
	}
	date := said.Date
	if now := time.Now(); date.IsZero() || date.After(now.Add(latest)) {
		date = now
	}
	return formats.Message{Flags: flags | formats.Recent, Keywords: keywords, Detail: formats.Detail{InternalDate: date}}, nil
}

// fresh empties the spool.
func (in *incoming) fresh() error {
	err := in.spool.Close()
	in.spool = disk.Spool{}
	return err
}

// encode takes binary parts out of the message in the spool: not every reader of the files knows them.
func (in *incoming) encode() error {
	raw := in.spool
	defer raw.Close()
	in.spool = disk.Spool{}
	m, err := message.Parse(&raw, raw.Size())
	if err != nil {
		return err
	}
	return message.NewSource(&raw, m.Tree).WriteEncoded(&in.spool)
}

// errMixed is about a binary text in a message that began as another (RFC 4469 section 3).
var errMixed = refusalError{no("[UNKNOWN-CTE]", "Binary input allowed only when the first part is binary.")}

// catenate puts a message together of texts and parts of messages that are here (RFC 4469). It is binary if the first
// text, in front of everything else, is.
func (s *session) catenate(ctx context.Context, c *imapwire.Command, to *disk.Spool) (binary bool, err error) {
	for n := 0; ; n++ {
		s.wait()
		part, err := s.in.NextPart(grantPart)
		if n == 0 && part != nil && part.Text != nil {
			binary = part.Text.Binary
		}
		switch {
		case err != nil:
			return false, err
		case part == nil && n == 0:
			return false, refusalError{wrong(c, "Empty CATENATE list")}
		case part == nil && to.Size() == 0:
			return false, refusalError{no("", errEmpty.Error())}
		case part == nil:
			return binary, nil
		case part.Text != nil && part.Text.Binary && !binary:
			return false, errMixed
		case part.Text != nil:
			_, err = io.Copy(to, unhurried{s, part.Text})
		default:
			err = s.fetchURL(ctx, part.URL, to)
		}
		if err != nil {
			return false, err
		}
	}
}
