package variable

import (
	"errors"
	"os"
	"strings"
)

// short is a variable of one letter.
type short string

func (s short) get(l Lookup) (string, error) {
	v, err := l(string(s))
	switch {
	case !errors.Is(err, ErrUnknown):
		return v, err
	case s == "%":
		return "%", nil
	}
	return "UNSUPPORTED_VARIABLE_" + string(s), &UnknownError{string(s), "Unknown variable '%" + string(s) + "'"}
}

// name is a variable in braces, or a function with its argument.
type name string

func (n name) get(l Lookup) (string, error) {
	// No name in braces has one letter: %{u} is not %u.
	if len(n) > 1 {
		v, err := l(string(n))
		if !errors.Is(err, ErrUnknown) {
			return v, err
		}
	}
	if v, ok := process(string(n)); ok {
		return v, nil
	}
	function, _, _ := strings.Cut(string(n), ":")
	return "UNSUPPORTED_VARIABLE_" + function, &UnknownError{function, "Unknown variable '%" + function + "'"}
}

// environment is %{env:NAME}; what is not set is empty.
type environment string

func (e environment) get(Lookup) (string, error) { return os.Getenv(string(e)), nil }

// expand gives the value of a field. Text is given with an UnknownError too.
func (f *field) expand(l Lookup) (string, error) {
	value, err := f.value.get(l)
	if err != nil {
		return value, err
	}
	if f.modifiers == "" && f.offset == 0 && f.width == 0 {
		return value, nil
	}
	r := rest{f.offset, f.width}
	for _, m := range []byte(f.modifiers) {
		value = r.modify(m, value)
	}
	return r.cut(value, f.zero), nil
}

// rest is what the modifiers leave of offset and width: H and N use them up.
type rest struct{ offset, width int }

// cut applies offset and width.
func (r rest) cut(s string, zero bool) string {
	switch {
	case r.offset > 0:
		s = s[min(r.offset, len(s)):]
	case r.offset < 0 && len(s) > -r.offset:
		s = s[len(s)+r.offset:]
	}
	switch {
	case r.width == 0:
	case zero:
		if pad := min(r.width, maxPadding) - len(s); pad > 0 {
			s = strings.Repeat("0", pad) + s
		}
	case r.width < 0:
		// More than there is drops nothing, as in 2.3.19.
		if left := len(s) + r.width; left >= 0 {
			s = s[:left]
		}
	case r.width < len(s):
		s = s[:r.width]
	}
	return s
}
