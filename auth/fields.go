package auth

import "strings"

// Field is one field of a reply: "uid" "1000". A field without a value, such as nologin, has "yes" or "" as its
// database's dialect has it.
type Field struct{ Key, Value string }

// Fields are in the order in which databases gave them; each key is there once.
type Fields []Field

// Get gives the value of a key.
func (f Fields) Get(key string) (value string, ok bool) {
	for _, x := range f {
		if x.Key == key {
			return x.Value, true
		}
	}
	return "", false
}

// Value is Get without the second answer.
func (f Fields) Value(key string) string { v, _ := f.Get(key); return v }

// Has tells whether the key is there.
func (f Fields) Has(key string) bool { _, ok := f.Get(key); return ok }

// Set gives a key a value; a key that is there keeps its place. The receiver is not changed.
func (f Fields) Set(key, value string) Fields {
	for i, x := range f {
		if x.Key == key {
			changed := append(Fields(nil), f...)
			changed[i].Value = value
			return changed
		}
	}
	return append(f[:len(f):len(f)], Field{key, value})
}

// Without gives the fields but for those keys.
func (f Fields) Without(keys ...string) Fields {
	var rest Fields
next:
	for _, x := range f {
		for _, key := range keys {
			if x.Key == key {
				continue next
			}
		}
		rest = append(rest, x)
	}
	return rest
}

// Prefixed gives the fields whose keys begin with prefix, without it: "userdb_uid" is "uid".
func (f Fields) Prefixed(prefix string) Fields {
	var rest Fields
	for _, x := range f {
		if key, ok := strings.CutPrefix(x.Key, prefix); ok && key != "" {
			rest = rest.Set(key, x.Value)
		}
	}
	return rest
}
