package imap

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"dovetail/auth"
	"dovetail/formats/imapwire"
)

// id tells who we are, and hears who the client is (RFC 2971).
func (s *session) id(_ context.Context, c *imapwire.Command) answer {
	s.line("* ID " + s.idReply())
	first := !s.identified
	s.identified = true
	var said []string
	for _, f := range c.Args.(*imapwire.ID).Fields {
		if s.user == nil {
			s.introduced(f[0], f[1], first)
		}
		if len(s.o.IDLog) == 1 && s.o.IDLog[0] == "*" || slices.ContainsFunc(s.o.IDLog, func(key string) bool { return strings.EqualFold(key, f[0]) }) {
			said = append(said, fmt.Sprintf("%.64s=%.128s", f[0], f[1]))
		}
	}
	switch {
	case len(said) == 0 || !first:
	case s.login != nil:
		s.login.Note("ID sent: " + strings.Join(said, ", "))
	default:
		s.log(slog.LevelInfo, "ID sent: "+strings.Join(said, ", "))
	}
	return ok("ID completed")
}

// What a client may say of itself, in bytes (LOGIN_MAX_SESSION_ID_LEN and LOGIN_MAX_CLIENT_ID_LEN of Dovecot 2.3.19).
const (
	maxSession = 64
	maxClient  = 256
)

// introduced takes over one field of a client that is not logged in yet. Webmail and proxies in login_trusted_networks
// tell in it whom they speak for (src/imap-login/imap-login-cmd-id.c of Dovecot 2.3.19); once, and nobody else may.
func (s *session) introduced(key, value string, first bool) {
	may := s.c.Trusted && first && value != ""
	key = strings.ToLower(key)
	forwarded, forward := strings.CutPrefix(key, "x-forward-")
	switch {
	case key == "x-originating-ip" || key == "x-connected-ip":
		if ip, err := netip.ParseAddr(value); err == nil && may {
			end := s.endOf(key)
			*end = netip.AddrPortFrom(ip.Unmap(), end.Port())
		}
	case key == "x-originating-port" || key == "x-connected-port":
		if port, err := strconv.ParseUint(value, 10, 16); err == nil && may {
			end := s.endOf(key)
			*end = netip.AddrPortFrom(end.Addr(), uint16(port))
		}
	case key == "x-session-id" || key == "x-session-ext-id":
		if may && len(value) <= maxSession && !strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>", r) }) {
			s.c.Session = value
		}
	case forward:
		if name := "forward_" + forwarded; may && forwarded != "" && !s.c.Forwarded.Has(name) {
			s.c.Forwarded = append(s.c.Forwarded, auth.Field{Key: name, Value: value})
		}
	case key == "x-proxy-ttl":
	case s.o.IDRetain:
		b := imapwire.AppendQuoted(nil, key)
		if b = imapwire.AppendQuoted(append(b, ' '), value); len(s.c.Client)+1+len(b) < maxClient {
			s.c.Client = strings.TrimSpace(s.c.Client + " " + string(b))
		}
	}
}

// endOf is the end of the connection that a field of ID speaks of.
func (s *session) endOf(key string) *netip.AddrPort {
	if strings.HasPrefix(key, "x-connected-") {
		return &s.c.Local
	}
	return &s.c.Remote
}

// ourID is what "*" in imap_id_send stands for.
var ourID = map[string]string{"name": "Dovetail", "support-url": "http://www.dovecot.org/", "support-email": "dovecot@dovecot.org"}

// idReply is imap_id_send: keys and values in turn, "*" as value for ours.
func (s *session) idReply() string {
	words := strings.Fields(s.o.IDSend)
	if len(words) == 0 {
		return "NIL"
	}
	b := []byte{'('}
	for i := 0; i < len(words); i += 2 {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(imapwire.AppendQuoted(b, words[i]), ' ')
		value := "*"
		if i+1 < len(words) {
			value = words[i+1]
		}
		if value == "*" {
			if ours, known := ourID[words[i]]; known {
				value = ours
			} else {
				b = append(b, "NIL"...)
				continue
			}
		}
		b = imapwire.AppendQuoted(b, value)
	}
	return string(append(b, ')'))
}
