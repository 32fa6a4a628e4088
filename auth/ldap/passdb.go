package ldap

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"dovetail/auth"
)

// PassDB is passdb ldap; see the package for its modes.
type PassDB struct {
	database
	stored string // the attribute with passwords
}

// The longest password and the longest template with a name in it that are sent, in bytes: a server closes the
// connection of who sends it more than it wants (OpenLDAP: 256 KiB before a bind).
const maxPassword, maxExpanded = 64 << 10, 128 << 10

// NewPassDB makes a passdb. Nothing is sent before the first lookup.
func NewPassDB(o Options) (*PassDB, error) {
	stored := storedIn(o.Fields)
	if o.Bind {
		isPassword := func(f Field) bool { return f.Key == "password" }
		o.Fields = slices.DeleteFunc(slices.Clone(o.Fields), isPassword)
	}
	d, err := newDatabase(o)
	if err != nil {
		return nil, err
	}
	if o.Bind {
		d.Directory.warnClear("passwords of users travel", d.Log)
	}
	return &PassDB{d, stored}, nil
}

// Find searches for the user and gives the fields, the password among them unless users bind.
func (p *PassDB) Find(ctx context.Context, r *auth.Request) (auth.Fields, error) {
	fields, _, err := p.find(ctx, r)
	return fields, err
}

// Verify binds as the user.
func (p *PassDB) Verify(ctx context.Context, r *auth.Request, password string) (auth.Fields, error) {
	if !p.Bind {
		return nil, auth.ErrNotVerified
	}
	var fields auth.Fields
	dn, err := p.expand(r, "auth_bind_userdn", p.BindDN)
	if err == nil && p.BindDN == nil {
		fields, dn, err = p.find(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	if err := sendable(password); err != nil {
		return nil, err
	}
	if err := p.Directory.bind(ctx, dn, password); err != nil {
		return nil, bindError(err)
	}
	return fields, nil
}

// sendable refuses passwords that no server gets to see.
func sendable(password string) error {
	var why string
	switch {
	case password == "":
		why = "Login attempt with empty password"
	case strings.IndexByte(password, 0) >= 0:
		why = "Login attempt with a NUL byte in the password"
	case len(password) > maxPassword:
		why = fmt.Sprintf("Login attempt with a password of %d bytes; at most %d are sent", len(password), maxPassword)
	default:
		return nil
	}
	return &auth.Refusal{Err: auth.ErrMismatch, Text: why, Level: slog.LevelInfo}
}

// bindError says what a bind that failed means (2.3.19.1, passdb-ldap.c, ldap_auth_bind_callback).
func bindError(err error) error {
	code, ok := answer(err)
	switch {
	case !ok:
		return err
	case code == ldap.LDAPResultInvalidCredentials:
		return &auth.Refusal{Err: auth.ErrMismatch, Text: "Password mismatch (for LDAP bind)", Level: slog.LevelInfo}
	case code == ldap.LDAPResultNoSuchObject:
		return auth.ErrUnknown
	}
	return failure(err, "ldap_bind() failed: %s", reason(err))
}

// Set replaces a stored password of the user by another, as the service: in the attribute that the field "password" is
// made of. Other values of the attribute stay, in their order, as the first one is what counts.
func (p *PassDB) Set(ctx context.Context, r *auth.Request, old, stored string) error {
	switch {
	case p.Bind:
		return fmt.Errorf("%w: they are verified by binding", auth.ErrNoSet)
	case p.stored == "":
		return fmt.Errorf("%w: the field password is not one attribute of the directory", auth.ErrNoSet)
	}
	found, err := p.one(ctx, r)
	if err != nil {
		return err
	}
	values := slices.Clone(found.values[strings.ToLower(p.stored)])
	at := slices.Index(values, old)
	if at < 0 {
		return auth.ErrChanged
	}
	values[at] = stored
	dn := found.dn
	change := ldap.NewModifyRequest(dn, nil) // both or neither (RFC 4511 section 4.6)
	change.Delete(p.stored, []string{old})
	change.Replace(p.stored, values)
	err = p.Directory.modify(ctx, change)
	switch code, ok := answer(err); {
	case !ok:
		return err
	case code == ldap.LDAPResultNoSuchObject:
		return auth.ErrUnknown
	case code == ldap.LDAPResultNoSuchAttribute:
		return auth.ErrChanged
	}
	return failure(err, "ldap_modify(%s) failed: %s", dn, reason(err))
}

// storedIn names the attribute that holds passwords; "" if a template makes them of more than one.
func storedIn(fields []Field) string {
	stored := "userPassword"
	for _, f := range fields {
		if f.Key == "password" {
			stored = f.Attribute
		}
	}
	return stored
}
