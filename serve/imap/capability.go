package imap

import (
	"context"
	"slices"
	"strings"

	"dovetail/formats/imapwire"
)

// Capabilities in Dovecot's order. What is here works.
const (
	capsBefore = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE"
	capsAfter  = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT " +
		"MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE"
)

// capabilities are those of imap_capability, or of ours with what it adds; LITERAL+ or LITERAL- come with them, and
// what depends on the connection.
func (s *session) capabilities() string {
	literal := " LITERAL+"
	if s.o.LiteralMinus {
		literal = " LITERAL-"
	}
	if s.user == nil {
		return capsBefore + literal + s.loginCapabilities()
	}
	caps := capsAfter + literal + " NOTIFY"
	if slices.ContainsFunc(s.user.Spaces, func(n *space) bool { return n.HasSpecialUse() }) {
		caps += " SPECIAL-USE"
	}
	if !s.packed {
		caps += " COMPRESS=DEFLATE"
	}
	own := s.o.Capability
	switch {
	case len(own) == 0:
	case own[0] == "+" || strings.HasPrefix(own[0], "+"):
		if more := strings.TrimSpace(strings.TrimPrefix(strings.Join(own, " "), "+")); more != "" {
			caps += " " + more
		}
	default:
		caps = strings.Join(own, " ")
	}
	return caps
}

func (s *session) loginCapabilities() (caps string) {
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
	if s.user == nil {
		return ok("Pre-login capabilities listed, post-login capabilities have more.")
	}
	return ok("Capability completed")
}

func (s *session) noop(context.Context, *imapwire.Command) answer { return ok("NOOP completed") }

func (s *session) check(context.Context, *imapwire.Command) answer { return ok("Check completed") }

func (s *session) logout(context.Context, *imapwire.Command) answer {
	s.line("* BYE Logging out")
	how := "Logged out"
	if s.user == nil {
		how = "Aborted login by logging out"
	}
	s.end(how)
	return ok("Logout completed")
}

// enable turns on what a client asks for (RFC 5161); it stays on.
func (s *session) enable(ctx context.Context, c *imapwire.Command) answer {
	if s.user == nil {
		s.line("* ENABLED")
		return ok("ENABLE ignored in non-authenticated state")
	}
	enabled := ""
	for _, name := range c.Args.(*imapwire.Enable).Capabilities {
		switch name {
		case "CONDSTORE", "QRESYNC":
			if err := s.enableCondStore(ctx); err != nil {
				return s.failed(err)
			}
			s.qresync = s.qresync || name == "QRESYNC"
			enabled += " " + name
		}
	}
	if enabled != "" {
		s.line("* ENABLED" + enabled)
	}
	return ok("Enabled")
}

// enableCondStore makes modification sequences be told from now on: whoever uses one wants them (RFC 7162 section
// 3.1).
func (s *session) enableCondStore(ctx context.Context) error {
	if s.condstore {
		return nil
	}
	s.condstore = true
	if s.sel == nil || s.sel.noModSeqs {
		return nil
	}
	if err := s.sel.keepModSeqs(ctx); err != nil {
		return err
	}
	s.sync(ctx, noExpunges, nil)
	if s.sel != nil && !s.over {
		s.tellHighest()
	}
	return nil
}
