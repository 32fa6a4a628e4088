package socket

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"

	"dovetail/auth"
)

// Users asks an auth service about users, on its userdb or master socket; ours or Dovecot's. Methods may be called by
// many goroutines at once. A connection that has ended, because the service was restarted, is made anew by the next call.
type Users struct {
	address string

	mu   sync.Mutex // guards link
	link *link
}

// ErrLookup is a lookup that the service could not, or would not, answer: its log has why.
var ErrLookup = errors.New("lookup failed")

const hello = "VERSION\t1\t1"

// DialUsers connects to a unix socket (an absolute path) or to host:port.
func DialUsers(ctx context.Context, address string) (*Users, error) {
	u := &Users{address: address}
	if _, err := u.connected(ctx); err != nil {
		return nil, err
	}
	return u, nil
}

// connected gives the connection, a new one if there is none.
func (u *Users) connected(ctx context.Context) (*link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.link != nil && !u.link.over() {
		return u.link, nil
	}
	l, err := dial(ctx, u.address, hello, "SPID")
	if err != nil {
		return nil, err
	}
	u.link = l
	return l, nil
}

// Close ends the connection.
func (u *Users) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.link != nil {
		u.link.close()
		u.link = nil
	}
	return nil
}

// ask sends one line and gives its reply. A service that went away while idle is found out now: it is asked once more.
func (u *Users) ask(ctx context.Context, verb string, rest []byte) ([]string, error) {
	for again := true; ; again = false {
		l, err := u.connected(ctx)
		if err != nil {
			return nil, err
		}
		reply, err := l.ask(ctx, verb, rest)
		if err == nil || !again || ctx.Err() != nil || !l.over() {
			return reply, err
		}
	}
}

func (l *link) ask(ctx context.Context, verb string, rest []byte) ([]string, error) {
	id, replies := l.open()
	defer l.done(id)
	line := append(fmt.Appendf(nil, "%s\t%d", verb, id), rest...)
	if len(line) > maxMasterLine {
		return nil, auth.ErrUnknown // Dovecot would end the connection
	}
	if err := l.send(line); err != nil {
		<-l.gone
		return nil, fmt.Errorf("auth service: %w", err)
	}
	return l.next(ctx, replies)
}

// nameLine is what USER and PASS say after the id. The service must be told the protocol.
func nameLine(r *auth.Request, user string) []byte {
	line := appendEscaped([]byte("\t"), user)
	return appendLookup(line, r)
}

// User looks a user up; r has the protocol and what is known of a connection. The error is auth.ErrUnknown, or wraps
// ErrLookup, or is one of the connection.
func (u *Users) User(ctx context.Context, r auth.Request, user string) (*auth.User, error) {
	reply, err := u.ask(ctx, "USER", nameLine(&r, user))
	if err != nil {
		return nil, err
	}
	return parseUser(reply)
}

func parseUser(reply []string) (*auth.User, error) {
	if err := refusal(reply, "USER"); err != nil {
		return nil, err
	}
	if len(reply) < 2 || reply[1] == "" {
		return nil, fmt.Errorf("%w: Lookup didn't return username", ErrLookup)
	}
	user := &auth.User{Name: reply[1], Fields: fields(reply[2:])}
	for _, id := range []struct {
		key string
		to  *uint32
		has *bool
	}{{"uid", &user.UID, &user.HasUID}, {"gid", &user.GID, &user.HasGID}} {
		text, ok := user.Fields.Get(id.key)
		first, rest, _ := strings.Cut(text, ",")
		n, err := strconv.ParseUint(first, 10, 32)
		if ok && err != nil {
			return nil, fmt.Errorf("%w: %s=%s is no number", ErrLookup, id.key, sanitize(text))
		}
		*id.to, *id.has = uint32(n), ok
		for more := range strings.SplitSeq(rest, ",") {
			if n, err := strconv.ParseUint(more, 10, 32); err == nil && id.key == "gid" {
				user.Groups = append(user.Groups, uint32(n))
			}
		}
	}
	user.Home = user.Fields.Value("home")
	user.MasterUser, user.AuthUser = user.Fields.Value("master_user"), user.Fields.Value("auth_user")
	return user, nil
}

// fields reads KEY=VALUE words; Dovecot writes empty ones.
func fields(list []string) auth.Fields {
	var f auth.Fields
	for _, word := range list {
		if key, value := keyed(word); key != "" {
			f = f.Set(key, value)
		}
	}
	return f
}

// refusal is the error that a reply stands for, if it is not the one that was wanted.
func refusal(reply []string, wanted string) error {
	switch reply[0] {
	case wanted:
		return nil
	case "NOTFOUND":
		return auth.ErrUnknown
	case "FAIL":
		if reason := fields(reply[1:]).Value("reason"); reason != "" {
			return fmt.Errorf("%w: %s", ErrLookup, reason)
		}
		return ErrLookup
	}
	return fmt.Errorf("%w: %s in answer to %s", errServer, sanitize(reply[0]), wanted)
}

// Pass gives what the passdbs have on a user; never the password. Errors are those of User.
func (u *Users) Pass(ctx context.Context, r auth.Request, user string) (auth.Fields, error) {
	reply, err := u.ask(ctx, "PASS", nameLine(&r, user))
	if err != nil {
		return nil, err
	}
	if err := refusal(reply, "PASS"); err != nil {
		return nil, err
	}
	return fields(reply[1:]), nil
}

// Flush makes a service forget what it keeps of users, of all if none is named, and tells how many entries that were.
// It needs a master socket.
func (u *Users) Flush(ctx context.Context, users ...string) (int, error) {
	var line []byte
	for _, name := range users {
		line = appendEscaped(append(line, '\t'), name)
	}
	reply, err := u.ask(ctx, "CACHE-FLUSH", line)
	if err != nil {
		return 0, err
	}
	if err := refusal(reply, "OK"); err != nil {
		return 0, err
	}
	if len(reply) < 2 {
		return 0, errServer
	}
	return strconv.Atoi(reply[1])
}

// Finish is the second half of a login on a login socket, whose end Ticket is. pid is this process, or 0 if the service
// need not know; it checks it. It needs a master socket.
func (u *Users) Finish(ctx context.Context, t Ticket, pid int) (*auth.User, error) {
	line := fmt.Appendf(nil, "\t%d\t%d\t%s", t.ClientPID, t.ID, t.Cookie)
	if pid != 0 {
		line = appendWord(line, "session_pid", strconv.Itoa(pid))
	}
	reply, err := u.ask(ctx, "REQUEST", line)
	if err != nil {
		return nil, err
	}
	return parseUser(reply)
}

// All gives the names of users that match a mask with * and ?, "" being all. An error ends it. Names come on a
// connection of their own, so that others need not wait.
func (u *Users) All(ctx context.Context, r auth.Request, mask string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		l, err := dial(ctx, u.address, hello, "SPID")
		if err != nil {
			yield("", err)
			return
		}
		stopped := context.AfterFunc(ctx, func() { l.net.Close() })
		defer stopped()
		id, replies := l.open()
		defer l.drain(id, replies)
		line := fmt.Appendf(nil, "LIST\t%d", id)
		if mask != "" {
			line = appendWord(line, "user", mask)
		}
		if err := l.send(appendLookup(line, &r)); err != nil {
			yield("", err)
			return
		}
		for {
			reply, err := l.next(ctx, replies)
			switch {
			case err != nil:
				yield("", err)
				return
			case reply[0] == "LIST" && len(reply) == 2:
				if !yield(reply[1], nil) {
					return
				}
				continue
			case reply[0] != "DONE":
				yield("", errServer)
			case len(reply) > 1 && reply[1] == "fail":
				yield("", fmt.Errorf("user listing: %w", ErrLookup))
			}
			return
		}
	}
}

// drain ends a connection whose reader may wait for somebody to take a reply.
func (l *link) drain(id uint32, replies chan []string) {
	l.net.Close()
	for {
		select {
		case <-replies:
		case <-l.gone:
			return
		}
	}
}
