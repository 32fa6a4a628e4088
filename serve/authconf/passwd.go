package authconf

import (
	"context"
	"fmt"
	"strings"

	"dovetail/auth"
	"dovetail/auth/passwd"
	"dovetail/serve/config/options"
)

func passwdPass(_ context.Context, s *section) (auth.PassDB, error) {
	o, err := s.accounts()
	if err != nil {
		return nil, err
	}
	return passwd.NewPassDB(o)
}

func shadowPass(_ context.Context, s *section) (auth.PassDB, error) {
	o, err := s.accounts()
	if err != nil {
		return nil, err
	}
	return passwd.NewShadow(o)
}

// passwdUser takes fields among the args, as Dovecot does with a warning.
func passwdUser(_ context.Context, s *section) (auth.UserDB, error) {
	var fields []options.Field
	for _, f := range options.Fields23(s.Args) {
		if f.Name != "blocking" {
			fields = append(fields, f)
		}
	}
	if len(fields) > 0 {
		s.log.Warn(s.pos.String() + ": userdb passwd: Move templates args to override_fields setting")
		s.fields = append(fields, s.fields...)
		s.Args = nil
	}
	o, err := s.accounts()
	if err != nil {
		return nil, err
	}
	return passwd.NewUserDB(o)
}

// accounts are those of the system, with whom the configuration lets have mail.
func (s *section) accounts() (passwd.Options, error) {
	for _, word := range s.Args {
		if !strings.HasPrefix(word, "blocking=") {
			return passwd.Options{}, fmt.Errorf("%s %s: Unknown setting: %s", s.kind, s.driver, word)
		}
	}
	users, err := options.Read[options.Users](s.view)
	return passwd.Options{FirstUID: users.FirstValidUID, LastUID: users.LastValidUID,
		FirstGID: users.FirstValidGID, LastGID: users.LastValidGID, Workers: s.workers()}, err
}
