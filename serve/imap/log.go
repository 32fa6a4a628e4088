package imap

import (
	"context"
	"log/slog"

	"dovetail/serve"
)

// log writes a line about the session, behind mail_log_prefix.
func (s *session) log(level slog.Level, text string) {
	prefix := "imap-login: "
	if s.name != "" {
		prefix = serve.LogPrefix(s.view, s.c, s.name)
	}
	s.p.Log.Log(context.Background(), level, prefix+text)
}
