package imap

import (
	"dovetail/formats"
	"dovetail/formats/imapwire"
)

// maxUpdates is how many searches of a session are kept up to date: Dovecot's CLIENT_MAX_SEARCH_UPDATES.
const maxUpdates = 10

// update is a search whose result is kept up to date (CONTEXT=SEARCH, RFC 5267).
type update struct {
	tag     string
	uid     bool
	program imapwire.SearchKey
	found   formats.Ranges // what the client knows of the result
}

// keepUpToDate has the client told of changes of a result from now on.
func (s *session) keepUpToDate(c *imapwire.Command, args *imapwire.Search, found formats.Ranges) {
	if len(s.updates) >= maxUpdates {
		s.out.Buf = imapwire.AppendQuoted(append(s.out.Buf, "* NO [NOUPDATE "...), c.Tag)
		s.line("]")
		return
	}
	s.updates = append(s.updates, &update{tag: c.Tag, uid: c.UID, program: args.Program, found: found})
}
