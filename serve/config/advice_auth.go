package config

import "strings"

// passdbAdvice tells of passdbs that let in whoever comes: Dovecot takes them as they are, too.
func (k *checker) passdbAdvice(b *block) {
	if b.text("deny") == "yes" {
		return
	}
	for _, r := range []struct{ key, when string }{
		{"result_failure", "with a wrong password, or with none of the names that it knows"}, {"result_internalfail", "while it does not answer"},
	} {
		if rule := b.text(r.key); rule == "return-ok" || rule == "continue-ok" {
			k.note(b.posOf(r.key), r.key+" = "+rule+" accepts logins that the passdb does not",
				"everybody is let in "+r.when, r.key+" = continue")
		}
	}
	words := strings.Fields(b.text("args") + " " + b.text("override_fields"))
	if b.text("driver") == "static" && hasField(words, "nopassword") && !hasField(words, "proxy") && !hasField(words, "proxy_maybe") &&
		!hasField(words, "nologin") && !hasField(words, "allow_nets") {
		k.note(b.posOf("args"), "passdb static with nopassword accepts every password", "everybody is let in under every name", "password=SECRET")
	}
}

func hasField(words []string, key string) bool {
	for _, w := range words {
		if name, _, _ := strings.Cut(w, "="); name == key {
			return true
		}
	}
	return false
}

// withoutRoot tells of databases that only root can ask, where a configuration is made to be run by one user: all
// processes are his.
func (k *checker) withoutRoot(b *block) {
	user := k.text("default_internal_user")
	if user == "" || user != k.text("default_login_user") {
		return
	}
	switch driver := b.text("driver"); driver {
	case "pam", "shadow":
		k.note(b.pos, "passdb "+driver+" needs root, and all processes are those of user "+user,
			"only that user's own password can be checked, by a helper that has the rights for it", "driver = passwd-file")
	}
}
