// Package pam checks passwords by the system's PAM, as Dovecot's passdb pam does.
//
// A login is pam_authenticate, pam_setcred if it is asked for, pam_acct_mgmt, and pam_open_session with
// pam_close_session if asked for, with the items PAM_RHOST (the client's address), PAM_RUSER (the user) and PAM_TTY
// ("dovecot"). Each prompt that hides what is typed is answered with the password. Nothing else can be asked of PAM: it
// neither gives passwords, so only mechanisms in clear work, nor tells whether a user exists.
//
// # The helper
//
// PAM is in the program dovetail-pam, which is started as often as there are logins at once, at most Options.Workers
// times: a module that has seen a wrong password waits some two seconds. Each process asks for one login at a time, is
// used again, and ends after Options.MaxRequests logins or an idle minute. One that dies takes its login with it, which is
// a temporary failure, and the next login starts another. A login whose context ends has its helper killed.
//
// # Results
//
// Measured with Dovecot 2.3.19.1; the words are those of the log.
//
//	all succeeded                       the user, under the name that PAM has in the end
//	pam_authenticate: user unknown      ErrUnknown, "unknown user"
//	pam_authenticate: any other         ErrMismatch, "pam_authenticate() failed: …", with "(Password mismatch?)" for PAM_AUTH_ERR
//	no file for the service             the same with "(/etc/pam.d/NAME missing?)", an error
//	pam_acct_mgmt: account expired, or
//	a new password is needed            ErrExpired, "pam_acct_mgmt() failed: …", an error
//	any other function fails            ErrMismatch, "pam_FUNCTION() failed: …", an error
//
// Dovecot calls it a wrong password, too, when a module cannot reach what it asks (PAM_AUTHINFO_UNAVAIL), cannot be
// loaded, or is out of memory. Here those are temporary failures and errors.
package pam

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"dovetail/auth"
	"dovetail/auth/pam/wire"
	"dovetail/formats/conf/variable"
)

// DefaultService is the service's name if none is given.
const DefaultService = "dovecot"

// DefaultWorkers is auth_worker_max_count's default.
const DefaultWorkers = 30

// Options say how PAM is asked.
type Options struct {
	Service     *variable.Template // the file in /etc/pam.d; nil: DefaultService
	Session     bool               // also open and close a session
	SetCred     bool               // also pam_setcred
	ShowFailure bool               // what PAM said last goes to the client as "reason" of a failure
	MaxRequests int                // logins until a helper is replaced; 0: no limit
	Workers     int                // helpers at once; 0: DefaultWorkers
	CacheKey    []string           // variables on which an answer depends; empty: it is not cached
	Helper      string             // the program; "": see Locate
}

// PassDB is PAM. It is an auth.Verifier for many goroutines.
type PassDB struct {
	o    Options
	pool *pool
}

// NewPassDB finds the helper. No process is started before a login.
func NewPassDB(o Options) (*PassDB, error) {
	if o.Helper == "" {
		found, err := Locate()
		if err != nil {
			return nil, err
		}
		o.Helper = found
	}
	if o.Workers <= 0 {
		o.Workers = DefaultWorkers
	}
	return &PassDB{o, newPool(o.Helper, o.Workers, o.MaxRequests)}, nil
}

// Find is not possible.
func (db *PassDB) Find(context.Context, *auth.Request) (auth.Fields, error) {
	return nil, auth.ErrNoFind
}

// CacheKey is an auth.Cacheable's.
func (db *PassDB) CacheKey() []string { return db.o.CacheKey }

// Close ends all helpers, and with a temporary failure the logins that they are at.
func (db *PassDB) Close() error {
	db.pool.close()
	return nil
}

// Verify asks PAM. The field "user" is there if PAM knows the user by another name.
func (db *PassDB) Verify(ctx context.Context, r *auth.Request, password string) (auth.Fields, error) {
	q, err := db.question(r, password)
	if err != nil {
		return nil, err
	}
	defer clear(q.Password)
	a, err := db.pool.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := judge(a); err != nil {
		return db.reason(a), err
	}
	if a.User == "" || a.User == r.User {
		return nil, nil
	}
	return auth.Fields{{Key: "user", Value: a.User}}, nil
}

// question refuses what C would read otherwise than it is meant: a string there ends at NUL.
func (db *PassDB) question(r *auth.Request, password string) (*wire.Question, error) {
	service := DefaultService
	if db.o.Service != nil {
		var err error
		if service, err = r.Expand(db.o.Service); err != nil {
			return nil, fmt.Errorf("expand service: %w", err)
		}
	}
	switch {
	case strings.Trim(service, ".") == "" || strings.ContainsFunc(service, func(c rune) bool { return c <= ' ' || c == '/' || c == 0x7f }):
		return nil, fmt.Errorf("service %q is not the name of a file in /etc/pam.d", service)
	case r.User == "":
		return nil, refuse(auth.ErrUnknown, "empty user name")
	case strings.ContainsFunc(r.User, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return nil, refuse(auth.ErrUnknown, "user name has control characters")
	case strings.ContainsRune(password, 0):
		return nil, refuse(auth.ErrMismatch, "password has a NUL, which PAM cannot be given")
	case len(service)+2*len(r.User)+len(password) > wire.MaxFrame/2:
		return nil, refuse(auth.ErrMismatch, "user name and password are too long for PAM")
	}
	remote, _ := r.Variable("rip")
	return &wire.Question{SetCred: db.o.SetCred, Session: db.o.Session, Service: service, User: r.User,
		RemoteHost: remote, RemoteUser: r.User, Term: "dovecot", Password: []byte(password)}, nil
}

func refuse(why error, text string) error {
	return &auth.Refusal{Err: why, Text: text, Level: slog.LevelInfo}
}

// errUnavailable marks refusals that are none of the user's.
var errUnavailable = errors.New("PAM cannot answer")

// unavailable are the statuses that say nothing about a user.
var unavailable = []wire.Status{wire.OpenError, wire.SymbolError, wire.BufferError, wire.InfoUnavailable, wire.ModuleUnknown}

// judge gives Dovecot's result and words for an answer.
func judge(a *wire.Answer) error {
	refusal := &auth.Refusal{Err: auth.ErrMismatch, Text: fmt.Sprintf("pam_%s() failed: %s", a.Stage, a.Text), Level: slog.LevelError}
	switch {
	case a.Status == wire.Success:
		return nil
	case a.Stage == wire.Start, a.Stage == wire.End, slices.Contains(unavailable, a.Status):
		refusal.Err = errUnavailable
	case a.Status == wire.UserUnknown:
		refusal.Err = auth.ErrUnknown
	case a.Status == wire.NewTokenNeeded, a.Status == wire.AccountExpired:
		refusal.Err = auth.ErrExpired
	}
	if a.Stage != wire.Authenticate {
		return refusal
	}
	if a.Status == wire.UserUnknown {
		refusal.Text = auth.ErrUnknown.Error()
	}
	switch {
	case a.Missing != "":
		refusal.Text += " (" + a.Missing + " missing?)"
	case a.Status == wire.AuthError:
		refusal.Text += " (" + auth.ErrMismatch.Error() + "?)"
		refusal.Level = slog.LevelInfo
	case refusal.Err != errUnavailable:
		refusal.Level = slog.LevelInfo
	}
	return refusal
}

// reason is the last error or information that a module had for the user. (Dovecot 2.3.19.1 takes the prompt for it, and
// was seen to show nothing to clients.)
func (db *PassDB) reason(a *wire.Answer) auth.Fields {
	if !db.o.ShowFailure {
		return nil
	}
	for _, w := range slices.Backward(a.Words) {
		if w.Style == wire.ErrorMessage || w.Style == wire.Info {
			return auth.Fields{{Key: "reason", Value: w.Text}}
		}
	}
	return nil
}
