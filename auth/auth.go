// Package auth is authentication as Dovecot's sites do it: who is this, and whose mail may he see.
//
//	Request    what is known of one login or lookup: names, addresses, protocol, mechanism
//	PassDB     a database that says whether a password is right, and gives fields
//	UserDB     a database that says whose mail it is: uid, gid, home, fields
//	Service    the chains of both, the rules around them, the cache, the log
//
// The databases are in the folders below, each alone with its driver; schemes of stored passwords are in auth/scheme,
// conversations of mechanisms in auth/sasl, Dovecot's protocol on sockets in auth/socket. None of them knows that
// there are configuration files: serve/authconf makes all of it from one.
package auth

import (
	"context"
	"errors"
	"iter"
	"log/slog"
)

// PassDB is a database of passwords. Both methods give fields, "password" among them if the database has one: as it is
// stored, with {SCHEME} or without. The error is nil, or wraps one of ErrUnknown, ErrMismatch, ErrDisabled, ErrExpired;
// any other is a failure of the database, which is temporary and never a wrong password. Fields beside an error are
// for the client ("reason"). Methods are called by many goroutines at once and end soon after their context.
type PassDB interface {
	// Find gives what is stored for r.User.
	Find(ctx context.Context, r *Request) (Fields, error)
}

// Verifier is a PassDB that checks passwords itself and does not give them away (PAM, binding to a directory). It may
// decline with ErrNotVerified, whereupon Find is asked.
type Verifier interface {
	PassDB
	Verify(ctx context.Context, r *Request, password string) (Fields, error)
}

// Setter is a PassDB in which a password can be changed: Set puts stored, which has its {SCHEME}, in the place of old,
// which is what Find gave. Where it is another one by now it stays, and the error is ErrChanged; ErrNoSet is for what
// the configuration has no way for.
type Setter interface {
	PassDB
	Set(ctx context.Context, r *Request, old, stored string) error
}

// UserDB is a database of users, with the errors of a PassDB.
type UserDB interface {
	Find(ctx context.Context, r *Request) (Fields, error)
}

// Lister is a database that can give the names of its users, in its order; r has the protocol and no user.
type Lister interface {
	Users(ctx context.Context, r *Request) iter.Seq2[string, error]
}

// Cacheable is a database whose answers may be kept. CacheKey names the variables on which they depend ("user",
// "protocol", as in templates); empty means that nothing is kept.
type Cacheable interface {
	CacheKey() []string
}

// Why a database says no. Their texts are those of the log.
var (
	ErrUnknown     = errors.New("unknown user")
	ErrMismatch    = errors.New("Password mismatch")
	ErrDisabled    = errors.New("user disabled")
	ErrExpired     = errors.New("password expired")
	ErrNotVerified = errors.New("passwords are not checked by this database")
	// ErrNoFind is what Find of a database gives that can only check passwords; it is a failure of the lookup.
	ErrNoFind = errors.New("passdb doesn't support credential lookups")
	// ErrNoSet and ErrChanged are why Set of a Setter stores nothing.
	ErrNoSet   = errors.New("passwords of this database cannot be changed")
	ErrChanged = errors.New("the stored password has changed meanwhile")
	// ErrNoList is what Users of a chain gives in which no database is a Lister.
	ErrNoList = errors.New("Trying to iterate users, but userdbs don't support it")
)

// Refusal is an error of a database with words of its own for the log; the client never sees them.
type Refusal struct {
	Err   error // one of the above, or what went wrong
	Text  string
	Level slog.Level // Info: only with auth_verbose; Error: always
}

func (r *Refusal) Error() string { return r.Text }
func (r *Refusal) Unwrap() error { return r.Err }
