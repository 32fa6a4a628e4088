package submission

import "context"

// urlServer is the server of the IMAP URLs that we can read.
func (s *session) urlServer() string { return s.Host }

func (s *session) chunkByURL(ctx context.Context, args string) { s.unsupported(ctx, args) }
