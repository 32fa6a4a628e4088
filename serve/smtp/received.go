package smtp

import (
	"fmt"
	"strings"
	"time"
)

// Received is the field that says how a message came (RFC 5321 section 4.4), as Dovecot 2.3.19 writes it
// (src/lib-smtp/smtp-server-transaction.c). to is the recipient if there is only one: with several none is to learn of the
// others.
func (s *Session) Received(protocol, id, from, to string) string {
	var b strings.Builder
	name := s.Name
	if !IsDomain(name) {
		name = "unknown"
	}
	b.WriteString("Received: from " + name)
	if s.C.Remote.IsValid() {
		fmt.Fprintf(&b, " ([%s])", s.C.Remote.Addr())
	}
	if state := s.C.TLS(); state != nil {
		fmt.Fprintf(&b, "\r\n\t(using %s)", security(state))
	}
	fmt.Fprintf(&b, "\r\n\tby %s with %s\r\n\tid %s\r\n\t(envelope-from <%s>)", s.Host, protocol, id, from)
	if to != "" {
		fmt.Fprintf(&b, "\r\n\tfor <%s>", to)
	}
	fmt.Fprintf(&b, "; %s\r\n", time.Now().Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	return b.String()
}
