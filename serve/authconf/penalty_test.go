package authconf

import "testing"

// Wrong passwords slow down their address, unless the listener that anvil has for it in 2.3 has no mode.
func TestPenaltiesAreOnUnlessTheirListenerIsOff(t *testing.T) {
	for _, tc := range []struct {
		name, conf string
		on         bool
	}{
		{"2.3", "ssl = no\n", true},
		{"2.3, off", "ssl = no\nservice anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}\n", false},
		{"2.3, another mode", "ssl = no\nservice anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0666\n  }\n}\n", true},
		{"2.3, another listener", "ssl = no\nservice anvil {\n  unix_listener anvil {\n    mode = 0\n  }\n}\n", true},
		{"2.4", begin24 + "ssl = no\n", true},
		{"2.4, off", begin24 + "ssl = no\nservice anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}\n", false},
	} {
		p, err := newSite(t, tc.conf, nil).builder().penalty()
		if err != nil || (p != nil) != tc.on {
			t.Errorf("%s: %v, %v", tc.name, p, err)
		}
	}
}
