package main

import (
	"slices"
	"strings"
	"testing"
)

func TestTheScriptsCommandLineIsUnderstood(t *testing.T) {
	for _, tc := range []struct{ name, line, want string }{
		{"the documented recipe", "/root/courier-dovecot-migrate.pl --to-dovecot --convert --recursive", "courier --to-dovecot --convert --recursive"},
		{"without the ending", "courier-dovecot-migrate --recursive /home", "courier --recursive /home"},
		{"one dash, abbreviated, in capitals", "courier-dovecot-migrate.pl -rec -C --to-d -Overwrite -q .", "courier --recursive --convert --to-dovecot --overwrite --quiet ."},
		{"an ambiguous one stays", "courier-dovecot-migrate.pl --to", "courier --to"},
		{"further options of ours", "courier-dovecot-migrate.pl --jobs 2 --json", "courier --jobs 2 --json"},
		{"paths after two dashes", "courier-dovecot-migrate.pl -- -r", "courier -- -r"},
		{"called by its own name", "dovetail courier -r", "courier -r"},
	} {
		if got := calledAs(strings.Fields(tc.line)); !slices.Equal(got, strings.Fields(tc.want)) {
			t.Errorf("%s: %q gave %q, want %q", tc.name, tc.line, got, tc.want)
		}
	}
}
