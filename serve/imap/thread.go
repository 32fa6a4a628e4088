package imap

import (
	"context"

	"dovetail/formats/imapwire"
	"dovetail/serve/search"
)

// thread answers THREAD (RFC 5256).
func (s *session) thread(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Search)
	if a := s.searchRefused(c, args); a != nil {
		return *a
	}
	b := s.searched()
	found, err := search.Run(ctx, b, args)
	if err != nil {
		return s.searchFailed(c, err)
	}
	out, lost, err := search.Thread(ctx, b, args.Thread, found.Seqs, c.UID, []byte("* THREAD "))
	if err != nil {
		return s.searchFailed(c, err)
	}
	s.out.Buf = append(s.out.Buf, out...)
	s.line("")
	if lost || found.Lost {
		return withCode("[EXPUNGEISSUED]", "Thread completed")
	}
	return ok("Thread completed")
}
