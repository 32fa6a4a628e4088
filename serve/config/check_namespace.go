package config

import (
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// What stands here Dovecot finds out only when a user logs in: the client is
// told "Logged in" and then that an internal error occurred.
const loginsFail = "every login fails"

// mailPlaces checks mail_location, and namespaces against each other.
func (k *checker) mailPlaces() {
	if v := k.filter.root.set["mail_location"]; v != nil {
		k.location("mail_location", v)
	}
	var used []*block
	for _, b := range k.t.root.inner["namespace"] {
		if v := b.set["location"]; v != nil {
			k.location("location", v)
		}
		if b.text("disabled") != "yes" {
			used = append(used, b)
		}
	}
	if len(used) > 0 {
		k.inbox(used)
		k.separators(used)
	}
}

// inbox wants exactly one private namespace with the INBOX.
func (k *checker) inbox(used []*block) {
	const start = "namespace configuration error: "
	var with []*block
	for _, b := range used {
		if b.text("inbox") == "yes" {
			with = append(with, b)
		}
	}
	switch {
	case len(with) == 0:
		k.once(used[0].pos, start+"inbox=yes namespace missing", "inbox = yes in one of the namespaces")
	case len(with) > 1:
		k.once(with[1].posOf("inbox"), start+"There can be only one namespace with inbox=yes", "")
	}
}

func (k *checker) separators(used []*block) {
	const start = "namespace configuration error: "
	first := ""
	for _, b := range used {
		sep, prefix := b.text("separator"), b.text("prefix")
		if b.text("list") == "no" || len(sep) != 1 {
			continue
		}
		if prefix != "" && !strings.HasSuffix(prefix, sep) && b.text("alias_for") == "" {
			k.once(b.posOf("prefix"), start+"list=yes requires prefix="+prefix+" to end with separator "+sep, "prefix = "+prefix+sep)
		}
		if first == "" {
			first = sep
		}
		if sep != first {
			k.once(b.posOf("separator"), start+"All list=yes namespaces must use the same separator", "separator = "+first)
		}
	}
}

// once notes something, but not again for another filter.
func (k *checker) once(pos conf.Pos, text, instead string) {
	if !k.said[text] {
		k.said[text] = true
		k.note(pos, text, loginsFail, instead)
	}
}

// mailDrivers are the formats that mail_location can name.
var mailDrivers = strings.Fields("mbox maildir sdbox mdbox dbox imapc pop3c shared virtual auto")

// mailKeys are its keys; those without a value stand alone.
var mailKeys = strings.Fields(`INBOX= INDEX= INDEXPVT= INDEXCACHE= CONTROL= VOLATILEDIR= ALT= LAYOUT= SUBSCRIPTIONS=
	DIRNAME= FULLDIRNAME= MAILBOXDIR= LISTINDEX= BROKENCHAR= ALTNOCHECK UTF-8 ITERINDEX NO-NOSELECT NO-FS-VALIDATION`)

// location checks DRIVER:ROOT:KEY=VALUE…; "::" is a colon in a path.
func (k *checker) location(key string, v *Value) {
	driver, rest, ok := strings.Cut(v.Text, ":")
	if !ok || strings.HasPrefix(driver, "<") {
		return
	}
	start := "Initializing mail storage from " + key + " setting failed: "
	if !strings.Contains(driver, "%") && !slices.Contains(mailDrivers, driver) {
		k.once(v.Pos, start+"Unknown mail storage driver "+driver, "one of: "+strings.Join(mailDrivers, " "))
		return
	}
	parts := strings.Split(strings.ReplaceAll(rest, "::", "\x00"), ":")
	for _, p := range parts[1:] {
		name, _, valued := strings.Cut(p, "=")
		if valued {
			name += "="
		}
		if !slices.Contains(mailKeys, name) && !strings.Contains(name, "%") && name != "" {
			k.once(v.Pos, start+"Unknown setting: "+strings.TrimSuffix(name, "="), "one of: "+strings.Join(mailKeys, " "))
		}
	}
}
