package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"dovetail/auth/scheme"
)

// hashing bounds how many passwords are hashed at the same time: some schemes take 64 MiB each.
type hashing struct {
	turns  *turns
	secret [32]byte // of salts for unknown users
	verify func(stored, fallback, user, password string, weak bool) (bool, error)

	mu   sync.Mutex
	last map[*passdb]string // what the last known user has stored
}

func newHashing(workers int) *hashing {
	h := &hashing{turns: newTurns(workers), last: map[*passdb]string{}, verify: scheme.Verify}
	_, _ = rand.Read(h.secret[:]) // never fails
	return h
}

// check compares the password with what the database has given.
func (a *attempt) check(ctx context.Context, p *passdb) result {
	if a.r.Pass.Has("nopassword") {
		a.logf(slog.LevelDebug, p.name(), "Allowing any password")
		return isOK
	}
	if !a.password.known {
		a.logf(slog.LevelInfo, p.name(), "No password returned (and no nopassword)")
		return isMismatch
	}
	a.s.hashes.remember(p, a.password.text)
	ok, err := a.hash(ctx, a.password.text)
	switch {
	case ctx.Err() != nil:
		return isInternal
	case err != nil:
		a.logf(slog.LevelError, p.name(), "%s", complaint(a.password.text, err))
		return isMismatch
	case !ok:
		a.logFailure(p, ErrMismatch.Error())
		return isMismatch
	}
	return isOK
}

// hash tells whether the password of the request is the stored one. DIGEST-MD5 has the name in it, as it was sent.
func (a *attempt) hash(ctx context.Context, text string) (bool, error) {
	if len(a.r.Password) > maxHashed {
		return false, nil
	}
	if err := a.s.hashes.turns.take(ctx, a.r.Remote.Addr()); err != nil {
		return false, err
	}
	defer a.s.hashes.turns.give()
	return a.s.hashes.verify(text, "PLAIN", a.original, a.r.Password, a.s.o.AllowWeak)
}

// complaint has Dovecot's words for a stored password that cannot be compared with anything (2.3.19, auth-request.c,
// auth_request_password_verify).
func complaint(stored string, err error) string {
	name, _ := scheme.Cut(stored, "")
	if errors.Is(err, scheme.ErrUnknown) {
		return "Unknown scheme " + sanitize(name, 64)
	}
	if _, ok := errors.AsType[*scheme.WeakError](err); ok || errors.Is(err, scheme.ErrLong) {
		return err.Error()
	}
	if _, bad := scheme.Parse(stored, ""); bad != nil {
		return fmt.Sprintf("Password data is not valid for scheme %s: %v", sanitize(name, 64), bad)
	}
	return "Invalid password in passdb: " + err.Error()
}

// decoy takes the time of a check for a user who does not exist: that of the last one who does, in this database.
func (a *attempt) decoy(ctx context.Context, p *passdb) {
	text := a.s.hashes.sample(p)
	if text == "" {
		return
	}
	_, _ = a.hash(ctx, text)
}

func (h *hashing) remember(p *passdb, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last[p] = text
}

// sample gives what to hash with: what a user has, or, before the first one, something of the database's own scheme.
func (h *hashing) sample(p *passdb) string {
	h.mu.Lock()
	text := h.last[p]
	h.mu.Unlock()
	if text != "" || p.Scheme == "" {
		return text
	}
	text, err := scheme.Make(p.Scheme, "nobody", rand.Text(), scheme.MakeOptions{})
	if err != nil {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last[p] == "" {
		h.last[p] = text
	}
	return h.last[p]
}

// suits tells whether what is stored serves a mechanism that needs this scheme. Credentials of an earlier database
// serve where the last one, asked for fields, has none.
func (a *attempt) suits(p *passdb, name string) result {
	if name == "" && !a.password.known {
		return isOK
	}
	if !a.password.known {
		if a.credentials.known || a.verified {
			return isOK
		}
		a.logf(slog.LevelInfo, p.name(), "Requested %s scheme, but we have a NULL password", name)
		return isNoScheme
	}
	have, err := scheme.Parse(a.password.text, "PLAIN")
	if err != nil {
		a.logf(slog.LevelError, p.name(), "%v", err)
		return isNoScheme
	}
	if name == "" {
		return isOK
	}
	if _, err := credentials(have, name, a.original); err != nil {
		a.logf(slog.LevelInfo, p.name(), "Requested %s scheme, but we have only %s", name, have.Scheme)
		return isNoScheme
	}
	a.credentials = a.password
	return isOK
}

// credentials gives a password in clear text as it is, and any other in the scheme that is wanted.
func credentials(have scheme.Password, name, user string) (scheme.Password, error) {
	if have.Scheme != name {
		if clear, err := have.As("PLAIN", user); err == nil {
			return clear, nil
		}
	}
	return have.As(name, user)
}

// logFailure writes down why a password was refused, with the password if auth_verbose_passwords wants it.
func (a *attempt) logFailure(p *passdb, text string) {
	kind, most, _ := strings.Cut(a.s.o.VerbosePasswords, ":")
	shown := ""
	switch kind {
	case "plain":
		shown = "given password: " + truncate(sanitize(a.r.Password, maxHashed), most)
	case "sha1":
		sum := sha1.Sum([]byte(a.r.Password))
		shown = "SHA1 of given password: " + truncate(hex.EncodeToString(sum[:]), most)
	default:
		a.logf(slog.LevelInfo, p.name(), "%s", text)
		return
	}
	text += " (" + shown + ")"
	if a.r.Password == "" {
		text = strings.TrimSuffix(text, " ("+shown+")")
	}
	if a.at+1 < len(a.chain) {
		text += " - trying the next passdb"
	}
	a.s.log.Info(p.name() + "(" + a.identifier() + "): " + text)
}

func truncate(text, most string) string {
	n, err := strconv.Atoi(most)
	if err != nil || n < 0 || n >= len(text) {
		return text
	}
	return text[:n]
}
