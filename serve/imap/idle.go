package imap

import (
	"context"
	"errors"
	"strings"
	"time"

	"dovetail/formats/imapwire"
)

// idle tells of changes as they come, until the client says DONE (RFC 2177). The session waits in one place, for what
// the client says; a change of the mailbox ends that wait by its deadline, and so does the time to say that the server
// is still here. Nothing else is held meanwhile, neither a second goroutine nor a buffer.
func (s *session) idle(ctx context.Context, _ *imapwire.Command) answer {
	s.out.Buf = append(s.out.Buf, "+ idling\r\n"...)
	if !s.await(ctx, asked) {
		return answer{}
	}
	s.c.SetReadDeadline(time.Now().Add(idleWait))
	return s.idled()
}

// await tells of changes until the client says something, or is gone: then it gives false.
func (s *session) await(ctx context.Context, what told) bool {
	wake := func() { s.c.SetReadDeadline(time.Unix(1, 0)) }
	for _, box := range s.watched() {
		defer box.Attend()()
		defer box.Call(wake)()
	}
	began, still := time.Now(), s.stillHere()
	for {
		s.c.SetReadDeadline(earlier(still, began.Add(idleWait)))
		s.news(ctx, what)
		if s.over {
			return false
		}
		if s.flush() != nil {
			s.end("Connection closed")
			return false
		}
		err := s.in.Wait()
		switch now := time.Now(); {
		case err == nil:
			return true
		case !isTimeout(err):
			s.end("Connection closed")
			return false
		case s.sentAway():
			return false
		case now.After(began.Add(idleWait)):
			s.leave("Disconnected for inactivity.")
			return false
		case now.After(still):
			s.line("* OK Still here")
			still = s.stillHere()
		}
	}
}

// idled reads the line that ends IDLE.
func (s *session) idled() answer {
	line, err := s.in.ReadLine(64)
	_, tooLong := errors.AsType[*imapwire.SyntaxError](err)
	switch {
	case err != nil && !tooLong:
		s.end("Connection closed")
		return answer{}
	case !strings.EqualFold(line, "DONE"):
		return bad("Expected DONE.")
	}
	return ok("Idle completed")
}

// stillHere is when the client is told again that the connection is alive (imap_idle_notify_interval).
func (s *session) stillHere() time.Time {
	if s.o.IdleNotifyInterval <= 0 {
		return time.Now().Add(idleWait + time.Minute) // never
	}
	return time.Now().Add(max(s.o.IdleNotifyInterval, time.Second))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
