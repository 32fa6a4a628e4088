package options

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

// getter gives what a setting is, by the name that it has in the dialect.
type getter func(name string) (config.Value, bool)

// fill fills every field of a struct that has a setting in its tag "set" and no
// tag "by", which marks those that are put together by hand. Further tags are
// "place", the kind of a template; "yes", a word that means yes in 2.4; "zero",
// of numbers whose 0 means no limit, which 2.4 calls unlimited.
func fill(d conf.Dialect, get getter, dest any) error {
	var errs []error
	s := reflect.ValueOf(dest).Elem()
	for i := range s.NumField() {
		field := s.Type().Field(i)
		name, ok := field.Tag.Lookup("set")
		if _, byHand := field.Tag.Lookup("by"); !ok || byHand {
			continue
		}
		name, inverted, ok := spelled(name, field.Tag.Get("v24"), d)
		if !ok {
			continue
		}
		v, ok := get(name)
		if !ok {
			errs = append(errs, fmt.Errorf("%s: no such setting", name))
			continue
		}
		if other, ok := strings.CutPrefix(v.Text, "$SET:"); ok && v.Pos.File == "" {
			v, _ = get(other) // a default that is another setting
		}
		v.Text = asBool(v.Text, field.Tag.Get("yes"), inverted)
		if err := set(s.Field(i), v, d, field.Tag); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", v.Pos, name, err))
		}
	}
	return errors.Join(errs...)
}

// asBool gives yes or no for settings that one dialect has as the opposite, or
// with a word for yes; others stay as they are.
func asBool(text, yes string, inverted bool) string {
	switch {
	case inverted && text == "yes":
		return "no"
	case inverted || yes != "" && text == yes:
		return "yes"
	case yes != "" && text != "yes":
		return "no"
	}
	return text
}

// places are the kinds of templates by the words of the tag "place".
var places = map[string]variable.Place{
	"auth": variable.InAuth, "storage": variable.InStorage, "login": variable.InLogin, "line": variable.InLoginLine,
	"imap": variable.InIMAPLogout, "pop3": variable.InPOP3Logout, "uidl": variable.InUIDL, "delivery": variable.InDelivery,
}

// spelled gives a setting the name that it has in a dialect; ok is false if it
// has none. Inside sections 2.3 uses the last part of the path.
func spelled(name, in24 string, d conf.Dialect) (as string, inverted, ok bool) {
	switch {
	case d != conf.V24:
		return name[strings.LastIndexByte(name, '/')+1:], false, name != "-"
	case in24 == "-":
		return "", false, false
	case in24 == "":
		return names24()[name], false, true
	}
	as, inverted = strings.CutPrefix(in24, "!")
	return as, inverted, true
}

// names24 gives the names in 2.4 by those in 2.3.
var names24 = sync.OnceValue(func() map[string]string {
	names := map[string]string{}
	for _, s := range config.Settings() {
		if s.Place == "core" || s.Place == "section" {
			names[s.Name23] = s.Name24
		}
	}
	return names
})

// set gives one field its value.
func set(field reflect.Value, v config.Value, d conf.Dialect, tag reflect.StructTag) (err error) {
	if d == conf.V1 {
		d = conf.V23 // as values are kept
	}
	switch to := field.Addr().Interface().(type) {
	case *string:
		*to = v.Text
	case *bool:
		*to, err = conf.ParseBool(v.Text, d)
	case *uint32:
		*to, err = conf.ParseUint(v.Text, d)
		if _, zero := tag.Lookup("zero"); zero && *to == conf.UnlimitedUint {
			*to = 0
		}
	case *uint16:
		*to, err = conf.ParsePort(v.Text)
	case *uint64:
		*to, err = conf.ParseSize(v.Text, d)
	case *time.Duration:
		if *to, err = conf.ParseMsecs(v.Text, d); err != nil {
			*to, err = conf.ParseTime(v.Text, d) // longer than can be counted in milliseconds
		}
	case *Mode:
		var bits uint32
		bits, err = conf.ParseOctal(v.Text, d)
		*to = Mode(bits)
	case *[]string:
		*to = words(v.Text)
	case *Template:
		*to = newTemplate(v.Text, d, places[tag.Get("place")])
	case *File:
		*to = newFile(v, d)
	default:
		err = fmt.Errorf("no rule for %s", field.Type())
	}
	return err
}

// words cuts a list at blanks and commas; an empty list is nil.
func words(text string) []string {
	list := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' })
	if len(list) == 0 {
		return nil
	}
	return list
}
