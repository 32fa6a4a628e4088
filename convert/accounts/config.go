package accounts

import (
	"slices"
	"strings"
)

// Config is the part of dovecot.conf that makes a passwd-file and the lists beside it work, for Dovecot 2.3.
func Config(path string, users []User) []byte {
	quoted := strings.ReplaceAll(path, "%", "%%")
	b := []byte("# Written by dovetail accounts, for Dovecot 2.3: include it in place of other passdb and userdb sections.\n" +
		"# The process auth, user dovecot, must be able to read the files named here.\n")
	add := func(text string) { b = append(b, strings.ReplaceAll(text, "PATH", quoted)...) }
	if needsAnyName(users) {
		add(anyName)
	}
	add(passdbs)
	if slices.ContainsFunc(users, func(u User) bool { return u.Deny&LMTP != 0 }) {
		add(lmtp)
	}
	if slices.ContainsFunc(users, func(u User) bool { return quotaRule(u.Quota) != "" }) {
		add(quota)
	}
	return b
}

// needed because names with other characters are refused before any list is asked.
const anyName = `
# Some names have characters that are refused otherwise.
auth_username_chars =
`

// passdbs: the first gives an address its real domain for all that follow, the second refuses, the third knows the
// passwords. A list that does not exist for some service (sieve, doveadm, …) refuses nobody.
const passdbs = `
# Other names of domains.
passdb {
  driver = passwd-file
  args = username_format=%d PATH.domains
}
# Who may not use a service: one list for each.
passdb {
  driver = passwd-file
  args = username_format=%u PATH.deny-%s
  deny = yes
}
passdb {
  driver = passwd-file
  args = scheme=CRYPT username_format=%u PATH
}

# "doveadm user '*'" lists these domains too; commands for all users pass over them.
userdb {
  driver = passwd-file
  args = username_format=%d PATH.domains
  result_success = continue
}
userdb {
  driver = passwd-file
  args = username_format=%u PATH
}
`

const lmtp = `
# Who gets no mail: answered with 550.
protocol lmtp {
  userdb {
    driver = passwd-file
    args = username_format=%u PATH.deny-lmtp
    result_success = return-fail
  }
}
`

// quota counts as vpopmail and Courier do: without the trash, whatever the prefix of the namespace is.
const quota = `
mail_plugins = $mail_plugins quota
protocol imap {
  mail_plugins = $mail_plugins imap_quota
}
plugin {
  quota = maildir:User quota
  quota_rule2 = Trash:ignore
  quota_rule3 = INBOX.Trash:ignore
}
`
