package main

import (
	"strings"
)

// masks selects mailboxes as doveadm does: "*" stands for any characters, "%" for any but "/". No masks select all.
// "INBOX" compares in any case.
type masks []string

func (m masks) match(mailbox string) bool {
	if len(m) == 0 {
		return true
	}
	for _, mask := range m {
		if matchMask(mask, mailbox) || mailbox == "INBOX" && strings.EqualFold(mask, mailbox) {
			return true
		}
	}
	return false
}

// unused gives the first mask without wildcards that is no mailbox of names: a mistake rather than an empty answer.
func (m masks) unused(names []string) string {
	for _, mask := range m {
		if strings.ContainsAny(mask, "*%") {
			continue
		}
		found := false
		for _, name := range names {
			found = found || masks{mask}.match(name)
		}
		if !found {
			return mask
		}
	}
	return ""
}

// matchMask walks the mask once with the set of places in name that are reached, so that a mask of many stars takes time
// in proportion to mask times name, never more.
func matchMask(mask, name string) bool {
	// reach[i] says that the part of mask read so far matches name[:i].
	reach := make([]bool, len(name)+1)
	reach[0] = true
	for m := 0; m < len(mask); m++ {
		next := make([]bool, len(name)+1)
		for i := range reach {
			switch c := mask[m]; {
			case c == '*' || c == '%':
				stay := i > 0 && next[i-1] && (c == '*' || name[i-1] != '/')
				next[i] = reach[i] || stay
			case i > 0:
				next[i] = reach[i-1] && name[i-1] == c
			}
		}
		reach = next
	}
	return reach[len(name)]
}
