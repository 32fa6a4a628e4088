package main

import (
	"path/filepath"
	"slices"
)

// calledAs gives the arguments of a command line, in which the program may be called by another name that it answers to.
// "dovecot -n" and "dovecot -a" are doveconf's.
func calledAs(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	args := argv[1:]
	switch name := filepath.Base(argv[0]); {
	case name == "courier-dovecot-migrate.pl" || name == "courier-dovecot-migrate":
		return append([]string{"courier"}, scriptArgs(args)...)
	case name == "doveconf", name == "dovecot" && (slices.Contains(args, "-n") || slices.Contains(args, "-a")):
		return append([]string{"config", "--as-doveconf"}, args...)
	}
	return args
}

// statusError is an error with the exit code that Dovecot's own program has for it. What there is to say is said.
type statusError struct {
	err    error
	status int
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }
