package authconf

import (
	"strings"
	"testing"

	"dovetail/auth/pam/wire"
)

// What is wrong with a passdb pam is said before anybody logs in, with the place and with what to do.
func TestMistakesAboutPAM(t *testing.T) {
	for args, want := range map[string]string{
		"foo=bar dovecot":          "pam: Unknown setting: foo=bar",
		"session=yes x y":          "pam: Unknown setting: x",
		"max_requests=many":        "pam: Invalid requests_left value: many",
		"":                         "install " + wire.Program + " beside ",
		"session=yes setcred=yes*": "install " + wire.Program + " beside ",
		"%{nosuch":                 "dovecot.conf:1",
	} {
		s := newSite(t, "passdb {\n  driver = pam\n  args = "+args+"\n}\n", nil)
		if _, err := s.build(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
}
