// Package checkpassword asks programs with the interface of qmail's checkpassword, as Dovecot's passdb and userdb
// checkpassword do.
//
//	program [words of the configuration] reply
//	descriptor 3   to be read: user NUL password NUL NUL, at most 512 bytes; for a lookup the password is empty
//	descriptor 4   the answer, which reply writes
//	environment    PROTO=TCP SERVICE TCPLOCALIP TCPLOCALPORT TCPREMOTEIP TCPREMOTEPORT LOCAL_IP REMOTE_IP MASTER_USER
//	               ORIG_UID, fields so far in upper case, and AUTH_ with each variable of a login that has a value,
//	               but for the password; AUTHORIZED=1 for a lookup, CREDENTIALS_LOOKUP=1 with it for one of a passdb
//
// A program that knows user and password sets USER, HOME, and in EXTRA the names of further variables of the
// environment that are fields (userdb_uid, userdb_quota_rule), and executes reply. For a lookup it sets AUTHORIZED=2
// before, which shows that it has understood. See Reply for what reply then does.
//
// What exit codes mean (seen with Dovecot 2.3.19.1, src/auth/db-checkpassword.c):
//
//	login    0 right, with an answer; 1 wrong; 111 and all others: temporary failure
//	lookup   2 found, with an answer; 3 unknown; all others: temporary failure
//
// A password is in the pipe alone. Words of the configuration that have variables stay one argument each, whatever a
// user is called.
package checkpassword

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// DefaultWorkers is auth_worker_max_count's default.
const DefaultWorkers = 30

// maxRequest is how much a program has to read from descriptor 3 (https://cr.yp.to/checkpwd/interface.html).
const maxRequest = 512

// Options say which program is asked.
type Options struct {
	Command []*variable.Template // an absolute path, and words
	Reply   string               // the program reply; "": see Locate
	Workers int                  // programs at once; 0: DefaultWorkers
}

// program is what both databases ask.
type program struct {
	Options
	turns chan struct{}
}

func newProgram(o Options) (*program, error) {
	if len(o.Command) == 0 {
		return nil, errors.New("checkpassword: there is no program\nsay which in args = /path/of/program")
	}
	if o.Command[0].Literal() {
		path, err := o.Command[0].Expand(nil)
		if err != nil {
			return nil, err
		}
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("checkpassword: %s is no absolute path", path)
		}
	}
	if o.Reply == "" {
		found, err := Locate()
		if err != nil {
			return nil, err
		}
		o.Reply = found
	}
	if o.Workers <= 0 {
		o.Workers = DefaultWorkers
	}
	return &program{o, make(chan struct{}, o.Workers)}, nil
}

// PassDB asks about passwords: an auth.Verifier for many goroutines.
type PassDB struct{ *program }

// NewPassDB looks for the program reply; the one that it calls may come later.
func NewPassDB(o Options) (*PassDB, error) {
	p, err := newProgram(o)
	return &PassDB{p}, err
}

// Verify gives the fields of the answer.
func (db *PassDB) Verify(ctx context.Context, r *auth.Request, password string) (auth.Fields, error) {
	fields, exit, err := db.run(ctx, r, &password, nil)
	switch {
	case err != nil:
		return nil, err
	case exit.status == 0:
		if !strings.HasPrefix(fields.Value("password"), "{") { // which is for the cache, and must say what it is
			fields = fields.Without("password")
		}
		return fields, exit.answered
	case exit.status == 1:
		return nil, &auth.Refusal{Err: auth.ErrMismatch, Text: "Login failed (status=1)", Level: slog.LevelInfo}
	case exit.status == 2:
		return nil, exit.error("(tried to use userdb-only checkpassword program for passdb?)")
	}
	return nil, exit.error("")
}

// Find gives the fields of the answer to a lookup without password, "password" among them if the program gives it.
func (db *PassDB) Find(ctx context.Context, r *auth.Request) (auth.Fields, error) {
	return db.look(ctx, r, "CREDENTIALS_LOOKUP=1", "SCHEME=")
}

// UserDB asks about users: an auth.UserDB for many goroutines.
type UserDB struct{ *program }

// NewUserDB is NewPassDB for users.
func NewUserDB(o Options) (*UserDB, error) {
	p, err := newProgram(o)
	return &UserDB{p}, err
}

// Find gives the fields of the answer that begin with userdb_, without that.
func (db *UserDB) Find(ctx context.Context, r *auth.Request) (auth.Fields, error) {
	fields, err := db.look(ctx, r)
	return fields.Prefixed("userdb_"), err
}

func (p *program) look(ctx context.Context, r *auth.Request, more ...string) (auth.Fields, error) {
	fields, exit, err := p.run(ctx, r, nil, append(more, "AUTHORIZED=1"))
	switch {
	case err != nil:
		return nil, err
	case exit.status == 2:
		return fields, exit.answered
	case exit.status == 3:
		return nil, &auth.Refusal{Err: auth.ErrUnknown, Text: "User unknown", Level: slog.LevelInfo}
	}
	return nil, exit.error("")
}

// exit is how a program ended.
type exit struct {
	pid, status int
	answered    error  // why there is no answer
	said        string // on standard error
}

func (e exit) error(more string) error {
	text := strings.TrimSpace(fmt.Sprintf("Child %d exited with status %d %s", e.pid, e.status, more))
	if e.said != "" {
		text = fmt.Sprintf("%s: %q", text, e.said)
	}
	return failure("%s", text)
}

// errProgram marks what a program has done wrong; none of it is a user's mistake.
var errProgram = errors.New("checkpassword program failed")

// failure is a temporary one in Dovecot's words.
func failure(format string, args ...any) error {
	return &auth.Refusal{Err: errProgram, Text: fmt.Sprintf(format, args...), Level: slog.LevelError}
}

// input gives what is to be read from descriptor 3, or why it cannot be said.
func input(user string, password *string) ([]byte, error) {
	no, text := auth.ErrUnknown, ""
	if password != nil {
		no, text = auth.ErrMismatch, *password
	}
	size := len(user) + len(text) + 3
	refusal := &auth.Refusal{Err: no, Level: slog.LevelInfo}
	switch {
	case size > maxRequest:
		refusal.Text = fmt.Sprintf("Username+password combination too long (%d bytes)", size)
		return nil, refusal
	case strings.ContainsRune(user, 0) || strings.ContainsRune(text, 0):
		refusal.Text = "user name or password has a NUL, where it would end for the program"
		return nil, refusal
	case user == "":
		refusal.Text = "empty user name"
		return nil, refusal
	}
	b := make([]byte, 0, size)
	b = append(append(b, user...), 0)
	return append(append(b, text...), 0, 0), nil
}

// run starts the program and waits for its answer and its end. The error is none of the program's.
func (p *program) run(ctx context.Context, r *auth.Request, password *string, more []string) (auth.Fields, exit, error) {
	request, err := input(r.User, password)
	if err != nil {
		return nil, exit{}, err
	}
	defer clear(request)
	words, err := p.words(r)
	if err != nil {
		return nil, exit{}, err
	}
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-ctx.Done():
		return nil, exit{}, fmt.Errorf("all %d programs that may run do: %w", cap(p.turns), context.Cause(ctx))
	}
	c := &child{words: words, env: append(environment(r), more...)}
	answer, err := c.run(ctx, request)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return nil, exit{}, fmt.Errorf("%s: given up: %w", words[0], cause)
	}
	ended, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !failed {
		return nil, exit{}, err
	}
	e := exit{pid: c.pid, said: c.said.without(password)}
	if failed {
		if status := ended.Sys().(syscall.WaitStatus); status.Signaled() {
			return nil, e, failure("Child %d died with signal %d", c.pid, status.Signal())
		}
		e.status = ended.ExitCode()
	}
	fields, err := parse(answer)
	e.answered = err
	return fields, e, nil
}

// words are the program and its arguments.
func (p *program) words(r *auth.Request) ([]string, error) {
	var words []string
	for _, t := range p.Command {
		word, err := r.Expand(t)
		if err != nil {
			return nil, fmt.Errorf("expand the program's words: %w", err)
		}
		if strings.ContainsRune(word, 0) {
			return nil, errors.New("a word for the program has a NUL")
		}
		words = append(words, word)
	}
	if !filepath.IsAbs(words[0]) {
		return nil, fmt.Errorf("%q is no absolute path", words[0])
	}
	return append(words, p.Reply), nil
}
