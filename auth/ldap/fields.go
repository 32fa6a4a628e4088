package ldap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// entry is what a search found, with the entries that it points to.
type entry struct {
	dn     string
	values map[string][]string // by attribute in lower case, "attribute@pointer" of others
}

func newEntry(e *ldap.Entry) *entry {
	found := &entry{dn: e.DN, values: map[string][]string{}}
	found.add(e, "")
	return found
}

func (e *entry) add(other *ldap.Entry, suffix string) {
	for _, a := range other.Attributes {
		name := strings.ToLower(a.Name) + suffix
		e.values[name] = append(e.values[name], a.Values...)
	}
}

// pointer is a field "@NAME": another entry and what is wanted of it.
type pointer struct {
	name       string
	value      Field
	attributes []string
}

// ofEntry tells whether a variable is of the entry, and of which attribute, with its default behind a colon.
func ofEntry(name string) (attribute string, ok bool) {
	kind, attribute, found := strings.Cut(name, ":")
	switch kind {
	case "ldap", "ldap_multi", "ldap_ptr":
		return attribute, found
	case "ldap_dn":
		return "dn", true
	}
	return "", false
}

// wanted collects the attributes that fields name.
func wanted(fields []Field) (attributes []string, pointers []pointer) {
	of := map[string][]string{}
	for _, f := range fields {
		names := []string{f.Attribute}
		for _, t := range []*variable.Template{f.Value, f.KeyFrom} {
			if t == nil {
				continue
			}
			for _, name := range t.Variables() {
				attribute, _ := ofEntry(name)
				names = append(names, attribute)
			}
		}
		for _, name := range names {
			name, _, _ = strings.Cut(name, ":")
			attribute, pointer, _ := strings.Cut(name, "@")
			if attribute != "" && attribute != "dn" && !slices.Contains(of[pointer], attribute) {
				of[pointer] = append(of[pointer], attribute)
			}
		}
	}
	for _, f := range fields {
		if name, ok := strings.CutPrefix(f.Key, "@"); ok {
			pointers = append(pointers, pointer{name, f, of[name]})
		}
	}
	return of[""], pointers
}

// errMissing is why a field is left out.
var errMissing = errors.New("No such attribute")

// reader makes fields of an entry.
type reader struct {
	*database
	entry   *entry
	request auth.Request // whose name changes with the fields "user", "username" and "domain"
	joined  bool         // of a userdb: a gid has all values
	naming  bool         // the template is a distinguished name: what is of the request is escaped for it
}

// fields gives what the templates make of the entry.
func (r *reader) fields(templates []Field) (auth.Fields, error) {
	var list auth.Fields
	for _, f := range templates {
		if strings.HasPrefix(f.Key, "@") || strings.HasPrefix(f.Key, "!") {
			continue
		}
		key, values, err := r.field(f)
		switch {
		case errors.Is(err, errMissing) && !r.Strict:
			continue
		case err != nil:
			return nil, failure(err, "Failed to expand %s: %v", f.Key, err)
		}
		value := values[0]
		switch {
		case len(values) == 1:
		case r.joined && key == "gid":
			value = strings.Join(values, ",")
		default:
			r.several(key, value)
		}
		list = list.Set(key, value)
		r.rename(key, value)
	}
	return list, nil
}

// field gives the key and at least one value of one field, or errMissing.
func (r *reader) field(f Field) (key string, values []string, err error) {
	key = f.Key
	if f.KeyFrom != nil {
		if key, err = f.KeyFrom.Expand(r.variable); err != nil {
			return f.Key, nil, err
		}
	}
	if f.Attribute != "" {
		values = r.values(f.Attribute)
		if len(values) == 0 {
			err = fmt.Errorf("%w '%s'", errMissing, f.Attribute)
		}
		return key, values, err
	}
	if f.Value == nil {
		return key, []string{""}, nil
	}
	value, err := f.Value.Expand(r.variable)
	return key, []string{value}, err
}

// values gives the values of an attribute, or the name of the entry.
func (r *reader) values(attribute string) []string {
	name := strings.ToLower(attribute)
	if values := r.entry.values[name]; len(values) > 0 || name != "dn" {
		return values
	}
	return []string{r.entry.dn}
}

// variable is a variable.Lookup for fields.
func (r *reader) variable(name string) (string, error) {
	attribute, ok := ofEntry(name)
	if !ok {
		value, err := r.request.Variable(name)
		if r.naming {
			value = escape(value)
		}
		return value, err
	}
	attribute, fallback, has := strings.Cut(attribute, ":")
	values := r.values(attribute)
	if strings.HasPrefix(name, "ldap_ptr:") && len(values) > 0 {
		_, pointer, _ := strings.Cut(attribute, "@")
		if pointer != "" {
			pointer = "@" + pointer
		}
		values = r.values(values[0] + pointer)
	}
	switch {
	case len(values) > 0 && strings.HasPrefix(name, "ldap_multi:"):
		return multi(values), nil
	case len(values) > 0 && (values[0] != "" || !r.Strict):
		if len(values) > 1 {
			r.several(attribute, values[0])
		}
		return values[0], nil
	case has:
		return fallback, nil
	}
	return "", fmt.Errorf("%w '%s'", errMissing, strings.ToLower(attribute))
}

// several warns that all values but the first are of no use; secrets are not named.
func (r *reader) several(key, value string) {
	if strings.HasPrefix(key, "password") || strings.EqualFold(key, "userPassword") {
		value = "<hidden>"
	}
	r.Log.Warn(fmt.Sprintf("Multiple values found for '%s', using value '%s'", key, value), "user", r.request.User)
}

// multi is what the filter "list" of 2.4 reads: tabs between values, which are escaped as in Dovecot's protocols.
func multi(values []string) string {
	escaped := strings.NewReplacer("\x00", "\x010", "\x01", "\x011", "\t", "\x01t", "\r", "\x01r", "\n", "\x01n")
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = escaped.Replace(v)
	}
	if len(list) == 1 {
		return values[0]
	}
	return strings.Join(list, "\t")
}

// rename lets the fields that follow see a changed name (2.3.19.1, db-ldap.c, db_ldap_result_return_value).
func (r *reader) rename(key, value string) {
	if value == "" {
		return
	}
	name, domain, at := strings.Cut(r.request.User, "@")
	switch key {
	case "user":
		r.request.User = value
	case "username":
		if at && !strings.Contains(value, "@") {
			value += "@" + domain
		}
		r.request.User = value
	case "domain":
		r.request.User = name + "@" + value
	}
}
