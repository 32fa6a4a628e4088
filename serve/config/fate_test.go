package config

import (
	"testing"

	"dovetail/formats/conf"
)

func TestWaysOfCountingQuotaThatAreOthersHere(t *testing.T) {
	const advice = "the dict of the quota is not kept up to date"
	for _, c := range []struct {
		setting string
		want    bool
	}{
		{"quota = dict:User quota::proxy::quota", true},
		{"quota2 = dict:User quota::file:%h/dict", true},
		{"quota = count:User quota", false},
		{"quota = maildir:User quota", false},
		{"quota_rule = dict:storage=1G", false},
	} {
		_, problems := parse(t, "plugin {\n  "+c.setting+"\n}\n", conf.V23)
		if got := problems.said(2, advice); got != c.want {
			t.Errorf("%s: %v", c.setting, got)
		}
	}
}
