package lmtp_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// fill sends ann messages of some 1,000 bytes each until nothing fits any more; ann gets one with bob, too.
const fill = `1> LHLO x¶
3> MAIL FROM:<a@b>¶RCPT TO:<ann>¶DATA¶
1> Subject: one¶¶BODY¶.¶
3> MAIL FROM:<a@b>¶RCPT TO:<ann>¶DATA¶
1> Subject: two¶¶BODY¶.¶
3> MAIL FROM:<a@b>¶RCPT TO:<ann>¶DATA¶
1> Subject: three¶¶BODY¶.¶
3> MAIL FROM:<a@b>¶RCPT TO:<ann>¶RCPT TO:<bob>¶
2> DATA¶Subject: four¶¶BODY¶.¶
1> RSET¶
1> QUIT¶
`

// one of several recipients has no room, the others get the message. R-264: deliveries honour quota.
func TestR259R264QuotaIsDovecots(t *testing.T) {
	dovecot.Need(t)
	if _, err := os.Stat("/usr/lib/dovecot/lmtp"); err != nil {
		t.Skip("Dovecot's LMTP is not installed (apt-get install dovecot-lmtpd)")
	}
	script := strings.ReplaceAll(fill, "BODY", strings.Repeat(strings.Repeat("x", 98)+"¶", 10))
	for name, plugin := range map[string]string{
		"maildir, bytes":            "quota = maildir:User quota\n quota_rule = *:bytes=2500\n quota_grace = 0",
		"maildir, grace":            "quota = maildir:User quota\n quota_rule = *:bytes=2500\n quota_grace = 100%%",
		"a percent sign alone":      "quota = maildir:User quota\n quota_rule = *:bytes=2500\n quota_grace = 100%",
		"maildir, messages":         "quota = maildir:User quota\n quota_rule = *:messages=2",
		"count, bytes":              "quota = count:User quota\n quota_vsizes = yes\n quota_rule = *:bytes=2500\n quota_grace = 0",
		"count, messages, tempfail": "quota = count:User quota\n quota_vsizes = yes\n quota_rule = *:messages=2\n}\nquota_full_tempfail = yes\nplugin {",
		"count, asked at RCPT":      "quota = count:User quota\n quota_vsizes = yes\n quota_rule = *:bytes=2500\n quota_grace = 100%%\n}\nlmtp_rcpt_check_quota = yes\nplugin {",
		"INBOX is not counted":      "quota = maildir:User quota\n quota_rule = *:messages=1\n quota_rule2 = INBOX:ignore",
		"the message is too large":  "quota = maildir:User quota\n quota_max_mail_size = 500",
		"dict, bytes":               "quota = dict:User quota::file:%h/dict-%u\n quota_rule = *:bytes=2500\n quota_grace = 0",
		"two roots":                 "quota = maildir:User quota\n quota_rule = *:messages=3\n quota2 = count:Other\n quota_vsizes = yes\n quota2_rule = *:messages=2",
	} {
		t.Run(name, func(t *testing.T) {
			settings := "mail_plugins = quota\nplugin {\n " + plugin + "\n}\n"
			theirConf, theirMail := site(t, settings)
			theirs := dovecot.ServeConf(t, theirConf)
			dial(t, "tcp", theirs.IMAPAddr).Reply() // all of it is there then
			ourConf, ourMail := site(t, settings)
			ours, log := start(t, ourConf)
			socket := filepath.Join(filepath.Dir(theirs.Config()), "run", "lmtp")
			want, got := masked(dial(t, "unix", socket).Run(script)), masked(dial(t, "tcp", ours).Run(script))
			if !slices.Equal(want, got) {
				for i := range min(len(want), len(got)) {
					if want[i] != got[i] {
						t.Errorf("after %.60q\ndovecot %q\nwe      %q", got[i-1], want[i], got[i])
					}
				}
				t.Fatal(log.String())
			}
			if want, got := delivered(t, theirMail), delivered(t, ourMail); !slices.Equal(want, got) {
				t.Errorf("Dovecot stores %d messages, we %d", len(want), len(got))
			}
		})
	}
}
