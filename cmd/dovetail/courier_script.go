package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// scriptOptions are the options of the Perl script courier-dovecot-migrate.pl (dovecot/tools, 2021-11-10).
var scriptOptions = []string{"to-dovecot", "to-courier", "convert", "overwrite", "recursive", "quiet", "help"}

// calledAs gives the arguments of a command line, in which the program may be called by another name that it answers to.
func calledAs(args []string) []string {
	if len(args) == 0 {
		return nil
	}
	switch filepath.Base(args[0]) {
	case "courier-dovecot-migrate.pl", "courier-dovecot-migrate":
		return append([]string{"courier"}, scriptArgs(args[1:])...)
	}
	return args[1:]
}

// scriptArgs writes options as Perl's Getopt::Long reads them, in any case, with one dash or two and no longer than needed
// to tell them apart, as they are written here. Others are left as they are.
func scriptArgs(args []string) []string {
	var out []string
	for i, arg := range args {
		if arg == "--" {
			return append(out, args[i:]...)
		}
		name := strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"))
		matches := slices.DeleteFunc(slices.Clone(scriptOptions), func(o string) bool { return !strings.HasPrefix(o, name) })
		if strings.HasPrefix(arg, "-") && name != "" && len(matches) == 1 {
			arg = "--" + matches[0]
		}
		out = append(out, arg)
	}
	return out
}
