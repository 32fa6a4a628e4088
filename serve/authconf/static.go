package authconf

import (
	"context"

	"dovetail/auth"
	"dovetail/auth/static"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config/options"
)

func staticPass(_ context.Context, s *section) (auth.PassDB, error) {
	db := &static.PassDB{}
	var err error
	if s.Static.Password.Text != "" {
		if db.Password, err = s.Static.Password.Parse(); err != nil {
			return nil, err
		}
	}
	// Its fields are what it knows of a user: nopassword has to be there before the password is checked.
	list, err := templates(s.fields)
	for _, f := range list {
		db.Fields = append(db.Fields, static.Field{Key: f.Key, Value: f.Value})
	}
	s.fields, s.Scheme = nil, "PLAIN"
	return db, err
}

func staticUser(_ context.Context, s *section) (auth.UserDB, error) { return static.UserDB{}, nil }

func prefetchUser(context.Context, *section) (auth.UserDB, error) { return auth.Prefetch{}, nil }

// parse makes a template ready; nil for an empty one.
func parse(t options.Template) (*variable.Template, error) {
	if t.Text == "" {
		return nil, nil
	}
	return t.Parse()
}
