package variable

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxValue24 bounds what filters may make of a value.
const maxValue24 = 1 << 20

// state is what passes from statement to statement.
type state struct {
	lookup Lookup
	value  string
	set    bool // there is a value
	binary bool // it prints as hexadecimal digits
	safe   bool // it must not be escaped

	// failed is why there is no value. The filter "default" may follow, so it
	// is an error only if the next filter fails too, or at the end.
	failed error
}

func (s *state) give(text string) { s.value, s.set, s.binary = text, true, false }

// keep replaces the value and leaves it binary if it was.
func (s *state) keep(text string) { s.value, s.set = text, true }

func (s *state) unset() { s.value, s.set, s.safe = "", false, false }

// run gives the value of one %{...}.
func (c *program) run(l Lookup, escape func(string) string) (string, error) {
	if len(c.statements) == 0 {
		return "", nil
	}
	s := &state{lookup: l}
	for i := range c.statements {
		if err := s.execute(&c.statements[i], i == 0); err != nil {
			return "", err
		}
		if len(s.value) > maxValue24 {
			return "", errors.New("the value is too large")
		}
	}
	if s.failed != nil {
		return "", s.failed
	}
	text := s.value
	if s.binary {
		text = hex.EncodeToString([]byte(text))
	}
	if escape != nil && !s.safe {
		text = escape(text)
	}
	return text, nil
}

// execute runs one statement. The first one is a variable if there is one of
// that name, and only then a filter.
func (s *state) execute(st *statement, first bool) error {
	var failed error
	if first {
		value, err := s.variable(st.function)
		if err == nil {
			s.give(value)
			return nil
		}
		s.unset()
		failed = err
	}
	filter := filters[st.function]
	switch {
	case filter != nil:
		failed = filter(s, st.arguments)
		if failed != nil {
			s.unset()
			if s.failed != nil {
				return s.failed
			}
			failed = fmt.Errorf("%s: %w", st.function, failed)
		}
	case !first:
		return fmt.Errorf("No such function '%s'", st.function)
	}
	s.failed = failed
	return nil
}

// variable looks up a variable or asks a provider.
func (s *state) variable(name string) (string, error) {
	value, err := s.lookup(name)
	if !errors.Is(err, ErrUnknown) {
		return value, err
	}
	prefix, key, found := strings.Cut(name, ":")
	if !found {
		return "", &UnknownError{name, "Unknown variable '" + name + "'"}
	}
	provider := providers[prefix]
	if provider == nil {
		return "", &UnknownError{name, "Unsupported prefix '" + prefix + "'"}
	}
	value, err = provider(key)
	if err != nil {
		return "", fmt.Errorf("%s: %w", prefix, err)
	}
	return value, nil
}

// text gives an argument that must be a string.
func (s *state) text(a argument) (string, error) {
	switch a.kind {
	case isVariable:
		return s.variable(a.text)
	case isNumber:
		return "", fmt.Errorf("%d is not a string", a.number)
	}
	return a.text, nil
}

// any gives an argument as text, whatever it is.
func (s *state) any(a argument) (string, error) {
	if a.kind == isNumber {
		return strconv.FormatInt(a.number, 10), nil
	}
	return s.text(a)
}

// number gives an argument that must be a number.
func (s *state) number(a argument) (int64, error) {
	switch a.kind {
	case isNumber:
		return a.number, nil
	case isString:
		return 0, fmt.Errorf("'%s' is not a number", a.text)
	}
	text, err := s.variable(a.text)
	if err != nil {
		return 0, err
	}
	n, ok := integer(text)
	if !ok {
		return 0, fmt.Errorf("'%s' (in %s) is not a number", text, a.text)
	}
	return n, nil
}

// need is the error of a filter that has nothing to work on.
func (s *state) need(action string) error {
	if !s.set {
		return errors.New("No value to " + action)
	}
	return nil
}
