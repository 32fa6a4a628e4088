package imap

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"dovetail/serve/config/options"
)

// log writes a line about the session, behind mail_log_prefix.
func (s *session) log(level slog.Level, text string) {
	s.p.Log.Log(context.Background(), level, s.logPrefix()+text)
}

// logPrefix is "imap(ann)<4711><session>: ", unless the configuration has it otherwise.
func (s *session) logPrefix() string {
	if s.name == "" {
		return "imap-login: "
	}
	usual := "imap(" + s.name + ")<" + strconv.Itoa(os.Getpid()) + "><" + s.c.Session + ">: "
	o, err := options.Read[options.Log](s.view)
	if err != nil {
		return usual
	}
	text, err := o.MailLogPrefix.Expand(func(name string) (string, error) {
		switch name {
		case "u", "user":
			return s.name, nil
		case "n", "username":
			local, _, _ := strings.Cut(s.name, "@")
			return local, nil
		case "d", "domain":
			_, domain, _ := strings.Cut(s.name, "@")
			return domain, nil
		case "s", "service", "protocol":
			return "imap", nil
		case "p", "pid", "process:pid":
			return strconv.Itoa(os.Getpid()), nil
		}
		return s.variable(name)
	})
	if err != nil || !strings.Contains(text, ": ") {
		return usual
	}
	return text
}
