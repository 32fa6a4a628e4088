package oauth2

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"dovetail/auth"
)

// merge takes in what was answered; later answers win.
func (l *lookup) merge(more map[string]string) {
	if l.fields == nil {
		l.fields = map[string]string{}
	}
	for key, value := range more {
		l.fields[key] = value
	}
}

// complete tells whether all fields are there that are asked for.
func (l *lookup) complete() bool {
	need := []string{l.o.UsernameAttribute}
	if l.o.ActiveAttribute != "" {
		need = append(need, l.o.ActiveAttribute)
	}
	for _, f := range l.o.Fields {
		for _, name := range f.Value.Variables() {
			if key, ok := strings.CutPrefix(name, "oauth2:"); ok {
				key, _, _ = strings.Cut(key, ":")
				need = append(need, key)
			}
		}
	}
	return !slices.ContainsFunc(need, func(key string) bool { _, ok := l.fields[key]; return !ok })
}

func (l *lookup) active() error {
	value, ok := l.fields[l.o.ActiveAttribute]
	if l.o.ActiveAttribute != "" && !ok && l.o.MustBeActive {
		return refuse(auth.ErrMismatch, "Missing active_attribute from token")
	}
	wrong := l.o.ActiveAttribute != "" && l.o.ActiveValue != "" && ok && value != l.o.ActiveValue
	if wrong || l.fields["active"] == "false" { // RFC 7662 section 2.2
		return refuse(auth.ErrMismatch, "Provided token is not valid")
	}
	return nil
}

// rightUser compares the names, each in the dress of the format.
func (l *lookup) rightUser() error {
	theirs, ok := l.fields[l.o.UsernameAttribute]
	if !ok || theirs == "" {
		return fmt.Errorf("No username returned: the attribute %q is missing", l.o.UsernameAttribute)
	}
	ours := l.r.User
	if t := l.o.UsernameFormat; t != nil {
		var err error
		if ours, err = l.r.Expand(t); err != nil {
			return fmt.Errorf("username_format: %w", err)
		}
		if theirs, err = (&auth.Request{User: theirs}).Expand(t); err != nil {
			return fmt.Errorf("username_format: %w", err)
		}
	}
	if ours != theirs || ours == "" {
		return refuse(auth.ErrUnknown, "Username '%s' did not match '%s'", ours, printable(theirs))
	}
	return nil
}

// inScope wants all scopes. Older Dovecots took one of them, and the audience of a token without a scope: both let
// tokens in that were made for something else (CVE-2026-40205, CVE-2026-73208).
func (l *lookup) inScope() error {
	if missing(l.o.Scope, l.fields["scope"]) {
		return refuse(auth.ErrDisabled, "Token is not valid for scope '%s'", strings.Join(l.o.Scope, " "))
	}
	return nil
}

func (l *lookup) forUs() error {
	if missing(l.o.Audience, l.fields["aud"]) {
		return refuse(auth.ErrDisabled, "Token audience does not include '%s'", strings.Join(l.o.Audience, " "))
	}
	return nil
}

// missing tells whether any of the wanted is not in the text; upper and lower case are the same, as in Dovecot.
func missing(wanted []string, have string) bool {
	words := strings.Fields(have)
	return slices.ContainsFunc(wanted, func(w string) bool {
		return !slices.ContainsFunc(words, func(h string) bool { return strings.EqualFold(w, h) })
	})
}

// export makes the fields of the reply.
func (l *lookup) export() (auth.Fields, error) {
	var out auth.Fields
	for _, f := range l.o.Fields {
		value, err := f.Value.Expand(func(name string) (string, error) {
			if name == "$" {
				return l.fields[f.Key], nil
			}
			key, ok := strings.CutPrefix(name, "oauth2:")
			if !ok {
				return l.r.Variable(name)
			}
			key, fallback, _ := strings.Cut(key, ":")
			if value, ok := l.fields[key]; ok {
				return value, nil
			}
			return fallback, nil
		})
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Key, err)
		}
		if strings.ContainsAny(value, "\x00\r\n") {
			return nil, refuse(auth.ErrMismatch, "the token's value for field %s has a line end or NUL in it", f.Key)
		}
		out = out.Set(f.Key, value)
	}
	return out, nil
}

// flatten makes fields of a JSON object: texts, numbers and booleans as they are, an array of texts as one with blanks
// between. Objects within it are passed over, or deep: their members have its name and "_" before theirs, as in Dovecot
// 2.4; a field that is there already stays. Null is nothing.
func flatten(document []byte, deep bool) (map[string]string, error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil || object == nil {
		return nil, errors.New("Invalid response data: not a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("Invalid response data: more than a JSON object")
	}
	fields := map[string]string{}
	level := map[string]map[string]any{"": object}
	for depth := 0; len(level) > 0 && (deep && depth < maxDepth || depth == 0); depth++ {
		next := map[string]map[string]any{}
		for _, prefix := range slices.Sorted(maps.Keys(level)) {
			for key, value := range level[prefix] {
				name := prefix + key
				if inner, ok := value.(map[string]any); ok {
					next[name+"_"] = inner
				} else if text, ok := scalar(value); ok && fields[name] == "" {
					fields[name] = text
				}
			}
		}
		level = next
	}
	return fields, nil
}

// maxDepth is how far within each other objects are looked at.
const maxDepth = 8

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return fmt.Sprint(v), true
	case []any:
		var words []string
		for _, x := range v {
			if s, ok := x.(string); ok {
				words = append(words, s)
			}
		}
		return strings.Join(words, " "), len(words) > 0
	}
	return "", false
}

// printable is text from outside for the log.
func printable(s string) string {
	if len(s) > 128 {
		s = s[:128]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return '?'
		}
		return r
	}, s)
}
