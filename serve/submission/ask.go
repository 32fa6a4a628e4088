package submission

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"dovetail/serve"
)

// connected makes sure that there is a relay. Without one the session is over, as everything else is up to the relay.
func (s *session) connected(ctx context.Context) bool {
	if s.relay != nil && s.tx == nil && s.relay.idle() > s.o.RelayMaxIdleTime {
		s.relay.close()
		s.relay = nil
	}
	if s.relay != nil {
		return true
	}
	r, err := s.dial(ctx)
	if err == nil {
		s.relay = r
		return true
	}
	if why, over := s.C.Dismissed(); over {
		s.Reply(421, "4.3.2", why)
		s.Leave(why)
		return false
	}
	s.log(slog.LevelError, fmt.Sprintf("smtp-client: %v", err))
	s.fail("4.4.0", "Failed to connect to relay server (connect)")
	return false
}

// fail ends the session because there is no relay any more.
func (s *session) fail(enhanced, why string) {
	s.Reply(421, enhanced, s.Host+" "+why)
	s.Leave(why)
}

// askAgain is ask for what does not depend on what was said before: when the relay has gone while nobody wanted anything
// of it, a new connection is made first.
func (s *session) askAgain(ctx context.Context, what func(*relay) (reply, error)) (reply, bool) {
	if s.relay.used {
		r, err := what(s.relay)
		if err == nil && r.code != 421 {
			return r, s.usable(r)
		}
		s.relay.close()
		s.relay = nil
		if !s.connected(ctx) {
			return reply{}, false
		}
	}
	return s.ask(ctx, what)
}

// ask asks the relay something. It is false when the session is over because of the answer.
func (s *session) ask(_ context.Context, what func(*relay) (reply, error)) (reply, bool) {
	r, err := what(s.relay)
	if err != nil {
		s.lostRelay(err)
		return r, false
	}
	return r, s.usable(r)
}

// usable tells whether an answer can be passed on. What is not about the client's command but about us and the relay ends
// the session.
func (s *session) usable(r reply) bool {
	switch r.code {
	case 530: // RFC 4954 section 6: authentication required
		s.log(slog.LevelError, "Relay server requires authentication: "+r.String())
		s.fail("4.3.5", "Internal error occurred. Refer to server log for more information.")
		return false
	case 421:
		s.log(slog.LevelError, "Lost connection to relay server: "+r.String())
		_, text, _ := strings.Cut(r.text(), " ") // behind the relay's name
		enhanced := r.enhanced
		if enhanced == "" {
			enhanced = "4.0.0"
		}
		s.fail(enhanced, "Lost connection to relay server:\n"+text+" (connection lost)")
		return false
	}
	return true
}

// lostRelay ends the session because the relay has gone.
func (s *session) lostRelay(err error) {
	if why, over := s.C.Dismissed(); over {
		s.Reply(421, "4.3.2", why)
		s.Leave(why)
		return
	}
	detail := "connection lost"
	switch {
	case errors.Is(err, errBadReply):
		detail = "bad reply"
	case serve.IsTimeout(err):
		detail = "timed out"
	}
	s.log(slog.LevelError, fmt.Sprintf("Lost connection to relay server: %v", err))
	s.fail("4.4.0", "Lost connection to relay server ("+detail+")")
}
