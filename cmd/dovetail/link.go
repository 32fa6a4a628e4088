package main

import (
	"path/filepath"
	"slices"
)

// linkArgs gives the command line of ours for the name of Dovecot's that the program is called by. "dovecot -n" and
// "dovecot -a" are doveconf's.
func linkArgs(argv []string) []string {
	name, args := filepath.Base(argv[0]), argv[1:]
	prints := slices.Contains(args, "-n") || slices.Contains(args, "-a")
	if name == "doveconf" || name == "dovecot" && prints {
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
