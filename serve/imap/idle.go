package imap

import (
	"context"
	"errors"
	"strings"
	"time"

	"dovetail/formats/imapwire"
)

// idle tells of changes as they come, until the client says DONE (RFC 2177).
func (s *session) idle(ctx context.Context, _ *imapwire.Command) answer {
	s.out.Buf = append(s.out.Buf, "+ idling\r\n"...)
	if s.flush() != nil {
		s.end("Connection closed")
		return answer{}
	}
	type said struct {
		line string
		err  error
	}
	heard := make(chan said, 1)
	s.c.SetReadDeadline(time.Now().Add(idleWait))
	go func() {
		line, err := s.in.ReadLine(64)
		heard <- said{line, err}
	}()
	if s.sel != nil {
		defer s.sel.box.Attend()()
	}
	still := time.NewTicker(max(s.o.IdleNotifyInterval, time.Second))
	defer still.Stop()
	for {
		var changed <-chan struct{}
		if s.sel != nil {
			changed = s.sel.box.Changed()
			s.sync(ctx, true)
		}
		if s.flush() != nil {
			s.c.Close()
		}
		select {
		case h := <-heard:
			_, tooLong := errors.AsType[*imapwire.SyntaxError](h.err)
			switch {
			case h.err != nil && !tooLong:
				s.end("Connection closed")
				return answer{}
			case !strings.EqualFold(h.line, "DONE"):
				return bad("Expected DONE.")
			}
			return ok("Idle completed")
		case <-changed:
		case <-still.C:
			s.line("* OK Still here")
		}
	}
}
