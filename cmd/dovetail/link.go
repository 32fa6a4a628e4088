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
	case name == "doveadm":
		return doveadmArgs(args)
	case name == "dovecot":
		return dovecotArgs(args)
	case name == "dovecot-lda" || name == "deliver":
		return append([]string{"deliver"}, args...)
	}
	return args
}

// dovecotArgs are those of "serve" for "dovecot -F -c FILE": in the foreground is where it always runs. "dovecot stop" and
// "dovecot reload" are verbs of their own.
func dovecotArgs(args []string) []string {
	for i, a := range args {
		if (a == "stop" || a == "reload") && (i == 0 || args[i-1] != "-c") {
			return append([]string{a}, slices.Delete(slices.Clone(args), i, i+1)...)
		}
	}
	if len(args) == 1 && args[0] == "--version" {
		return []string{"version"}
	}
	rest := slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "-F" })
	return append([]string{"serve", "--as-dovecot"}, rest...)
}

// doveadmArgs puts doveadm's own options, which precede its verb, behind it: "-c FILE user ann" is "user -c FILE ann".
// -D and -v say more than there is to say here; pw reads no configuration.
func doveadmArgs(args []string) []string {
	var own []string
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		switch option := args[0]; {
		case option == "-D" || option == "-v" || option == "-Dv" || option == "-vD":
		case option == "-c" && len(args) > 1:
			own = append(own, "-c", args[1])
			args = args[1:]
		default:
			return append(own, args...)
		}
		args = args[1:]
	}
	if len(args) == 0 || args[0] == "pw" {
		return args
	}
	verb := 1
	if args[0] == "auth" && len(args) > 1 {
		verb = 2
	}
	return slices.Concat(args[:verb], own, args[verb:])
}

// statusError is an error with the exit code that Dovecot's own program has for it. What there is to say is said.
type statusError struct {
	err    error
	status int
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }
