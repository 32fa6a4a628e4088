package passwd

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"

	"dovetail/auth"
)

// account looks a name up.
func (s *system) account(ctx context.Context, name string) (account, error) {
	if odd(name) {
		return account{}, auth.ErrUnknown
	}
	file, other, err := s.sources("passwd")
	if err != nil {
		return account{}, err
	}
	if file {
		all, err := s.passwdFile.read()
		if err != nil {
			return account{}, err
		}
		if a, ok := all.byName[name]; ok {
			return a, nil
		}
	}
	switch {
	case !other:
		return account{}, auth.ErrUnknown
	case looksLikeID(name):
		return s.listed(ctx, name)
	}
	line, err := s.getent(ctx, "passwd", name)
	if err != nil {
		return account{}, err
	}
	a, ok := parseAccount(line)
	if !ok {
		return account{}, fmt.Errorf("getent passwd: cannot read what it gives for %q", name)
	}
	return a, nil
}

// looksLikeID tells whether getent would take a name for a uid: it calls strtoul, which takes blanks and a sign (glibc
// 2.36, nss/getent.c).
func looksLikeID(name string) bool {
	digits := strings.TrimLeft(name, " \t\v\f\r\n")
	if digits != "" && (digits[0] == '+' || digits[0] == '-') {
		digits = digits[1:]
	}
	return strings.Trim(digits, "0123456789") == ""
}

// listed looks for a name among all accounts.
func (s *system) listed(ctx context.Context, name string) (account, error) {
	for a, err := range s.accounts(ctx) {
		if err != nil || a.name == name {
			return a, err
		}
	}
	return account{}, auth.ErrUnknown
}

// accounts gives all of them.
func (s *system) accounts(ctx context.Context) iter.Seq2[account, error] {
	return func(yield func(account, error) bool) {
		_, other, err := s.sources("passwd")
		if err == nil && !other {
			var all *accounts
			if all, err = s.passwdFile.read(); err == nil {
				for _, a := range all.list {
					if !yield(a, nil) {
						return
					}
				}
				return
			}
		}
		var out []byte
		if err == nil {
			out, err = s.run(ctx, "passwd")
		}
		if err != nil {
			yield(account{}, err)
			return
		}
		for line := range bytes.Lines(out) {
			if a, ok := parseAccount(strings.TrimSuffix(string(line), "\n")); ok && !yield(a, nil) {
				return
			}
		}
	}
}

// shadow looks up the password of a name.
func (s *system) shadow(ctx context.Context, name string) (found, password string, err error) {
	if odd(name) {
		return "", "", auth.ErrUnknown
	}
	file, other, err := s.sources("shadow")
	if err != nil {
		return "", "", err
	}
	if file {
		passwords, err := s.shadowFile.read()
		if err != nil {
			return "", "", s.unreadable(err)
		}
		if password, ok := passwords[name]; ok {
			return name, password, nil
		}
	}
	if !other {
		return "", "", auth.ErrUnknown
	}
	line, err := s.getent(ctx, "shadow", name)
	if err != nil {
		return "", "", err
	}
	found, password, ok := parseShadow(line)
	if !ok {
		return "", "", fmt.Errorf("getent shadow: cannot read what it gives for %q", name)
	}
	return found, password, nil
}
