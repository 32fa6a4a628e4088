// Package static is the database that gives everybody the same: one password, one uid, one home, each a template in which
// the user's name can stand.
//
// As a passdb it knows every name there is, so the password alone decides; with the field nopassword even that does not.
// As a userdb it knows nobody: whether a user exists is asked of the passdbs, unless he just has logged in or it is told
// to believe in everybody (allow_all_users). It cannot list users. Its scheme for passwords without one is PLAIN. All as
// in Dovecot 2.3.19.1.
package static

import (
	"context"
	"fmt"
	"log/slog"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// Field is one field with its template.
type Field struct {
	Key   string
	Value *variable.Template
}

// PassDB gives every user the same password and fields.
type PassDB struct {
	Password *variable.Template // nil: none, which is an error unless the fields have nopassword
	Fields   []Field
}

// Find gives the password and the fields.
func (p *PassDB) Find(_ context.Context, r *auth.Request) (auth.Fields, error) {
	fields, err := expand(r, p.Fields)
	if err != nil {
		return nil, err
	}
	switch {
	case p.Password != nil:
		password, err := r.Expand(p.Password)
		if err != nil {
			return nil, fmt.Errorf("Failed to expand password: %w", err)
		}
		return fields.Set("password", password), nil
	case fields.Has("nopassword"):
		return fields.Set("password", ""), nil
	case r.Mechanism == "": // a login finds out by itself
		return nil, &auth.Refusal{Err: auth.ErrMismatch, Text: "No password returned (and no nopassword field)", Level: slog.LevelInfo}
	}
	return fields, nil
}

// UserDB knows nothing of anybody: all there is to a user is what the configuration sets, so it only has to be in its
// chain.
type UserDB struct{}

// Find gives no fields.
func (UserDB) Find(context.Context, *auth.Request) (auth.Fields, error) { return nil, nil }

func expand(r *auth.Request, templates []Field) (fields auth.Fields, err error) {
	for _, f := range templates {
		value, err := r.Expand(f.Value)
		if err != nil {
			return nil, fmt.Errorf("Failed to expand template: %s: %w", f.Key, err)
		}
		fields = fields.Set(f.Key, value)
	}
	return fields, nil
}
