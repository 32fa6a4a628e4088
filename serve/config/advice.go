package config

import "strings"

// advise says what Dovecot accepts, but nobody can have meant.
func (k *checker) advise() {
	for _, s := range k.services() {
		for _, kind := range []string{"unix_listener", "fifo_listener"} {
			for _, l := range s.inner[kind] {
				k.decimalMode(l)
			}
		}
		if n := s.set["process_limit"]; n != nil && s.name == "auth-worker" &&
			s.number("process_limit") < k.number("auth_worker_max_count") {
			k.note(n.Pos, "service auth-worker { process_limit } is lower than auth_worker_max_count",
				"fewer lookups run at a time than are allowed", "process_limit = "+k.text("auth_worker_max_count"))
		}
		if s.base == nil {
			k.note(s.posOf("name"), "nothing serves service "+s.name,
				"programs of your own are not started; its listeners are made", "")
		}
	}
	for _, key := range []string{"default_internal_user", "default_login_user"} {
		if uid := k.text("mail_uid"); uid != "" && uid == k.text(key) {
			k.note(k.pos("mail_uid"), "mail_uid is the same user as "+key,
				"whoever breaks into a helper process can read all mail", "a user of its own for the mail, such as vmail")
		}
	}
	for _, b := range k.t.root.inner["passdb"] {
		k.passdbAdvice(b)
		k.withoutRoot(b)
	}
	for _, list := range k.t.root.inner["userdb"] {
		k.sharedUser(list)
	}
	k.oneLimit("first_valid_uid", "last_valid_uid")
	k.oneLimit("first_valid_gid", "last_valid_gid")
}

// decimalMode notes a mode that was written without its leading zero: Dovecot
// reads 660 as a decimal number.
func (k *checker) decimalMode(l *block) {
	v := l.set["mode"]
	if v == nil || v.Raw == "" || strings.HasPrefix(v.Raw, "0") {
		return
	}
	k.note(v.Pos, "decimal mode, did you mean 0"+v.Raw+"?", "the mode is "+v.Text, "mode = 0"+v.Raw)
}

// sharedUser notes a userdb that gives mail to a user of Dovecot's own.
func (k *checker) sharedUser(b *block) {
	for word := range strings.FieldsSeq(b.text("args")) {
		uid, ok := strings.CutPrefix(word, "uid=")
		for _, key := range []string{"default_internal_user", "default_login_user"} {
			if ok && uid == k.text(key) {
				k.note(b.posOf("args"), "mail belongs to the same user as "+key,
					"whoever breaks into a helper process can read all mail", "a user of its own for the mail, such as vmail")
			}
		}
	}
}

// oneLimit tells of the other end of a range of which only one was set: documents say to set both.
func (k *checker) oneLimit(first, last string) {
	for _, pair := range [][2]string{{first, last}, {last, first}} {
		set, unset := k.t.root.set[pair[0]], k.t.root.set[pair[1]]
		if set == nil || unset != nil {
			continue
		}
		meaning := "ids have no upper limit"
		if unset := pair[1]; unset == first {
			meaning = "ids below " + k.text(first) + " are refused"
		}
		k.note(set.Pos, pair[0]+" is set, "+pair[1]+" has its default "+k.text(pair[1]), meaning, "")
	}
}
