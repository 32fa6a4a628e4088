package options

import (
	"testing"

	"dovetail/formats/conf"
)

// Templates are kept as 2.4 writes them.
func TestWordsOfPAM(t *testing.T) {
	for args, want := range map[string]PAM{
		"":             {Service: Template{Text: "dovecot"}, LookupsPerTurn: 100},
		"imap":         {Service: Template{Text: "imap"}, LookupsPerTurn: 100},
		"*":            {Service: Template{Text: "%{protocol | lower}"}, LookupsPerTurn: 100},
		"-session * ":  {Service: Template{Text: "%{protocol | lower}"}, LookupsPerTurn: 100, Session: true},
		"session=no":   {Service: Template{Text: "session=no"}, LookupsPerTurn: 100}, // as in Dovecot
		"cache_key=%u": {Service: Template{Text: "dovecot"}, LookupsPerTurn: 100, CacheKey: Template{Text: "%{user}"}},
		"session=yes setcred=yes failure_show_msg=yes blocking=yes max_requests=7 name-%s": {Service: Template{Text: "name-%{protocol}"},
			LookupsPerTurn: 7, Session: true, SetCred: true, ShowFailure: true},
	} {
		dbs, err := ReadPassDBs(view(t, "passdb {\n  driver = pam\n  args = "+args+"\n}\n"), conf.OS{})
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		got := *dbs[0].Driven.PAM
		if got.Service.Text != want.Service.Text || got.CacheKey.Text != want.CacheKey.Text {
			t.Errorf("%q: service %q, key %q", args, got.Service.Text, got.CacheKey.Text)
		}
		got.Service, got.CacheKey, want.Service, want.CacheKey = Template{}, Template{}, Template{}, Template{}
		if got != want {
			t.Errorf("%q: %+v, want %+v", args, got, want)
		}
	}
}
