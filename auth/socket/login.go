package socket

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"sync"

	"dovetail/auth"
	"dovetail/auth/sasl"
)

// Logins authenticates at an auth service, on its client or login socket; ours or Dovecot's. Methods may be called by
// many goroutines at once. A connection that has ended is made anew by the next call.
type Logins struct {
	address string

	mu   sync.Mutex // guards link
	link *link
}

// Ticket names a login that was right, for the process that goes on with the connection: see Users.Finish. It is worth
// nothing once the connection of Logins has ended.
type Ticket struct {
	ClientPID int
	ID        uint32
	Cookie    string // a secret of the login process and the service
}

// DialLogins connects to a unix socket (an absolute path) or to host:port. A login socket takes one connection of a
// process.
func DialLogins(ctx context.Context, address string) (*Logins, error) {
	l := &Logins{address: address}
	if _, err := l.connected(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Logins) connected(ctx context.Context) (*link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link != nil && !l.link.over() {
		return l.link, nil
	}
	made, err := dial(ctx, l.address, fmt.Sprintf("VERSION\t1\t2\nCPID\t%d", os.Getpid()), "DONE")
	if err != nil {
		return nil, err
	}
	l.link = made
	return made, nil
}

// Close ends the connection, and with it all logins that nobody has finished.
func (l *Logins) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link != nil {
		l.link.close()
		l.link = nil
	}
	return nil
}

// Mechanisms are those that the service offered when it was connected to last.
func (l *Logins) Mechanisms() []sasl.Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link == nil {
		return nil
	}
	return l.link.mechanisms
}

// Login is one conversation. initial is the client's initial response, nil if there is none; respond is given each
// challenge and answers it. The Ticket is for Users.Finish, if the socket was a login socket. An error is one of the
// connection, of ctx or of respond; whoever is refused gets a Reply that is not OK.
func (l *Logins) Login(ctx context.Context, r auth.Request, mechanism string, initial []byte,
	respond func(ctx context.Context, challenge []byte) ([]byte, error),
) (*auth.Reply, Ticket, error) {
	for again := true; ; again = false {
		k, err := l.connected(ctx)
		if err != nil {
			return nil, Ticket{}, err
		}
		reply, ticket, begun, err := k.login(ctx, &r, mechanism, initial, respond)
		if err == nil || begun || !again || ctx.Err() != nil || !k.over() {
			return reply, ticket, err
		}
	}
}

// login tells in begun whether the service has answered anything: then it cannot be done again.
func (l *link) login(ctx context.Context, r *auth.Request, mechanism string, initial []byte,
	respond func(context.Context, []byte) ([]byte, error),
) (_ *auth.Reply, _ Ticket, begun bool, _ error) {
	id, replies := l.open()
	defer l.done(id)
	line := fmt.Appendf(nil, "AUTH\t%d\t%s", id, Escape(mechanism))
	line = appendLogin(line, r)
	if initial != nil {
		line = append(line, "\tresp="...)
		line = base64.StdEncoding.AppendEncode(line, initial)
	}
	for {
		if len(line) > maxClientLine {
			return &auth.Reply{Code: auth.CodeBadBase64, Reason: "response is too long"}, Ticket{}, begun, l.cancel(id)
		}
		if err := l.send(line); err != nil {
			<-l.gone
			return nil, Ticket{}, begun, fmt.Errorf("auth service: %w", err)
		}
		w, err := l.next(ctx, replies)
		if err != nil {
			l.cancel(id)
			return nil, Ticket{}, begun, err
		}
		begun = true
		if w[0] != "CONT" {
			reply, err := parseReply(w)
			return reply, Ticket{os.Getpid(), id, l.cookie}, begun, err
		}
		response, err := l.answer(ctx, w, respond)
		if err != nil {
			l.cancel(id)
			return nil, Ticket{}, begun, err
		}
		line = fmt.Appendf(nil, "CONT\t%d\t", id)
		line = base64.StdEncoding.AppendEncode(line, response)
	}
}

func (l *link) cancel(id uint32) error { return l.send(fmt.Appendf(nil, "CANCEL\t%d", id)) }

func (l *link) answer(ctx context.Context, w []string, respond func(context.Context, []byte) ([]byte, error)) ([]byte, error) {
	if len(w) < 2 {
		w = append(w, "")
	}
	challenge, err := base64.StdEncoding.DecodeString(w[1])
	if err != nil {
		return nil, errServer
	}
	if respond == nil {
		return nil, fmt.Errorf("%w: a challenge where there is none", errServer)
	}
	return respond(ctx, challenge)
}

// parseReply reads OK and FAIL.
func parseReply(w []string) (*auth.Reply, error) {
	if w[0] != "OK" && w[0] != "FAIL" {
		return nil, fmt.Errorf("%w: %s in answer to AUTH", errServer, sanitize(w[0]))
	}
	f := fields(w[1:])
	r := &auth.Reply{
		OK: w[0] == "OK", Code: auth.Code(f.Value("code")), Reason: f.Value("reason"),
		User: f.Value("user"), OriginalUser: f.Value("original_user"), AuthUser: f.Value("auth_user"),
	}
	if text, ok := f.Get("resp"); ok {
		final, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errServer
		}
		r.Final = final
	}
	r.Fields = f.Without("user", "code", "resp")
	return r, nil
}
