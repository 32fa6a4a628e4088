package imap

import (
	"context"
	"fmt"
	"strings"

	"dovetail/formats/imapwire"
)

// Capabilities in Dovecot's order. What is here works.
const (
	capsBefore = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+"
	capsAfter  = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE MULTIAPPEND UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED " +
		"LIST-STATUS MOVE SPECIAL-USE LITERAL+"
)

func (s *session) capabilities() string {
	if s.user != nil {
		return capsAfter
	}
	caps := capsBefore
	if s.c.CanStartTLS(s.login.TLS.Mode) {
		caps += " STARTTLS"
	}
	if s.login.CleartextRefused() {
		caps += " LOGINDISABLED"
	}
	for _, m := range s.login.Mechanisms() {
		caps += " AUTH=" + m
	}
	return caps
}

func (s *session) capability(context.Context, *imapwire.Command) answer {
	s.line("* CAPABILITY " + s.capabilities())
	return ok(s.completed("Capability"))
}

// completed is the end of the text of an answer: before login Dovecot says a whole sentence.
func (s *session) completed(what string) string {
	if s.user == nil {
		return "Pre-login capabilities listed, post-login capabilities have more."
	}
	return what + " completed"
}

func (s *session) noop(context.Context, *imapwire.Command) answer { return ok("NOOP completed") }

func (s *session) logout(context.Context, *imapwire.Command) answer {
	s.line("* BYE Logging out")
	how := "Logged out"
	if s.user == nil {
		how = "Aborted login by logging out"
	}
	s.end(how)
	return ok("Logout completed")
}

func (s *session) id(_ context.Context, c *imapwire.Command) answer {
	s.line(`* ID ("name" "dovetail")`)
	var said []string
	for _, f := range c.Args.(*imapwire.ID).Fields {
		said = append(said, fmt.Sprintf("%.64q=%.128q", f[0], f[1]))
	}
	if len(said) > 0 {
		s.p.Log.Debug(fmt.Sprintf("imap(%s)<%s>: ID sent: %s", s.name, s.c.Session, strings.Join(said, ", ")))
	}
	return ok("ID completed")
}

func (s *session) enable(_ context.Context, c *imapwire.Command) answer {
	s.line("* ENABLED")
	return ok("Enabled")
}
