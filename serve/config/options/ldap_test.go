package options

import (
	"strings"
	"testing"
)

func TestFieldsOfEntriesAreReadInAllTheirForms(t *testing.T) {
	for _, c := range []struct{ attrs, want string }{
		{"uid", "uid=%{ldap:uid}"},
		{"uid=user", "user=%{ldap:uid}"},
		{" uid=user ,\tcn=name", "user=%{ldap:uid} name=%{ldap:cn}"},
		{"quota=quota_rule=*:bytes=%$", "quota_rule=*:bytes=%{ldap:quota}"},
		{"quota=quota_rule=*:bytes=", "quota_rule=*:bytes=%{ldap:quota}"},
		{"uid=home=/h/%Lu/%L$", "home=/h/%{user | lower}/%{ldap:uid | lower}"},
		{"uid=home=/h/%u", "home=%{ldap:uid | substr(0, 0)}/h/%{user}"},
		{"uid=home=/h/%{ldap:uid}/%{ldap:cn}", "home=%{ldap:uid | substr(0, 0)}/h/%{ldap:uid}/%{ldap:cn | default}"},
		{"=uid=vmail", "uid=vmail"},
		{"=home=/h/%{ldap:uid}", "home=/h/%{ldap:uid | default}"},
		{"=home=%{ldap:uid:x}", "home=%{ldap:uid | default('x')}"},
		{"=home=%L{ldap:uid}", "home=%{ldap:uid | default | lower}"},
		{"=empty=", "empty="},
		{"=empty", "empty="},
		{"@m=%{ldap:manager}, cn@m=boss", "@m=%{ldap:manager | default} boss=%{ldap:cn@m}"},
		{"!title, =t=%{ldap_ptr:description}", "!title=%{ldap:title} t=%{ldap_ptr:description | default}"},
		{"=old=%Hu%{ldap:cn}", "old=%Hu%{ldap:cn:}"},
		{"uid=old=%Hu%$", "old=%Hu%{ldap:uid}"},
		{"uid=old=%Hu", "old=%{if;%{ldap:uid};eq;;;}%Hu"},
		{"", ""},
		{" , ,=", ""},
	} {
		var got []string
		for _, f := range attributes(c.attrs) {
			got = append(got, f.Name+"="+f.Value.Text)
			if _, err := f.Value.Parse(); err != nil && !strings.Contains(f.Value.Text, "@") {
				t.Errorf("%s: %v", f.Value.Text, err)
			}
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%q: got %q, want %q", c.attrs, text, c.want)
		}
	}
}
