package pop3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"dovetail/formats"
	"dovetail/serve"
)

func (s *session) stat(context.Context, string) bool {
	d := s.drop
	s.ok(fmt.Sprintf("%d %d", len(d.messages)-d.deleted, d.total-d.deletedBytes))
	return true
}

func (s *session) list(_ context.Context, args string) bool {
	d := s.drop
	if args != "" {
		n, _, ok := s.number(args, false)
		if ok {
			s.ok(fmt.Sprintf("%d %d", n, d.messages[n-1].size))
		}
		return ok
	}
	s.ok(fmt.Sprintf("%d messages:", len(d.messages)-d.deleted))
	var line []byte
	for i := range d.messages {
		if m := &d.messages[i]; !m.deleted {
			line = strconv.AppendInt(line[:0], int64(i+1), 10)
			line = strconv.AppendInt(append(line, ' '), m.size, 10)
			s.out.Write(append(line, '\r', '\n'))
		}
	}
	s.out.Line(".")
	return true
}

// last is LAST (RFC 1460), which later versions of the protocol do not have.
func (s *session) last(context.Context, string) bool {
	s.ok(strconv.Itoa(s.drop.last))
	return true
}

func (s *session) remove(_ context.Context, args string) bool {
	n, _, ok := s.number(args, false)
	if !ok {
		return false
	}
	d := s.drop
	m := &d.messages[n-1]
	m.deleted = true
	d.deleted++
	d.deletedBytes += m.size
	s.ok("Marked to be deleted.")
	return true
}

func (s *session) reset(context.Context, string) bool {
	d := s.drop
	d.deleted, d.deletedBytes, d.last = 0, 0, 0
	var were formats.Ranges
	for i := range d.messages {
		m := &d.messages[i]
		m.deleted, m.seen = false, false
		if m.wasSeen {
			were.Add(m.uid)
		}
	}
	if s.o.EnableLast && len(were) > 0 { // all messages are unread again (RFC 1460, RSET)
		_, err := d.box.Update(d.ctx, func(tx formats.Tx) error {
			return tx.SetFlags(were, formats.FlagChange{Op: formats.RemoveFlags, Flags: formats.Seen})
		})
		if err != nil {
			s.failed(err)
			return true
		}
	}
	s.out.Line("+OK")
	return true
}

func (s *session) quit(context.Context, string) bool {
	if err := s.drop.update(); err != nil {
		s.failed(err)
		s.end("Storage error during logout.")
		return true
	}
	if s.drop.deleted > 0 {
		s.ok("Logging out, messages deleted.")
	} else {
		s.ok("Logging out.")
	}
	s.end("Logged out")
	return true
}

// failed logs an error, and tells the client that there was one.
func (s *session) failed(err error) {
	s.log(slog.LevelError, err.Error())
	s.err("[SYS/TEMP] " + serve.CriticalError())
}

// number reads the number of a message that is there, and what follows it. more: an argument must follow. If it is wrong
// the client has been told.
func (s *session) number(args string, more bool) (n int, rest string, ok bool) {
	first, rest := digits(args)
	v, err := strconv.ParseUint(first, 10, 32)
	switch {
	case first == "":
		s.err("Invalid message number: " + args)
	case err != nil:
		s.err("Message number too large: " + rest)
	case more != strings.HasPrefix(rest, " ") || !more && rest != "":
		s.err("Noise after message number: " + rest)
	case v == 0 || v > uint64(len(s.drop.messages)):
		s.err(fmt.Sprintf("There's no message %d.", v))
	case s.drop.messages[v-1].deleted:
		s.err("Message is deleted.")
	default:
		return int(v), strings.TrimLeft(rest, " "), true
	}
	return 0, "", false
}

// lineCount reads the argument of TOP.
func (s *session) lineCount(args string) (int64, bool) {
	first, rest := digits(args)
	n, err := strconv.ParseInt(first, 10, 64)
	switch {
	case first == "":
		s.err("Invalid size: " + args)
	case err != nil:
		s.err("Size too large: " + args)
	case rest != "":
		s.err("Noise after size: " + rest)
	default:
		return n, true
	}
	return 0, false
}

func digits(s string) (digits, rest string) {
	rest = strings.TrimLeft(s, "0123456789")
	return s[:len(s)-len(rest)], rest
}

func (s *session) retrieve(_ context.Context, args string) bool {
	n, _, ok := s.number(args, false)
	if !ok {
		return false
	}
	d := s.drop
	if d.lowest == 0 || n < d.lowest {
		d.lowest = n
	}
	d.last = max(d.last, n)
	s.count.retrieved++
	m := &d.messages[n-1]
	return s.send(n, fmt.Sprintf("+OK %d octets", m.size), -1, &s.count.retrievedBytes)
}

func (s *session) top(_ context.Context, args string) bool {
	n, rest, ok := s.number(args, true)
	if !ok {
		return false
	}
	count, ok := s.lineCount(rest)
	if !ok {
		return false
	}
	s.count.tops++
	return s.send(n, "+OK", count, &s.count.topBytes)
}

// send gives a message: its header and so many lines of its body, all if that is -1. What was sent is added to bytes.
func (s *session) send(n int, answer string, count int64, bytes *int64) bool {
	d := s.drop
	m := &d.messages[n-1]
	body, err := d.body(m.uid)
	if errors.Is(err, formats.ErrNoMessage) {
		return s.vanished(n)
	}
	if err != nil {
		s.failed(err)
		return true
	}
	defer body.Close()
	s.out.Line(answer)
	t := text{out: s.out, noNULs: s.o.noNULs, lines: count}
	_, err = body.WriteTo(&t)
	if err != nil && !errors.Is(err, errEnough) {
		// Half a message must not look like a whole one.
		s.log(slog.LevelError, fmt.Sprintf("UID %d: %v", m.uid, err))
		s.end("Connection closed: a message could not be read to its end")
		return true
	}
	t.end(s.o.endHeaders)
	*bytes += t.n + int64(len(answer)+2)
	s.out.Line(".")
	if count < 0 && !m.wasSeen && !s.o.NoFlagUpdates {
		m.seen = true
	}
	return true
}

// vanished is about a message that somebody else has removed. A client that asks for it again and again is sent away in
// the end (src/pop3/pop3-commands.c, client_reply_msg_expunged).
func (s *session) vanished(n int) bool {
	s.err(fmt.Sprintf("Message %d expunged.", n))
	again := n <= s.drop.gone
	s.drop.gone = max(s.drop.gone, n)
	return !again
}
