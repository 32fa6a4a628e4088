package lmtp

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"dovetail/auth"
	"dovetail/serve/deliver"
	"dovetail/serve/namespace"
	"dovetail/serve/quota"
	"dovetail/serve/smtp"
)

// grammar is what is taken beside RFC 5321's grammar of paths.
func (s *session) grammar(empty bool) smtp.Options {
	o := smtp.Options{Empty: empty, NoDomain: true}
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

// extensions are what says which parameters there can be.
var extensions = smtp.Extensions{EightBitMIME: true, SMTPUTF8: true, OriginalRecipient: true}

func (s *session) mail(_ context.Context, args string) {
	if s.tx != nil {
		s.Reply(503, "5.5.0", "MAIL already given")
		return
	}
	from, params, ok := s.Path(args, "FROM", s.grammar(true))
	if !ok {
		return
	}
	if _, err := smtp.ParseMail(params, extensions); err != nil {
		s.Refuse(err)
		return
	}
	s.count++
	s.tx = &transaction{began: time.Now(), id: s.C.Session, from: from}
	s.tx.text.Dir = s.temp
	if s.count > 1 {
		s.tx.id += ":T" + strconv.Itoa(s.count)
	}
	s.State = "MAIL FROM"
	s.Reply(250, "2.1.0", "OK")
}

// recipient is one that was accepted.
type recipient struct {
	path     smtp.Path
	original string // ORCPT
	detail   string
	user     *auth.User
	id       string
	first    *recipient // the same one, given before; nil: this is the first
	release  func()
}

func (r *recipient) close() {
	if r.release != nil {
		r.release()
	}
}

func (s *session) recipient(ctx context.Context, args string) {
	if s.tx == nil {
		s.Reply(503, "5.5.0", "MAIL needed first")
		return
	}
	path, params, ok := s.Path(args, "TO", s.grammar(false))
	if !ok {
		return
	}
	r := &recipient{path: path, id: s.tx.id}
	if s.tx.given++; s.tx.given > 1 {
		r.id += ":R" + strconv.Itoa(s.tx.given)
	}
	said, err := smtp.ParseRcpt(params, extensions)
	if err != nil {
		s.Refuse(err)
		return
	}
	r.original = said.OriginalRecipient
	if len(s.tx.recipients) >= maxRecipients {
		s.Reply(452, "4.5.3", "Too many recipients")
		return
	}
	s.look(ctx, r)
}

// maxRecipients bounds one transaction.
const maxRecipients = 10000

// look finds the user of a recipient.
func (s *session) look(ctx context.Context, r *recipient) {
	name, detail := split(r.path, s.delivery.RecipientDelimiter)
	r.detail = detail
	user, err := s.C.Auth().User(ctx, *s.request(r), name)
	switch {
	case errors.Is(err, auth.ErrUnknown):
		s.Reply(550, "5.1.1", fmt.Sprintf("<%s> User doesn't exist: %s", r.path, name))
		return
	case err != nil:
		s.p.Log.Error(fmt.Sprintf("lmtp: rcpt %s: Failed to lookup user %s: %v", r.path, name, err))
		s.Reply(451, "4.3.0", fmt.Sprintf("<%s> Temporary internal error", r.path))
		return
	}
	r.user = user
	for _, other := range s.tx.recipients {
		if other.first == nil && other.path == r.path {
			r.first = other
		}
	}
	if limit := s.o.UserConcurrencyLimit; limit > 0 && r.first == nil {
		if r.release = s.p.busy.add(user.Name, limit); r.release == nil {
			s.Reply(451, "4.3.0", fmt.Sprintf("<%s> Too many concurrent deliveries for user", r.path))
			return
		}
	}
	if s.o.RecipientCheckQuota && s.full(ctx, r) {
		r.close()
		return
	}
	s.tx.recipients = append(s.tx.recipients, r)
	s.State = "RCPT TO"
	s.Reply(250, "2.1.5", "OK")
}

// full tells, and says, that a recipient has no room for any message (lmtp_rcpt_check_quota).
func (s *session) full(ctx context.Context, r *recipient) bool {
	user, err := s.open(r)
	if err == nil {
		defer user.Close()
		err = deliver.OverQuota(ctx, user, s.p.Hub)
	}
	if err == nil {
		return false
	}
	why := s.refusal(err)
	if full := (*quota.FullError)(nil); !errors.As(err, &full) {
		s.p.Log.Error(fmt.Sprintf("lmtp: rcpt %s: %v", r.path, err))
		why = reply{451, "4.3.0", "Temporary internal error"}
	}
	s.Reply(why.code, why.enhanced, fmt.Sprintf("<%s> %s", r.path, why.text))
	return true
}

// open gives a recipient's mail.
func (s *session) open(r *recipient) (*namespace.User, error) {
	return namespace.Open(namespace.Options{View: s.view, Account: r.user, Lookup: s.request(r).Variable, Stores: s.p.Stores})
}

// request is the connection with the id of a recipient.
func (s *session) request(r *recipient) *auth.Request {
	request := s.C.Request("")
	request.Session = r.id
	return &request
}

// split takes the detail off a recipient's local part, behind any of the delimiters (recipient_delimiter).
func split(p smtp.Path, delimiters string) (user, detail string) {
	local := p.Local
	if i := strings.IndexAny(local, delimiters); delimiters != "" && i > 0 {
		local, detail = local[:i], local[i+1:]
	}
	if p.Domain != "" {
		local += "@" + p.Domain
	}
	return local, detail
}

// concurrency counts deliveries of users (lmtp_user_concurrency_limit).
type concurrency struct {
	mu sync.Mutex
	of map[string]uint32
}

// add counts one in; nil when there are limit already.
func (c *concurrency) add(user string, limit uint32) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]uint32{}
	}
	if c.of[user] >= limit {
		return nil
	}
	c.of[user]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.of[user]--; c.of[user] == 0 {
			delete(c.of, user)
		}
	}
}

// xclient is XCLIENT.
func (s *session) xclient(_ context.Context, args string) {
	if s.XClient(args, s.tx != nil, nil) {
		s.count = 0
		s.Reply(220, "", s.Host+" Ready.")
	}
}
