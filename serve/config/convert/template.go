package convert

import (
	"strings"

	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

// places are the settings with variables of their own, by name of 2.3.
var places = map[string]variable.Place{
	"login_log_format_elements": variable.InLogin, "login_log_format": variable.InLoginLine,
	"imap_logout_format": variable.InIMAPLogout, "imap_urlauth_logout_format": variable.InIMAPLogout,
	"submission_logout_format": variable.InIMAPLogout, "managesieve_logout_format": variable.InIMAPLogout,
	"pop3_logout_format": variable.InPOP3Logout, "pop3_uidl_format": variable.InUIDL,
	"deliver_log_format": variable.InDelivery, "mail_log_prefix": variable.InStorage,
	"auth_username_format": variable.InAuth, "login_greeting": variable.InLogin,
}

// rejection are the variables of rejection_reason and rejection_subject.
var rejection = [][2]string{{"%n", `%{literal('\r\n')}`}, {"%r", "%{reason}"}, {"%s", "%{subject}"}, {"%t", "%{to}"}}

// place tells where the template of a setting stands; ok is false for text in
// which a percent sign means nothing.
func (u *up) place(s setting, row *config.Setting) (p variable.Place, ok bool) {
	if p, ok = places[s.key]; ok {
		return p, true
	}
	switch {
	case strings.HasPrefix(s.in, "passdb"), strings.HasPrefix(s.in, "userdb"), row.Auth && row.Type == config.Vars:
		return variable.InAuth, true
	case strings.HasPrefix(s.in, "namespace") && s.node != nil && u.shared(s):
		if s.key == "prefix" {
			return variable.InSharedPrefix, true
		}
		return variable.InSharedLocation, true
	case row.Type == config.Vars:
		return variable.InStorage, true
	}
	return 0, false
}

// shared tells whether a setting stands in a shared namespace.
func (u *up) shared(s setting) bool {
	n := outer(s.node, "namespace")
	if n == nil {
		return false
	}
	if n.Name == "" {
		return text(sets(n), "type") == "shared"
	}
	return u.scope.spaces[strings.ToLower(n.Name)]["type"] == "shared"
}

// template writes the variables of a value as 2.4 has them.
func (u *up) template(s setting, row *config.Setting) (string, []Loss) {
	switch s.key {
	case "rejection_reason", "rejection_subject":
		value := strings.ReplaceAll(s.value, "%{", "%%{")
		for _, r := range rejection {
			value = strings.ReplaceAll(value, r[0], r[1])
		}
		return value, nil
	case "dsync_remote_cmd":
		return strings.ReplaceAll(s.value, "%u", "%{user}"), nil
	case "log_timestamp", "mail_attachment_hash":
		return s.value, nil
	}
	p, ok := u.place(s, row)
	if !ok {
		return strings.ReplaceAll(s.value, "%{", "%%{"), nil
	}
	return to24(s.value, p)
}

func to24(value string, p variable.Place) (string, []Loss) {
	if !strings.Contains(value, "%") {
		return value, nil
	}
	out, found := variable.To24(value, p)
	var losses []Loss
	for _, l := range found {
		losses = append(losses, Loss{Text: l.What, Why: l.Why})
	}
	return out, losses
}
