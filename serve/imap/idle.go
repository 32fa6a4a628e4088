package imap

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"dovetail/formats/imapwire"
	"dovetail/serve"
)

// idle tells of changes as they come, until the client says DONE (RFC 2177). The session waits in one place, for what
// the client says; a change of the mailbox ends that wait by its deadline, and so does the time to say that the server
// is still here. Nothing else is held meanwhile, neither a second goroutine nor a buffer.
func (s *session) idle(ctx context.Context, _ *imapwire.Command) answer {
	s.out.Buf = append(s.out.Buf, "+ idling\r\n"...)
	if !s.await(ctx, true) {
		return answer{}
	}
	s.wait()
	return s.idled()
}

// await tells of changes, in IDLE or between commands as NOTIFY has asked, until the client says something, or is gone:
// then it gives false.
func (s *session) await(ctx context.Context, idle bool) bool {
	w := waiting{s: s, idle: idle, until: time.Now().Add(idleWait), still: s.stillHere()}
	for !w.over {
		w.watch(ctx)
	}
	s.readBy = time.Time{} // whoever woke us has set another one
	if w.said {
		s.lateNews()
	}
	return w.said
}

// waiting is one wait.
type waiting struct {
	s            *session
	idle         bool
	until, still time.Time
	said, over   bool
}

// watch waits until it is over, or other mailboxes are to be watched.
func (w *waiting) watch(ctx context.Context) {
	s := w.s
	wake := func() { s.c.SetReadDeadline(time.Unix(1, 0)) }
	boxes := s.watched(w.idle)
	for _, box := range boxes {
		defer box.Attend()()
		defer box.Call(wake)()
	}
	if s.notify != nil {
		defer s.p.sessions.join(s, wake)()
	}
	for !w.over {
		s.c.SetReadDeadline(earlier(w.still, w.until))
		s.news(ctx, w.idle)
		switch {
		case s.over:
			w.over = true
		case s.flush() != nil:
			s.end("Connection closed")
			w.over = true
		case s.notify != nil && !slices.Equal(boxes, s.watched(w.idle)):
			return
		default:
			w.listen()
		}
	}
}

// listen waits for the client, a change, or the time to say something.
func (w *waiting) listen() {
	s := w.s
	err := s.in.Wait()
	now := time.Now()
	w.over = true
	switch {
	case err == nil:
		w.said = true
	case !serve.IsTimeout(err):
		s.end("Connection closed")
	case s.sentAway():
	case now.After(w.until):
		s.leave("Disconnected for inactivity.")
	case now.After(w.still):
		if w.idle {
			s.line("* OK Still here")
		}
		w.still, w.over = s.stillHere(), false
	default:
		w.over = false
	}
}

// idled reads the line that ends IDLE.
func (s *session) idled() answer {
	line, err := s.in.ReadLine(64)
	e, tooLong := errors.AsType[*imapwire.SyntaxError](err)
	switch {
	case tooLong && e.Fatal:
		s.leave(e.Text)
		return answer{}
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
