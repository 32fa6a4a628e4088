package serve

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"dovetail/auth"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// Errors of Converse that are the client's doing.
var (
	ErrBase64  = errors.New("Invalid base64 data in initial response")
	ErrAborted = errors.New("Authentication aborted by client.")
)

// Response is what a client says in a conversation, in base64; "=" is nothing at all (RFC 4954 section 4).
type Response struct {
	Text  string
	Given bool // there is one: a command without one waits for a challenge
}

// Converse authenticates by a mechanism (RFC 4422). ask sends a challenge in base64 and gives what the client answers.
// Errors are ErrCleartext, auth.ErrMechanism, ErrBase64, ErrAborted and those of ask.
func (l *Login) Converse(ctx context.Context, mechanism string, response Response, ask func(challenge string) (string, error)) (*auth.Reply, error) {
	x, err := l.Begin(mechanism)
	if err != nil {
		return nil, err
	}
	for {
		said, err := response.decode()
		if err != nil {
			l.End(&auth.Reply{Code: auth.CodeBadBase64})
			return nil, ErrBase64
		}
		challenge, done := x.Step(ctx, said)
		if done != nil {
			l.End(done)
			if len(done.Final) > 0 && done.OK {
				// Here it has no place but a challenge, which the client answers with nothing (RFC 4422 section 4).
				_, err = ask(base64.StdEncoding.EncodeToString(done.Final))
			}
			return done, err
		}
		if response.Text, err = ask(base64.StdEncoding.EncodeToString(challenge)); err != nil {
			return nil, err
		}
		if response.Given = true; response.Text == "*" {
			l.Abort()
			return nil, ErrAborted
		}
	}
}

// decode gives the bytes; nil when there is no response.
func (r Response) decode() ([]byte, error) {
	if !r.Given {
		return nil, nil
	}
	if r.Text == "=" {
		return []byte{}, nil
	}
	return base64.StdEncoding.Strict().DecodeString(r.Text)
}

var hostName, _ = os.Hostname() // without one the text is less helpful

// Temporary adds to a text for a client what helps to find its line in the log.
func Temporary(text string) string {
	return text + " [" + hostName + ":" + time.Now().Format("2006-01-02 15:04:05") + "]"
}

// CriticalError is what a client is told of an error that is not its doing; the log says more (Dovecot 2.3.19,
// src/lib-storage/mail-error.h).
func CriticalError() string {
	return "Internal error occurred. Refer to server log for more information. [" + time.Now().Format("2006-01-02 15:04:05") + "]"
}

// Reason is why a login failed as a client is told it: the databases' own words, or the usual ones.
func Reason(r *auth.Reply, usual string) string {
	if r.Reason == "" {
		return usual
	}
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(r.Reason)
}

// LogPrefix is mail_log_prefix for a session: "imap(ann)<4711><session>: ", unless the configuration has it otherwise.
func LogPrefix(v config.View, c *Conn, user string) string {
	usual := c.Service + "(" + user + ")<" + strconv.Itoa(os.Getpid()) + "><" + c.Session + ">: "
	o, err := options.Read[options.Log](v)
	if err != nil {
		return usual
	}
	r := c.Request("")
	text, err := o.MailLogPrefix.Expand(func(name string) (string, error) {
		switch name {
		case "u", "user":
			return user, nil
		case "n", "username":
			local, _, _ := strings.Cut(user, "@")
			return local, nil
		case "d", "domain":
			_, domain, _ := strings.Cut(user, "@")
			return domain, nil
		case "s", "service", "protocol":
			return c.Service, nil
		case "p", "pid", "process:pid":
			return strconv.Itoa(os.Getpid()), nil
		}
		return r.Variable(name)
	})
	if err != nil || !strings.Contains(text, ": ") {
		return usual
	}
	return text
}
