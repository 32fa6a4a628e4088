package lmtp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"dovetail/formats/disk"
	"dovetail/serve"
	"dovetail/serve/deliver"
	"dovetail/serve/quota"
	"dovetail/serve/smtp"
)

// ready tells whether a message may come now.
func (s *session) ready() bool {
	switch {
	case s.tx == nil:
		s.Reply(503, "5.5.0", "MAIL needed first")
	case s.Refused:
		s.Reply(503, "5.5.0", "Previous data chunk failed, issue RSET first")
	case len(s.tx.recipients) == 0:
		s.Reply(503, "5.5.0", "No valid recipients")
	default:
		return true
	}
	return false
}

func (s *session) data(ctx context.Context, args string) {
	switch {
	case args != "":
		s.Invalid()
		return
	case s.tx != nil && s.tx.text.Chunked:
		s.Reply(503, "5.5.0", "BDAT required")
		return
	case !s.ready():
		return
	}
	if s.TakeData(&s.tx.text) {
		s.deliver(ctx)
	}
}

// chunk is BDAT.
func (s *session) chunk(ctx context.Context, args string) {
	if s.TakeChunk(args, s.ready, func() *smtp.Text { return &s.tx.text }) {
		s.deliver(ctx)
	}
}

// deliver gives the message to all recipients, with a reply for each.
func (s *session) deliver(ctx context.Context) {
	defer s.reset()
	// What is being saved is saved, also when the server is to end meanwhile: the client hears of it.
	running := ctx
	ctx = context.WithoutCancel(ctx)
	t := s.tx
	if t.text.Failed != nil {
		s.p.Log.Error(fmt.Sprintf("lmtp: %v", t.text.Failed))
		for range t.recipients {
			s.Reply(451, "4.3.0", "Temporary internal failure")
		}
		return
	}
	s.Save(func() { s.deliverAll(ctx, t) })
	for _, expire := range t.after {
		expire(running)
	}
}

// deliverAll saves the message for each recipient. Without a reply the client keeps it, as when the server ends now.
func (s *session) deliverAll(ctx context.Context, t *transaction) {
	m := &deliver.Message{From: t.from.String(), Head: []byte(s.head()), Text: &t.text.Spool, Temp: s.temp}
	defer m.Close()
	results := map[*recipient]reply{}
	for _, r := range t.recipients {
		result, known := results[first(r)]
		if !known {
			result = s.deliverTo(ctx, r, m)
			results[r] = result
		}
		s.Reply(result.code, result.enhanced, fmt.Sprintf("<%s> %s", r.path, result.text))
	}
}

func first(r *recipient) *recipient {
	if r.first != nil {
		return r.first
	}
	return r
}

type reply struct {
	code           int
	enhanced, text string
}

func (s *session) deliverTo(ctx context.Context, r *recipient, m *deliver.Message) reply {
	prefix := fmt.Sprintf("lmtp(%s)<%d><%s>: ", r.user.Name, os.Getpid(), r.id)
	log := func(level slog.Level, text string) { s.p.Log.Log(ctx, level, prefix+text) }
	user, err := s.open(r)
	if err != nil {
		log(slog.LevelError, "Failed to initialize user: "+err.Error())
		return reply{451, "4.3.0", "Temporary internal error"}
	}
	s.tx.after = append(s.tx.after, func(ctx context.Context) {
		s.p.Clean.Clean(ctx, user, log)
		user.Close()
	})
	d := deliver.Delivery{User: user, To: r.path.String(), Session: r.id, Began: s.tx.began, Lookup: s.request(r).Variable, Hub: s.p.Hub, Log: log}
	d.Was = r.original
	if s.o.SaveToDetailMailbox && r.detail != "" {
		d.Mailbox = user.InboxPrefix() + r.detail
	}
	if err := d.Deliver(ctx, m); err != nil {
		return s.refusal(err)
	}
	return reply{250, "2.0.0", r.id + " Saved"}
}

// refusal says why a message was not saved: for good, so that it bounces, only if the user has too much mail already and
// the administrator wants that. A full disk is none of the sender's business (Dovecot 2.3 has it bounce).
func (s *session) refusal(err error) reply {
	full := (*quota.FullError)(nil)
	switch {
	case errors.As(err, &full) && full.TooLarge:
		return reply{451, "4.2.0", full.Text}
	case errors.As(err, &full):
		return s.tooFull(full.Text)
	case errors.Is(err, unix.EDQUOT):
		return s.tooFull("Not enough disk quota")
	case disk.Full(err):
		return reply{452, "4.3.1", "Not enough disk space"}
	}
	return reply{451, "4.2.0", serve.CriticalError()}
}

// tooFull is the answer for a user who has no room (quota_full_tempfail).
func (s *session) tooFull(text string) reply {
	if s.delivery.QuotaFullTempfail {
		return reply{452, "4.2.2", text}
	}
	return reply{552, "5.2.2", text}
}

// head is what is put in front of a message (RFC 5321 section 4.4). With several recipients it is the same for all, so
// that none learns of the others and one copy serves all of them.
func (s *session) head() string {
	t := s.tx
	var b strings.Builder
	fmt.Fprintf(&b, "Return-Path: <%s>\r\n", t.from)
	only := (*recipient)(nil)
	if len(t.recipients) == 1 {
		only = t.recipients[0]
		switch {
		case s.o.HeaderDeliveryAddress == "original" && only.original != "":
			fmt.Fprintf(&b, "Delivered-To: %s\r\n", only.original)
		case s.o.HeaderDeliveryAddress == "final":
			fmt.Fprintf(&b, "Delivered-To: %s\r\n", only.path)
		}
	}
	if !s.o.AddReceivedHeader {
		return b.String()
	}
	protocol, to := "LMTP", ""
	if s.C.TLS() != nil {
		protocol = "LMTPS"
	}
	if only != nil {
		to = only.path.String()
	}
	b.WriteString(s.Received(protocol, t.id, t.from.String(), to))
	return b.String()
}
