package socket

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dovetail/auth"
	"dovetail/auth/sasl"
)

// mechanism is the MECH line of a greeting.
func appendMechanism(b []byte, m sasl.Info) []byte {
	b = append(b, "MECH\t"+m.Name...)
	for _, flag := range []struct {
		word string
		is   bool
	}{
		{"private", m.Private}, {"anonymous", m.Anonymous}, {"plaintext", m.Plaintext}, {"dictionary", m.Dictionary},
		{"active", m.Active}, {"forward-secrecy", m.ForwardSecrecy}, {"mutual-auth", m.MutualAuth},
	} {
		if flag.is {
			b = append(b, "\t"+flag.word...)
		}
	}
	return append(b, '\n')
}

// hidden tells of a field of a passdb that it is for the auth service alone (AUTH_FIELD_FLAG_HIDDEN of 2.3.19.1 in
// auth_request_set_field); the password is never among the fields.
func hidden(key string) bool {
	switch key {
	case "password", "password_noscheme", "user", "username", "domain", "login_user", "allow_nets", "allow_real_nets",
		"fail", "delay_until", "passdb_import":
		return true
	}
	return strings.HasPrefix(key, "userdb_")
}

// flags are fields without a value, whatever a database has put there: login processes look for exactly the word
// (auth_fields_booleanize).
var flags = []string{"nologin", "proxy"}

// appendFields adds those that are not hidden; flags are without a value.
func appendFields(line []byte, fields auth.Fields, flags []string) []byte {
	for _, f := range fields {
		switch {
		case hidden(f.Key) || strings.ContainsAny(f.Key, special+"="):
		case slices.Contains(flags, f.Key):
			line = append(line, "\t"+f.Key...)
		default:
			line = appendField(line, f)
		}
	}
	return line
}

// appendField writes a field; one that is true by being there has no value in Dovecot's lines.
func appendField(line []byte, f auth.Field) []byte {
	if f.Value == "" {
		return append(line, "\t"+f.Key...)
	}
	return appendWord(line, f.Key, f.Value)
}

// okLine is the end of a login that is right. A client that only authenticates is not given the password that a proxy
// needs.
func (c *conn) okLine(id uint32, r *auth.Reply, final []byte) []byte {
	line := strconv.AppendUint(append(make([]byte, 0, 128), "OK\t"...), uint64(id), 10)
	line = appendWord(line, "user", r.User)
	line = appendFields(line, r.Fields.Without(last...), flags)
	if len(final) > 0 {
		line = appendWord(line, "resp", base64.StdEncoding.EncodeToString(final))
	}
	line = appendNames(line, r)
	for _, key := range proxied {
		if value, ok := r.Fields.Get(key); ok && c.kind.twoPhase() {
			line = appendWord(line, key, value)
		}
	}
	return line
}

// failLine is the end of one that is not.
func failLine(id uint32, r *auth.Reply) []byte {
	line := fmt.Appendf(nil, "FAIL\t%d", id)
	switch {
	case r.User != "":
		line = appendWord(line, "user", r.User)
	case r.OriginalUser != "":
		line = appendWord(line, "user", r.OriginalUser)
	}
	if r.Fields.Has("nodelay") {
		line = append(line, "\tnodelay"...)
	}
	if r.Code != auth.CodeNone {
		line = appendWord(line, "code", string(r.Code))
	}
	line = appendFields(line, r.Fields.Without("nologin").Without(last...), flags)
	if r.Reason != "" && !r.Fields.Has("reason") {
		line = appendWord(line, "reason", r.Reason)
	}
	return appendNames(line, r)
}

// last are fields that come behind all others, the last of them only where a login goes on.
var (
	last    = append([]string{"original_user", "auth_user"}, proxied...)
	proxied = []string{"pass", "master"}
)

// appendNames adds the names that are not that of the reply.
func appendNames(line []byte, r *auth.Reply) []byte {
	original, is := r.Fields.Get("original_user")
	if !is && r.OriginalUser != r.User {
		original = r.OriginalUser
	}
	if original != "" {
		line = appendWord(line, "original_user", original)
	}
	if who := or(r.Fields.Value("auth_user"), r.AuthUser); who != "" {
		line = appendWord(line, "auth_user", who)
	}
	return line
}

// failed is a failure that no database has said: the connection between mechanism and socket did.
func failed(id uint32, code auth.Code, reason string) []byte {
	line := fmt.Appendf(nil, "FAIL\t%d", id)
	if code != auth.CodeNone {
		line = appendWord(line, "code", string(code))
	}
	return appendWord(line, "reason", reason)
}

// userLine is the answer to USER. Dovecot writes an empty word where there are no fields.
func userLine(id uint32, u *auth.User) []byte {
	line := fmt.Appendf(nil, "USER\t%d\t", id)
	line = appendEscaped(line, u.Name)
	if len(u.Fields) == 0 {
		line = append(line, '\t')
	}
	for _, f := range u.Fields {
		line = appendField(line, f)
	}
	return line
}
