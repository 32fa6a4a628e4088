package config

import (
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// checker checks what holds for one filter. The rules and texts are those of
// the settings checks of Dovecot 2.3.19, in the order of its modules; but where
// it stops at the first mistake of a module, all are found.
type checker struct {
	o        Options
	c        *Config
	t        *tree     // what holds for the filter
	filter   *filtered // that is checked
	global   bool
	problems *Problems
	module   *Setting          // one of the module that is checked
	failed   map[*Setting]bool // modules with a mistake
	found    *Problem          // the last one
	said     map[string]bool   // what was found for another filter already
}

// check adds everything that is wrong with a configuration as a whole.
func (c *Config) check(o Options, problems *Problems) {
	said := map[string]bool{}
	global, _ := effective(c.filters[:1], Filter{})
	sslWarned := false
	for i, f := range c.filters {
		t, err := effective(c.filters, f.Filter)
		k := &checker{o: o, c: c, t: t, filter: f, global: i == 0, problems: problems, failed: map[*Setting]bool{}, said: said}
		k.module = t.root.schema.settings["syslog_facility"]
		if err != nil {
			k.fail(conf.Pos{}, err.Error())
		}
		if v := f.root.set["ssl"]; v != nil && i > 0 && !sslWarned {
			sslWarned = k.ignoredTLS(global, v)
		}
		k.all()
		k.mailPlaces()
		if k.global {
			k.advise()
		}
	}
}

// ignoredTLS warns of TLS that is switched on for some connections only.
func (k *checker) ignoredTLS(global *tree, v *Value) bool {
	if g := global.root.set["ssl"]; g == nil || g.Text != "no" || v.Text == "no" {
		return false
	}
	k.warn(v.Pos, "SSL is disabled because global ssl=no, ignoring ssl="+v.Text+" for subsection")
	return true
}

func (k *checker) all() {
	for _, m := range []struct {
		like  string // a setting of the module, which tells for which -m it is checked
		check func()
	}{
		{"syslog_facility", k.log}, {"ssl_options", k.tls}, {"auth_mechanisms", k.auth},
		{"director_servers", k.director}, {"dsync_alt_char", k.doveadm}, {"imap_capability", k.imap},
		{"imapc_features", k.imapc}, {"lmtp_client_workarounds", k.lmtp}, {"mail_fsync", k.storage},
		{"mail_log_prefix", k.namespaces}, {"protocols", k.master}, {"pop3_client_workarounds", k.pop3},
		{"pop3c_features", k.pop3c}, {"submission_client_workarounds", k.submission},
	} {
		k.module = k.t.root.schema.settings[m.like]
		m.check()
	}
}

// fail adds a mistake. Dovecot prints the first one of each module.
func (k *checker) fail(pos conf.Pos, text string) {
	k.found = &Problem{}
	first := !k.failed[k.module]
	k.failed[k.module] = true
	if k.said[text] {
		return
	}
	k.said[text] = true
	if pos.File == "" {
		pos.File = k.c.Path
	}
	k.found = &Problem{Severity: Failed, Pos: pos, Text: text, level: "Fatal", global: k.global && first, group: k.module.group,
		Line: "Error in configuration file " + k.c.Path + ": " + text}
	k.problems.add(k.found)
}

func (k *checker) warn(pos conf.Pos, text string) {
	if !k.said[text] {
		k.said[text] = true
		k.problems.add(&Problem{Severity: Warning, Pos: pos, Text: text, Line: text, level: "Warning"})
	}
}

// note adds what Dovecot says nothing of.
func (k *checker) note(pos conf.Pos, text, meaning, instead string) {
	k.problems.add(&Problem{Severity: Advice, Pos: pos, Text: text, Meaning: meaning, Instead: instead})
}

func (k *checker) text(key string) string   { return k.t.root.text(key) }
func (k *checker) number(key string) uint64 { return k.t.root.number(key) }
func (k *checker) on(key string) bool       { return k.t.root.text(key) == "yes" }
func (k *checker) pos(key string) conf.Pos  { return k.t.root.posOf(key) }

// posOf tells where a setting was set.
func (b *block) posOf(key string) conf.Pos {
	if v := b.set[key]; v != nil {
		return v.Pos
	}
	return b.pos
}

// words checks a list of names against those that exist.
func (k *checker) words(key, complaint string, known ...string) {
	for w := range strings.FieldsFuncSeq(k.text(key), func(c rune) bool { return c == ',' || c == ' ' }) {
		if !slices.ContainsFunc(known, func(n string) bool { return nameIs(n, w) }) {
			k.fail(k.pos(key), key+": "+complaint+": "+w)
			k.found.Instead = "one of: " + strings.Join(known, " ")
		}
	}
}

// nameIs compares without case; a known name may end in "*".
func nameIs(known, word string) bool {
	if start, ok := strings.CutSuffix(known, "*"); ok {
		return len(word) > len(start) && strings.EqualFold(word[:len(start)], start)
	}
	return strings.EqualFold(known, word)
}

var facilities = strings.Fields(`auth authpriv cron daemon ftp kern local0 local1 local2 local3 local4 local5 local6
	local7 lpr mail news syslog user uucp`)

func (k *checker) log() {
	if v := k.text("syslog_facility"); !slices.Contains(facilities, v) {
		k.fail(k.pos("syslog_facility"), "Unknown syslog_facility: "+v)
		k.found.Instead = "one of: " + strings.Join(facilities, " ")
	}
}

func (k *checker) director() {
	if k.text("director_user_expire") != "0" && seconds(k.text("director_user_expire")) >= 10 {
		return
	}
	k.fail(k.pos("director_user_expire"), "director_user_expire is too low")
}

func (k *checker) doveadm() {
	for _, key := range []string{"dsync_hashed_headers", "dsync_alt_char"} {
		if k.text(key) == "" {
			k.fail(k.pos(key), key+" must not be empty")
		}
	}
	k.words("dsync_features", "Unknown feature", "empty-header-workaround")
}

func (k *checker) imap() {
	k.words("imap_client_workarounds", "Unknown workaround",
		"delay-newmail", "tb-extra-mailbox-sep", "tb-lsub-flags")
}

func (k *checker) imapc() {
	if k.text("imapc_max_idle_time") == "0" {
		k.fail(k.pos("imapc_max_idle_time"), "imapc_max_idle_time must not be 0")
	}
	k.words("imapc_features", "Unknown feature", strings.Fields(`rfc822.size guid-forced fetch-headers gmail-migration
		search zimbra-workarounds no-examine proxyauth fetch-msn-workarounds fetch-fix-broken-mails modseq delay-login
		fetch-bodystructure send-id fetch-empty-is-expunged no-msn-updates acl throttle:*`)...)
}

func (k *checker) pop3c() {
	k.words("pop3c_features", "Unknown feature", "no-pipelining")
}

func (k *checker) lmtp() {
	k.words("lmtp_client_workarounds", "Unknown workaround", "whitespace-before-path", "mailbox-for-path")
}

func (k *checker) pop3() {
	k.words("pop3_client_workarounds", "Unknown workaround", "outlook-no-nuls", "oe-ns-eoh")
	if k.text("pop3_delete_type") == "flag" && k.text("pop3_deleted_flag") == "" {
		k.fail(k.pos("pop3_delete_type"), "pop3_delete_type=flag, but pop3_deleted_flag not set")
	}
}

func (k *checker) submission() {
	k.words("submission_client_workarounds", "Unknown workaround",
		"whitespace-before-path", "mailbox-for-path", "implicit-auth-external", "exotic-backend")
	if !slices.Contains(strings.Fields(k.text("protocols")), "submission") {
		return
	}
	if k.text("submission_relay_host") == "" {
		k.problems.add(&Problem{Severity: Advice, Pos: k.pos("protocols"), Text: "submission_relay_host is not set",
			Meaning: "mail that is submitted has nowhere to go: logins by protocol submission end with an internal error"})
	}
	if k.text("submission_relay_max_idle_time") == "0" {
		k.problems.add(&Problem{Severity: Advice, Pos: k.pos("submission_relay_max_idle_time"), Text: "submission_relay_max_idle_time must not be 0",
			Meaning: "logins by protocol submission end with an internal error"})
	}
}
