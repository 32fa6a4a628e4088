package submission

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"dovetail/serve"
	"dovetail/serve/smtp"
)

// ready tells whether a message may come now.
func (s *session) ready() bool {
	switch {
	case s.Refused:
		s.Reply(503, "5.5.0", "Previous data chunk failed, issue RSET first")
	case s.tx == nil:
		s.Reply(503, "5.5.0", "MAIL needed first")
	case len(s.tx.recipients) == 0:
		s.Reply(554, "5.5.0", "No valid recipients")
	default:
		return true
	}
	return false
}

func (s *session) data(ctx context.Context, args string) {
	switch {
	case args != "":
		s.Invalid()
	case s.tx != nil && s.tx.params.Body == "BINARYMIME": // RFC 3030 section 3
		s.Reply(503, "5.5.0", "DATA cannot be used with BINARYMIME")
	case !s.ready():
	case s.tx.text.Chunked:
		s.Reply(503, "5.5.0", "Bad sequence of commands")
	case s.TakeData(&s.tx.text):
		s.pass(ctx)
	default:
		s.forget(ctx)
	}
}

func (s *session) chunk(ctx context.Context, args string) {
	if s.TakeChunk(args, s.ready, func() *smtp.Text { return &s.tx.text }) {
		s.pass(ctx)
	}
}

// forget ends a transaction that the relay knows of, and the client takes for over.
func (s *session) forget(ctx context.Context) {
	if !s.Over() {
		if _, ok := s.ask(ctx, (*relay).reset); ok {
			s.reset()
		}
	}
}

// pass gives the message to the relay, whose answer is ours.
func (s *session) pass(ctx context.Context) {
	t := s.tx
	if t.text.Failed != nil {
		s.log(slog.LevelError, fmt.Sprintf("message: %v", t.text.Failed))
		s.Reply(451, "4.3.0", serve.CriticalError())
		s.forget(ctx)
		return
	}
	head := ""
	if s.o.AddReceivedHeader {
		to := ""
		if len(t.recipients) == 1 {
			to = t.recipients[0].String()
		}
		head = s.Received(s.protocol(), t.id, t.from.String(), to)
	}
	message := func() io.Reader {
		return io.MultiReader(strings.NewReader(head), io.NewSectionReader(&t.text, 0, t.text.Size()))
	}
	s.Save(func() {
		r, ok := s.ask(ctx, func(r *relay) (reply, error) {
			if t.params.Body == "BINARYMIME" {
				return r.binary(message(), int64(len(head))+t.text.Size())
			}
			return r.data(message())
		})
		if !ok {
			return
		}
		s.relayed(r)
		s.forward(r, "")
	})
	s.reset()
}

// protocol is how the message came (RFC 3848, and Dovecot for clients that say HELO).
func (s *session) protocol() string {
	p := "ESMTP"
	if s.old {
		p = "SMTP"
	}
	if s.C.TLS() != nil {
		p += "S"
	}
	return p + "A"
}

// relayed logs what the relay says of a message.
func (s *session) relayed(r reply) {
	t := s.tx
	said := printable(r.String())
	if r.positive() {
		s.log(slog.LevelInfo, fmt.Sprintf("Successfully relayed message: from=<%s>, size=%d, id=%s, nrcpt=%d, reply=`%s'", t.from, t.text.Size(), t.id, len(t.recipients), said))
		return
	}
	s.log(slog.LevelInfo, fmt.Sprintf("Failed to relay message: from=<%s>, size=%d, nrcpt=%d, reply=`%s'", t.from, t.text.Size(), len(t.recipients), said))
}

// printable is a text of the relay as it can stand in the log.
func printable(s string) string {
	const most = 128
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), most)]
}
