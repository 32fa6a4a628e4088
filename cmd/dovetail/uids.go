package main

import (
	"strconv"
	"strings"

	"dovetail/formats"
)

// parseUIDs reads IMAP's sequence-set form (RFC 9051 section 9, sequence-set). "*" is taken as the largest UID there can
// be, so that "17:*" means from 17 on.
func parseUIDs(s string) (formats.Ranges, error) {
	set := formats.Ranges{}
	for _, part := range strings.Split(s, ",") {
		from, to, isRange := strings.Cut(part, ":")
		if !isRange {
			to = from
		}
		first, ok := parseUID(from)
		last, ok2 := parseUID(to)
		if !ok || !ok2 {
			return nil, usagef("not a set of UIDs: %q (as in IMAP: 3,17:20,30:*)", s)
		}
		set.AddRange(min(first, last), max(first, last))
	}
	return set, nil
}

func parseUID(s string) (formats.UID, bool) {
	if s == "*" {
		return ^formats.UID(0), true
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return formats.UID(n), err == nil && n > 0
}
