package sync

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"dovetail/formats"
)

// naming is what one source mailbox is to be called in the target.
type naming struct {
	target string
	why    string // the name had to change, and why; "" when it did not
	refuse string // the mailbox cannot be carried under any name, and why
	kept   bool   // an earlier run gave the name
}

// nameMailboxes decides the names in the target for all mailboxes of the source. kept are names given by an earlier run
// that stay, by source name. full tells which mailboxes hold messages, for targets where those cannot have children.
func nameMailboxes(names []string, kept map[string]string, full func(string) bool, limits formats.Limits) map[string]naming {
	out := make(map[string]naming, len(names))
	for _, name := range names {
		if target, ok := kept[name]; ok {
			out[name] = naming{target: target, kept: true}
			continue
		}
		n := naming{target: name}
		if limits.NameProblem != nil {
			n.why = limits.NameProblem(name)
		}
		if n.why != "" && limits.SafeName != nil {
			n.target = limits.SafeName(name)
		}
		out[name] = n
	}
	if limits.NoChildren {
		nameParents(names, out, full)
	}
	refuseCollisions(names, out)
	return out
}

// nameParents gives mailboxes with messages and children another name, because in the target a mailbox with messages is
// a file and its children would need a folder of that name. Children keep theirs: there are more of them. INBOX is
// elsewhere in such formats.
func nameParents(names []string, out map[string]naming, full func(string) bool) {
	for _, name := range names {
		n := out[name]
		if n.kept || n.target == "INBOX" || !hasChild(out, n.target) || !full(name) {
			continue
		}
		n.target += parentSuffix
		n.why = "a mailbox with messages cannot have children in this format"
		out[name] = n
	}
}

// mayBeNamed tells whether target is a name that a mailbox can have been given. Otherwise it is left from a rename that
// was cut off, and no reason to keep it.
func mayBeNamed(name, target string, limits formats.Limits) bool {
	target = strings.TrimSuffix(target, parentSuffix)
	return target == strings.TrimSuffix(name, parentSuffix) || limits.SafeName != nil && target == limits.SafeName(name)
}

// parentSuffix is added to mailboxes that would stand where the folder of their children has to be.
const parentSuffix = "-messages"

func hasChild(out map[string]naming, parent string) bool {
	for _, n := range out {
		if strings.HasPrefix(n.target, parent+"/") {
			return true
		}
	}
	return false
}

// refuseCollisions never lets two mailboxes share a name in the target. Names that are as in the source are all
// different; one that had to change must also not look like another (case, Unicode form). Who did not change stays,
// except where an earlier run gave that very name away.
func refuseCollisions(names []string, out map[string]naming) {
	owners := map[string][]string{}
	for _, name := range names {
		key := foldName(out[name].target)
		owners[key] = append(owners[key], name)
	}
	for _, same := range owners {
		if len(same) < 2 {
			continue
		}
		for _, name := range same {
			n := out[name]
			taken := slices.ContainsFunc(same, func(o string) bool { return out[o].kept && out[o].target == n.target })
			if n.kept || n.why == "" && !taken {
				continue
			}
			other := same[(slices.Index(same, name)+1)%len(same)]
			n.refuse = "its name in the target would be " + n.target + ", as that of " + other
			out[name] = n
		}
	}
}

func foldName(name string) string { return strings.ToLower(norm.NFC.String(name)) }

// Wanted tells whether a mailbox is wanted: no patterns, or one that fits. As in IMAP's LIST (RFC 9051 section 6.3.9)
// "*" is any text and "%" any text without "/".
func Wanted(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		return strings.EqualFold(p, "INBOX") && name == "INBOX" || like(p, name)
	})
}

func like(pattern, name string) bool {
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*' || c == '%':
			for j := 0; j <= len(name); j++ {
				if like(pattern[i+1:], name[j:]) {
					return true
				}
				if c == '%' && j < len(name) && name[j] == '/' {
					return false
				}
			}
			return false
		case name == "" || name[0] != c:
			return false
		}
		name = name[1:]
	}
	return name == ""
}

// under tells whether name is parent or below it.
func under(name, parent string) bool {
	return name == parent || strings.HasPrefix(name, parent+"/")
}
