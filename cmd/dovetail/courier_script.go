package main

import (
	"slices"
	"strings"
)

// scriptOptions are the options of the Perl script courier-dovecot-migrate.pl (dovecot/tools, 2021-11-10).
var scriptOptions = []string{"to-dovecot", "to-courier", "convert", "overwrite", "recursive", "quiet", "help"}

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
