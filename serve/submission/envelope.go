package submission

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"dovetail/serve/smtp"
)

// added is what a message may grow by on its way through us (src/submission/submission-common.h).
const added = 1024

// transaction is one message on its way.
type transaction struct {
	id         string
	began      time.Time
	from       smtp.Path
	params     smtp.MailParams
	recipients []smtp.Path
	text       smtp.Text
}

// reset forgets the transaction.
func (s *session) reset() {
	s.Refused = false
	if s.tx != nil {
		s.tx.text.Close()
		s.tx, s.State = nil, "READY"
	}
}

func (s *session) hello(ctx context.Context, args string) { s.sayHello(ctx, args, false) }

func (s *session) oldHello(ctx context.Context, args string) { s.sayHello(ctx, args, true) }

func (s *session) sayHello(ctx context.Context, args string, old bool) {
	if args == "" {
		s.Reply(501, "", "Missing hostname")
		return
	}
	// One that comes again ends what the relay has begun.
	if s.relay != nil && s.tx != nil {
		if r, ok := s.ask(ctx, (*relay).reset); !ok {
			return
		} else if !r.positive() {
			s.Reply(r.code, "", r.text())
			return
		}
	}
	s.reset()
	s.Name, s.old, s.State = args, old, "READY"
	list := []string{s.Host}
	switch {
	case old:
	case s.login != nil:
		list = append(list, s.extensionsBefore()...)
	default:
		list = append(list, s.extensionsAfter()...)
	}
	s.Reply(250, "", strings.Join(list, "\n"))
}

// extensionsBefore are those of somebody who is not logged in, in Dovecot's order.
func (s *session) extensionsBefore() (list []string) {
	may := func(yes bool, what string) {
		if yes {
			list = append(list, what)
		}
	}
	may(s.known.eightBit, "8BITMIME")
	if !s.tlsRequired() {
		may(true, "AUTH "+strings.Join(s.login.Mechanisms(), " "))
	}
	may(s.known.binary, "BINARYMIME")
	list = append(list, "BURL imap", "CHUNKING")
	may(s.known.dsn, "DSN")
	list = append(list, "ENHANCEDSTATUSCODES")
	size := "SIZE"
	if value, ok := s.view.Get("submission_max_mail_size"); ok && value.Pos.File != "" && s.o.MaxMailSize > 0 {
		size += " " + strconv.FormatUint(s.o.MaxMailSize, 10)
	}
	list = append(list, size)
	may(s.C.CanStartTLS(s.login.TLS.Mode), "STARTTLS")
	list = append(list, "PIPELINING")
	may(s.known.vrfy, "VRFY")
	may(s.C.Trusted, "XCLIENT ADDR PORT PROTO HELO LOGIN SESSION TTL TIMEOUT FORWARD")
	return list
}

// extensionsAfter are those of a user.
func (s *session) extensionsAfter() (list []string) {
	e := s.relayExtensions()
	may := func(yes bool, what string) {
		if yes {
			list = append(list, what)
		}
	}
	may(e.eightBit, "8BITMIME")
	list = append(list, "AUTH")
	may(e.binary, "BINARYMIME")
	list = append(list, "BURL imap imap://"+s.urlServer(), "CHUNKING")
	may(e.dsn, "DSN")
	list = append(list, "ENHANCEDSTATUSCODES", "PIPELINING")
	if most := s.most(); most > 0 {
		list = append(list, "SIZE "+strconv.FormatUint(most, 10))
	} else {
		list = append(list, "SIZE")
	}
	may(e.vrfy, "VRFY")
	return list
}

// relayExtensions are what the configuration says of the relay, or the relay itself.
func (s *session) relayExtensions() extensions {
	if s.o.CapabilitiesSet || s.relay == nil {
		return s.known
	}
	return s.relay.extensions
}

// most is the size of the largest message that we take and the relay takes, too; 0: any.
func (s *session) most() uint64 {
	most := s.o.MaxMailSize
	if s.relay != nil && s.relay.most > added && (most == 0 || s.relay.most-added < most) {
		most = s.relay.most - added
	}
	return most
}

// grammar is what is taken beside RFC 5321's grammar of paths. An address in UTF-8 is none here, as with Dovecot.
func (s *session) grammar() (o smtp.Options) {
	o.ASCII = true
	for _, word := range s.o.ClientWorkarounds {
		switch word {
		case "whitespace-before-path":
			o.SpaceFirst = true
		case "mailbox-for-path":
			o.Bare = true
		}
	}
	return o
}

func (s *session) parameters() smtp.Extensions {
	e := s.relayExtensions()
	return smtp.Extensions{Size: true, Auth: true, DSN: e.dsn, EightBitMIME: e.eightBit, BinaryMIME: e.binary}
}

func (s *session) mail(ctx context.Context, args string) {
	if s.tx != nil {
		s.Reply(503, "5.5.0", "MAIL already given")
		return
	}
	o := s.grammar()
	o.Empty = true
	from, said, ok := s.Path(args, "FROM", o)
	if !ok {
		return
	}
	params, err := smtp.ParseMail(said, s.parameters())
	switch {
	case err != nil:
		s.Refuse(err)
		return
	case s.o.MaxMailSize > 0 && params.Size > s.o.MaxMailSize:
		s.Reply(552, "5.2.3", "Message size exceeds administrative limit")
		return
	}
	if !s.connected(ctx) {
		return
	}
	if most := s.most(); most > 0 && params.Size > most {
		s.Reply(552, "5.3.4", "Message size exceeds fixed maximum message size")
		return
	}
	r, ok := s.askAgain(ctx, func(r *relay) (reply, error) { return r.mail(from, params, s.name) })
	if !ok {
		return
	}
	if r.positive() {
		s.count++
		s.tx = &transaction{began: time.Now(), id: s.C.Session, from: from, params: params}
		if s.count > 1 {
			s.tx.id += ":T" + strconv.Itoa(s.count)
		}
		s.tx.text.Dir = s.temp
		s.tx.text.Limit = int64(min(s.o.MaxMailSize, 1<<62))
		s.State = "MAIL FROM"
	}
	s.forward(r, "2.1.0")
}

func (s *session) recipient(ctx context.Context, args string) {
	switch {
	case s.tx == nil:
		s.Reply(503, "5.5.0", "MAIL needed first")
		return
	case s.o.MaxRecipients > 0 && len(s.tx.recipients) >= int(s.o.MaxRecipients):
		s.Reply(451, "4.5.3", "Too many recipients")
		return
	}
	o := s.grammar()
	o.NoDomain = true
	to, said, ok := s.Path(args, "TO", o)
	if !ok {
		return
	}
	if to.Domain == "" && !strings.EqualFold(to.Local, "postmaster") {
		s.Reply(501, "5.5.4", "Invalid TO: Missing domain")
		return
	}
	params, err := smtp.ParseRcpt(said, s.parameters())
	if err != nil {
		s.Refuse(err)
		return
	}
	r, ok := s.ask(ctx, func(r *relay) (reply, error) { return r.recipient(to, params) })
	if !ok {
		return
	}
	if r.positive() {
		s.tx.recipients = append(s.tx.recipients, to)
		s.State = "RCPT TO"
	} else if len(r.lines) > 0 {
		r.lines[0] = "<" + to.String() + "> " + r.lines[0]
	}
	s.forward(r, "")
}

// forward passes an answer of the relay on; enhanced is the code of success where the relay gives none.
func (s *session) forward(r reply, enhanced string) {
	switch {
	case r.enhanced != "":
		enhanced = r.enhanced
	case !r.positive() || enhanced == "":
		enhanced = fmt.Sprintf("%d.0.0", r.code/100)
	}
	s.Reply(r.code, enhanced, r.text())
}

func (s *session) rset(ctx context.Context, args string) {
	if args != "" {
		s.Invalid()
		return
	}
	if !s.connected(ctx) {
		return
	}
	ask := s.askAgain // a connection that is lost has nothing to be reset
	if s.tx != nil {
		ask = s.ask
	}
	if r, ok := ask(ctx, (*relay).reset); ok {
		s.reset()
		s.forward(r, "")
	}
}

func (s *session) noop(ctx context.Context, args string) {
	if !s.isString(args) || !s.connected(ctx) {
		return
	}
	ask := s.askAgain
	if s.tx != nil {
		ask = s.ask
	}
	r, ok := ask(ctx, (*relay).noop)
	switch {
	case !ok:
	case r.positive():
		s.Reply(250, "2.0.0", "OK")
	default:
		s.forward(r, "")
	}
}

func (s *session) verify(ctx context.Context, args string) {
	if args == "" {
		s.Invalid()
		return
	}
	if !s.isString(args) || !s.connected(ctx) {
		return
	}
	r, ok := s.ask(ctx, func(r *relay) (reply, error) { return r.verify(args) })
	switch {
	case !ok:
	case r.code == 500 || r.code == 502:
		s.Reply(252, "2.3.3", "Try RCPT instead")
	default:
		s.forward(r, "2.5.0")
	}
}
