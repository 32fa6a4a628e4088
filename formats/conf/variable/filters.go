package variable

import (
	"errors"
	"fmt"
	"strings"
)

var (
	errTooMany = errors.New("Too many positional parameters")
	errMissing = errors.New("Missing parameters")
)

// filter changes the value of a state. Its error leaves no value.
type filter func(s *state, args []argument) error

// filters are those of lib-var-expand in 2.4.4.
var filters = map[string]filter{
	"lookup": lookupFilter, "literal": literal, "default": defaultFilter, "concat": concat, calculate: calculation,
	"lower":    simple("lower", func(s *state) error { s.keep(lower(s.value)); return nil }),
	"upper":    simple("upper", func(s *state) error { s.keep(upper(s.value)); return nil }),
	"reverse":  simple("reverse", func(s *state) error { s.keep(reverse(s.value)); return nil }),
	"ldap_dn":  simple("convert to ldap_dn", func(s *state) error { s.keep(strings.ReplaceAll(s.value, ".", ",dc=")); return nil }),
	"username": simple("get username from", username),
	"domain":   simple("get domain from", domain),
	"text":     simple("text", text),
	"safe":     func(s *state, _ []argument) error { s.safe = true; return nil },

	"hash": hashFilter, "md5": digestFilter("md5"), "sha1": digestFilter("sha1"), "sha256": digestFilter("sha256"),
	"sha384": digestFilter("sha384"), "sha512": digestFilter("sha512"),
	"base64": toBase64, "unbase64": fromBase64, "hexlify": hexlify, "hex": toHex,
	"unhex": simple("unhex", fromHex), "unhexlify": simple("unhexlify", unhexlify),
	"benumber": simple("convert to number", func(s *state) error { return bytesToNumber(s, s.value) }),
	"lenumber": simple("convert to number", func(s *state) error { return bytesToNumber(s, reverse(s.value)) }),

	"truncate": truncate, "substr": substr, "index": index, "list": list, "regexp": replace,
	"lfill": fill(true), "rfill": fill(false), "if": ifFilter, "switch": switchFilter,
	"encrypt": crypt("encrypt"), "decrypt": crypt("decrypt"),
}

// simple is a filter that takes no arguments and needs a value.
func simple(action string, change func(s *state) error) filter {
	return func(s *state, args []argument) error {
		if err := positional(args, 0); err != nil {
			return err
		}
		if err := s.need(action); err != nil {
			return err
		}
		return change(s)
	}
}

// positional refuses named arguments and more than n others.
func positional(args []argument, n int) error {
	for i, a := range args {
		if a.key != "" {
			return fmt.Errorf("Unsupported key '%s'", a.key)
		}
		if i >= n {
			return errTooMany
		}
	}
	return nil
}

func lookupFilter(s *state, args []argument) error {
	if len(args) == 0 {
		return errors.New("Missing name to lookup")
	}
	if err := positional(args[:1], 1); err != nil {
		return err
	}
	s.unset()
	name, err := s.text(args[0])
	if err != nil {
		return err
	}
	value, err := s.variable(name)
	if err == nil {
		s.give(value)
	}
	return err
}

func literal(s *state, args []argument) error {
	if len(args) == 0 {
		return errMissing
	}
	if err := positional(args[:1], 1); err != nil {
		return err
	}
	value, err := s.any(args[0])
	if err == nil {
		s.give(value)
	}
	return err
}

// defaultFilter gives a value if there is none, or an empty one.
func defaultFilter(s *state, args []argument) error {
	if s.set && s.value != "" {
		return nil
	}
	value := ""
	if len(args) > 0 {
		if err := positional(args, 1); err != nil {
			return err
		}
		var err error
		if value, err = s.any(args[0]); err != nil {
			return err
		}
	}
	s.give(value)
	return nil
}

func concat(s *state, args []argument) error {
	if len(args) == 0 {
		return errMissing
	}
	if err := positional(args, len(args)); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(s.value)
	for _, a := range args {
		value, err := s.any(a)
		if err != nil {
			return err
		}
		b.WriteString(value)
	}
	s.keep(b.String())
	return nil
}

func username(s *state) error {
	local, _, _ := strings.Cut(s.value, "@")
	s.give(local)
	return nil
}

func domain(s *state) error {
	_, domain, _ := strings.Cut(s.value, "@")
	s.give(domain)
	return nil
}

// index gives one of the pieces between separators; negative counts from the
// end.
func index(s *state, args []argument) error {
	if len(args) == 0 {
		return errMissing
	}
	if err := positional(args, 2); err != nil {
		return err
	}
	separator, err := s.text(args[0])
	switch {
	case err != nil:
		return err
	case len(args) < 2:
		return errors.New("Missing index parameter")
	}
	n, err := s.number(args[1])
	if err != nil {
		return err
	}
	if err := s.need("index"); err != nil {
		return err
	}
	if separator == "" {
		return errors.New("Position out of bounds")
	}
	pieces := strings.Split(s.value, separator)
	if n < 0 {
		n += int64(len(pieces))
	}
	if n < 0 || n >= int64(len(pieces)) {
		return errors.New("Position out of bounds")
	}
	s.give(pieces[n])
	return nil
}

// list joins values that are separated by tabs.
func list(s *state, args []argument) error {
	separator := ","
	if err := positional(args, 1); err != nil {
		return err
	}
	if len(args) > 0 {
		var err error
		if separator, err = s.text(args[0]); err != nil {
			return err
		}
	}
	if err := s.need("generate list from"); err != nil {
		return err
	}
	values := strings.Split(s.value, "\t")
	for i, v := range values {
		values[i] = tabEscapes.Replace(v)
	}
	s.give(strings.Join(values, separator))
	return nil
}

// tabEscapes undoes the escaping of values in lists separated by tabs.
var tabEscapes = strings.NewReplacer("\x011", "\x01", "\x01t", "\t", "\x01r", "\r", "\x01n", "\n", "\x010", "\x00")
