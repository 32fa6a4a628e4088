package main

import "path/filepath"

// linkArgs gives the command line of ours for the name of Dovecot's that the program is called by.
func linkArgs(argv []string) []string {
	if filepath.Base(argv[0]) == "doveconf" {
		return append([]string{"config", "--as-doveconf"}, argv[1:]...)
	}
	return argv[1:]
}

// statusError is an error with the exit code that Dovecot's own program has for it. What there is to say is said.
type statusError struct {
	err    error
	status int
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }
