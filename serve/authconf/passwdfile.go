package authconf

import (
	"context"
	"errors"

	"dovetail/auth"
	"dovetail/auth/passwdfile"
	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
)

func passwdFilePass(_ context.Context, s *section) (auth.PassDB, error) {
	o, err := s.passwdFile()
	if err != nil {
		return nil, err
	}
	return passwdfile.NewPassDB(o), nil
}

func passwdFileUser(_ context.Context, s *section) (auth.UserDB, error) {
	o, err := s.passwdFile()
	if err != nil {
		return nil, err
	}
	return passwdfile.NewUserDB(o), nil
}

// passwdFile gives the options of the database; of one path there is one list for all sections, as in Dovecot.
func (s *section) passwdFile() (o passwdfile.Options, err error) {
	path := s.PasswdFile.Path
	if path.Text == "" {
		return o, errors.New("Missing args: the path of the file; as in args = /etc/dovecot/users")
	}
	o.Alone = s.alone
	o.Files, err = share(s.build, "passwd-file "+path.Text, func() (*passwdfile.Files, error) {
		t, err := path.Parse()
		if err != nil {
			return nil, err
		}
		files, err := passwdfile.NewFiles(t, s.log)
		if err == nil && s.view.Dialect == conf.V24 {
			files.Parse = variable.Parse24
		}
		return files, err
	})
	if err == nil {
		o.Format, err = parse(s.PasswdFile.UsernameFormat)
	}
	return o, err
}

// load reads the lists whose paths are known now. One that cannot be read does not keep the rest from working, and may
// come later.
func (b *build) load() {
	for key, made := range b.opened {
		files, ok := made.(*passwdfile.Files)
		if !ok {
			continue
		}
		if err := files.Load(); err != nil {
			b.log.Error(key + ":" + hint(err).Error())
		}
	}
}
