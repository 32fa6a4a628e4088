package config

import (
	"testing"

	"dovetail/formats/conf"
)

func TestEverySettingHasAFate(t *testing.T) {
	count := map[Fate]int{}
	for _, s := range Settings() {
		count[s.Fate]++
		if s.Text == "" && (s.Fate == NotNeeded || s.Fate == Refused || s.Fate == Obeyed && s.Place == "core") {
			t.Errorf("%s %s: nothing is said about it", s.Name23, s.Name24)
		}
	}
	want := map[Fate]int{Obeyed: 379, Later: 366, NotNeeded: 227, Refused: 83}
	for fate, n := range want {
		if count[fate] != n {
			t.Errorf("%d settings are %s, want %d", count[fate], fate, n)
		}
	}
	if len(Settings()) != 1055 {
		t.Errorf("%d settings", len(Settings()))
	}
}

func TestDefaultsAreOfTheirTypes(t *testing.T) {
	for _, s := range Settings() {
		if s.Place != "core" && s.Place != "section" || s.Type == Map {
			continue
		}
		if got, err := s.canonical(s.Default23, conf.V23); err != nil || got != s.Default23 {
			t.Errorf("%s = %q: %q, %v", s.Name23, s.Default23, got, err)
		}
	}
	for _, s := range services23() {
		b := &block{schema: schema23().sections["service"], base: s.defaults}
		for key, v := range s.defaults {
			if got, err := b.schema.settings[key].canonical(v, conf.V23); err != nil || got != v {
				t.Errorf("service %s { %s = %q }: %q, %v", s.name, key, v, got, err)
			}
		}
	}
}

func TestDefaultsOf24AreOfTheirTypes(t *testing.T) {
	for name, s := range schema24() {
		if s.isList() || s.kind == Section || s.kind == Sections {
			continue
		}
		if err := s.check(s.fallback, true); err != nil && s.fallback != "" {
			t.Errorf("%s = %q: %v", name, s.fallback, err)
		}
		if s.kind == Sections && schema24()[s.nameField] == nil {
			t.Errorf("%s has no setting for its name", name)
		}
	}
	for name, s := range schema24() {
		if s.kind == Sections && schema24()[s.nameField] == nil {
			t.Errorf("the name of %s, %q, is no setting", name, s.nameField)
		}
	}
}

func TestNearestName(t *testing.T) {
	at := &frame{tree: newTree(conf.V23, nil)}
	for wrong, want := range map[string]string{
		"mail_locatoin": "mail_location", "protocolls": "protocols", "sevice": "service", "mail_driver": "mail_location",
		"xyzzy_nothing_like_it": "",
	} {
		if got := nearest(at, wrong); got != want {
			t.Errorf("%s: %q, want %q", wrong, got, want)
		}
	}
}

func TestSecretsAreHidden(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"ssl_key_password", "x", "# hidden, use -P to show it"},
		{"args", "password=x user=y", "password=#hidden_use-P_to_show# user=y"},
		{"args", "nopassword=y", "nopassword=y"},
		{"args", "secret_api_key=abc;x=1", "secret_api_key=#hidden_use-P_to_show#;x=1"},
		{"auth_policy_server_url", "http://user:pw@host/x", "http://#hidden_use-P_to_show#@host/x"},
		{"auth_policy_server_url", "https://host/x@y", "https://host/x@y"},
		{"login_greeting", "a # b", `"a # b"`},
		{"login_greeting", "pass=x # b", `pass=#hidden_use-P_to_show# # b`},
		{"_password", "x", "x"},
	} {
		if got := show(c.key, c.value, false); got != c.want {
			t.Errorf("%s = %s: %q, want %q", c.key, c.value, got, c.want)
		}
	}
}
