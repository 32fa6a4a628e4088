package smtp

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// XClient is how an MTA or a proxy that is trusted tells who its client is (Postfix, XCLIENT_README). more takes an
// attribute that is not about the connection. It is true when the client is another one now, which is still to be greeted.
func (s *Session) XClient(args string, inTransaction bool, more func(key, value string) error) bool {
	switch {
	case !s.C.Trusted:
		s.Reply(550, "5.7.14", "You are not from trusted IP")
		return false
	case inTransaction:
		s.Reply(503, "5.5.0", "XCLIENT not permitted during a mail transaction")
		return false
	}
	remote, session, name := s.C.Remote, s.C.Session, s.Name
	for word := range strings.FieldsSeq(args) {
		key, value, ok := strings.Cut(word, "=")
		value = Xtext(value)
		var err error
		switch key = strings.ToUpper(key); {
		case !ok:
			err = errors.New("no value")
		case value == "[UNAVAILABLE]" || value == "[TEMPUNAVAIL]":
		case key == "ADDR":
			var a netip.Addr
			a, err = netip.ParseAddr(strings.TrimPrefix(strings.ToLower(value), "ipv6:"))
			remote = netip.AddrPortFrom(a, remote.Port())
		case key == "PORT":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 16)
			remote = netip.AddrPortFrom(remote.Addr(), uint16(n))
		case key == "HELO":
			name = value
		case key == "SESSION":
			if len(value) <= maxSessionID {
				session = value
			}
		case more != nil:
			err = more(key, value)
		}
		if err != nil {
			s.Reply(501, "5.5.4", "Invalid "+printable(key)+" parameter")
			return false
		}
	}
	s.C.Remote, s.C.Session, s.Name = remote, session, name
	return true
}

// maxSessionID is LOGIN_MAX_SESSION_ID_LEN (Dovecot 2.3.19, src/login-common/client-common.h).
const maxSessionID = 64

// Xtext reads RFC 3461's encoding of an address; what is wrong in it stays.
func Xtext(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '+' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil && n >= ' ' && n < 0x7f {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
