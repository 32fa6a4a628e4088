package quota

import (
	"testing"

	"dovetail/serve/config/options"
)

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name            string
		rules           []string
		grace           string
		mailbox         string
		bytes, messages int64
		more            int64
	}{
		{"kilobytes are storage's unit", []string{"*:storage=10"}, "10%", "INBOX", 10240, 0, 1024},
		{"units", []string{"*:storage=2M:messages=5"}, "1M", "INBOX", 2 << 20, 5, 1 << 20},
		{"a mailbox has more", []string{"*:bytes=1000:messages=10", "Trash:bytes=+10%:messages=+3"}, "0", "Trash", 1100, 13, 0},
		{"or less", []string{"*:bytes=1000", "Spam:bytes=-90%"}, "0", "Spam", 100, 0, 0},
		{"a mask", []string{"*:bytes=1000", "Lists/*:bytes=+1"}, "0", "Lists/go/nuts", 1001, 0, 0},
		{"no limit for everything is none at all", []string{"*:bytes=0", "Trash:bytes=+100"}, "0", "Trash", 0, 0, 0},
		{"the last one counts", []string{"*:bytes=1", "*:bytes=2"}, "0", "INBOX", 2, 0, 0},
		{"Maildir++'s own words", []string{"*:backend=1000S,5C"}, "0", "INBOX", 1000, 5, 0},
		{"NOQUOTA", []string{"*:backend=NOQUOTA"}, "0", "INBOX", 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r rules
			if err := r.parse(options.QuotaRoot{Key: "quota", Rules: c.rules, Grace: c.grace}); err != nil {
				t.Fatal(err)
			}
			if bytes, messages := r.limits(c.mailbox); bytes != c.bytes || messages != c.messages || r.grace() != c.more {
				t.Errorf("%d bytes, %d messages, grace %d", bytes, messages, r.grace())
			}
		})
	}
}

func TestRulesThatMakeNoSense(t *testing.T) {
	for _, text := range []string{"", "x", "*:storage", "*:storage=x", "*:storage=+1", "*:storage=1Q", "*:storage=10%", "*:bytes=-1", "*:messages=-1",
		"*:speed=1", "*:storage=9999999999999999999", "*:storage=9999999999T", "Trash:bytes=-100%", "*:backend=x"} {
		var r rules
		if err := r.parse(options.QuotaRoot{Key: "quota", Rules: []string{text}, Grace: "10%"}); err == nil {
			t.Errorf("%q is %+v", text, r)
		}
	}
	var r rules
	if err := r.parse(options.QuotaRoot{Key: "quota", Grace: "much"}); err == nil {
		t.Error("a grace of much")
	}
}

func FuzzRules(f *testing.F) {
	f.Add("*:storage=10M:messages=5", "INBOX")
	f.Add("Trash:bytes=+10%", "Trash")
	f.Add("a[b*:ignore", "a[bc/d")
	f.Fuzz(func(t *testing.T, text, mailbox string) {
		r := rules{bytes: 1 << 62, messages: 1 << 62}
		if r.addRule(text) != nil {
			return
		}
		if bytes, messages := r.limits(mailbox); bytes < 0 || messages < 0 {
			t.Fatalf("%q: %d bytes, %d messages", text, bytes, messages)
		}
	})
}
