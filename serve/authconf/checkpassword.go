package authconf

import (
	"context"

	"dovetail/auth"
	"dovetail/auth/checkpassword"
	"dovetail/formats/conf/variable"
)

func checkPasswordPass(_ context.Context, s *section) (auth.PassDB, error) {
	o, err := s.checkPassword()
	if err != nil {
		return nil, err
	}
	s.Scheme = "PLAIN"
	return checkpassword.NewPassDB(o)
}

func checkPasswordUser(_ context.Context, s *section) (auth.UserDB, error) {
	o, err := s.checkPassword()
	if err != nil {
		return nil, err
	}
	return checkpassword.NewUserDB(o)
}

// checkPassword takes each word of the args for one of the program, before its variables are known.
func (s *section) checkPassword() (checkpassword.Options, error) {
	o := checkpassword.Options{Workers: s.workers()}
	for _, word := range s.Args {
		t, err := variable.Parse23(word)
		if err != nil {
			return o, err
		}
		o.Command = append(o.Command, t)
	}
	return o, nil
}
