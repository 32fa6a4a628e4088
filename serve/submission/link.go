package submission

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// link is the connection below go-smtp's client. It keeps what the relay has said since we spoke last: of answers that
// mean success that client gives no words, and ours wants them. And what that client cannot say is said here: STARTTLS
// with our name, XCLIENT, MAIL and RCPT with what our client has said, BDAT. Both do not get in each other's way, as there
// is always one command at a time.
type link struct {
	net.Conn
	wait  time.Duration // for each piece that is read or written
	first string        // is read before anything else
	said  bytes.Buffer
}

// maxReply bounds one answer.
const maxReply = 64 << 10

func (l *link) Read(p []byte) (int, error) {
	if l.first != "" {
		n := copy(p, l.first)
		l.first = l.first[n:]
		l.said.Write(p[:n])
		return n, nil
	}
	l.SetReadDeadline(time.Now().Add(l.wait))
	n, err := l.Conn.Read(p)
	if l.said.Len()+n > maxReply {
		return 0, errBadReply
	}
	l.said.Write(p[:n])
	return n, err
}

func (l *link) Write(p []byte) (int, error) {
	l.said.Reset()
	l.SetWriteDeadline(time.Now().Add(l.wait))
	return l.Conn.Write(p)
}

// answer is what the relay has said to what go-smtp's client has asked; err is that of the client, for which a refusal is
// an error.
func (l *link) answer(err error) (reply, error) {
	if refused, isReply := errors.AsType[*gosmtp.SMTPError](err); err != nil && !isReply {
		return reply{}, err
	} else if isReply && refused.Code == 0 {
		return reply{}, errBadReply
	}
	r, whole := parseReply(l.said.String())
	if !whole {
		return r, errBadReply
	}
	return r, nil
}

// command says a line and gives the answer.
func (l *link) command(line string) (reply, error) {
	if _, err := l.Write([]byte(line + "\r\n")); err != nil {
		return reply{}, err
	}
	return l.reply()
}

// reply reads an answer.
func (l *link) reply() (reply, error) {
	var b [1024]byte
	for {
		if r, whole := parseReply(l.said.String()); whole {
			if l.said.Len() > r.size {
				return r, errBadReply // said before it was asked, maybe by somebody else
			}
			return r, nil
		}
		if _, err := l.Read(b[:]); err != nil {
			return reply{}, err
		}
	}
}

// must is command for which there is one good answer.
func (l *link) must(line string, code int) error {
	r, err := l.command(line)
	if err == nil && r.code != code {
		verb, _, _ := strings.Cut(line, " ")
		err = &refusedError{verb, r}
	}
	return err
}

// errBadReply is about an answer that is none.
var errBadReply = errors.New("the relay's answer makes no sense")

// reply is an answer of the relay (RFC 5321 section 4.2).
type reply struct {
	code     int
	enhanced string // "" when there is none (RFC 2034)
	lines    []string
	size     int // bytes
}

func (r reply) positive() bool { return r.code/100 == 2 }

func (r reply) text() string { return strings.Join(r.lines, "\n") }

// String is the answer in one line.
func (r reply) String() string {
	text := strings.Join(r.lines, " ")
	if r.enhanced != "" {
		text = r.enhanced + " " + text
	}
	return fmt.Sprintf("%d %s", r.code, text)
}

// parseReply reads the first answer of what was said; false while it is not whole, or when it is none.
func parseReply(said string) (r reply, whole bool) {
	for line := range strings.Lines(said) {
		r.size += len(line)
		text, ended := strings.CutSuffix(line, "\n")
		text = strings.TrimSuffix(text, "\r")
		if !ended || len(text) < 3 {
			return r, false
		}
		code, err := strconv.Atoi(text[:3])
		if err != nil || code < 200 || code > 599 || r.code != 0 && r.code != code || len(text) > 3 && text[3] != ' ' && text[3] != '-' {
			return r, false
		}
		r.code = code
		words := ""
		if len(text) > 4 {
			words = text[4:]
		}
		enhanced, rest := cutEnhanced(words, text[0])
		if len(r.lines) == 0 {
			r.enhanced = enhanced
		}
		r.lines = append(r.lines, clean(rest))
		if len(text) == 3 || text[3] == ' ' {
			return r, true
		}
	}
	return r, false
}

// clean takes control characters away, which would be something else in an answer of ours.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// cutEnhanced cuts the enhanced code off a line of an answer of that class (RFC 2034 section 4).
func cutEnhanced(s string, class byte) (enhanced, rest string) {
	code, rest, _ := strings.Cut(s, " ")
	parts := strings.Split(code, ".")
	if len(parts) != 3 || parts[0] != string(class) {
		return "", s
	}
	for _, n := range parts[1:] {
		if len(n) == 0 || len(n) > 3 || strings.Trim(n, "0123456789") != "" {
			return "", s
		}
	}
	return code, rest
}

// strayless gives a message with a blank in place of each CR that is not part of a line end. Servers that take one for a
// line end would find something else in it than others (RFC 5321 section 2.3.8; Postfix does the same,
// cleanup_replace_stray_cr_lf).
type strayless struct {
	src io.Reader
	cr  bool // one was read, and not given yet
}

func (s *strayless) Read(p []byte) (int, error) {
	if len(p) < 2 {
		return 0, io.ErrShortBuffer
	}
	n, err := s.src.Read(p[1:])
	if n == 0 && err == io.EOF && s.cr {
		s.cr = false
		p[0] = ' '
		return 1, nil
	}
	if n == 0 {
		return 0, err
	}
	out := p[1 : 1+n]
	if s.cr {
		out = p[:1+n]
		out[0] = '\r'
	}
	all := out
	if s.cr = out[len(out)-1] == '\r'; s.cr {
		out = out[:len(out)-1]
	}
	for i := 0; ; i++ {
		next := bytes.IndexByte(out[i:], '\r')
		if next < 0 {
			break
		}
		if i += next; all[i+1] != '\n' {
			out[i] = ' '
		}
	}
	if len(out) == 0 {
		return s.Read(p)
	}
	return copy(p, out), nil
}
