package variable

import (
	"errors"
	"fmt"
)

// ifFilter is value | if(op, right, then, else), or if(left, op, right, then,
// else) where there is no value.
func ifFilter(s *state, args []argument) error {
	for i, a := range args {
		if a.key != "" {
			return fmt.Errorf("Unsupported key '%s'", a.key)
		}
		if i == 5 || i == 4 && s.set {
			return errTooMany
		}
	}
	left, op, args, err := s.leftSide(args)
	switch {
	case err != nil:
		return err
	case len(args) < 3:
		return errMissing
	}
	if left, err = s.checked(left, op, "if"); err != nil {
		return err
	}
	yes, err := s.compare(left, op, args[0])
	if err != nil {
		return err
	}
	branch, result := "False branch", args[2]
	if yes {
		branch, result = "True branch", args[1]
	}
	value, err := s.any(result)
	if err != nil {
		return fmt.Errorf("%s: %w", branch, err)
	}
	s.give(value)
	return nil
}

// leftSide takes the left side, unless the value is it, and the comparator.
func (s *state) leftSide(args []argument) (left argument, op string, rest []argument, err error) {
	if !s.set {
		if len(args) == 0 {
			return left, "", nil, errMissing
		}
		left, args = args[0], args[1:]
	}
	if len(args) == 0 {
		return left, "", nil, errMissing
	}
	op, err = s.text(args[0])
	if err != nil {
		err = fmt.Errorf("Comparator: %w", err)
	}
	return left, op, args[1:], err
}

// checked refuses unknown comparators and makes the value the left side.
func (s *state) checked(left argument, op, filter string) (argument, error) {
	switch {
	case !isNumeric(op) && !isTextual(op):
		return left, fmt.Errorf("Unsupported comparator '%s'", op)
	case !s.set:
		return left, nil
	case isTextual(op):
		return argument{kind: isString, text: s.value}, nil
	}
	n, ok := integer(s.value)
	if !ok {
		return left, errors.New("Input is not a number")
	}
	return argument{kind: isNumber, number: n}, nil
}

// compare compares two arguments.
func (s *state) compare(left argument, op string, right argument) (bool, error) {
	if isNumeric(op) {
		a, err := s.number(left)
		if err != nil {
			return false, fmt.Errorf("Left-hand side: %w", err)
		}
		b, err := s.number(right)
		if err != nil {
			return false, fmt.Errorf("Right-hand side: %w", err)
		}
		return compareNumbers(a, op, b), nil
	}
	a, err := s.text(left)
	if err != nil {
		return false, fmt.Errorf("Left-hand side %w", err)
	}
	b, err := s.text(right)
	if err != nil {
		return false, fmt.Errorf("Right-hand side %w", err)
	}
	return compareText(a, op, b)
}

// switchFilter is value | switch(op, right, result, right, result ..., else),
// with the left side before the comparator where there is no value.
func switchFilter(s *state, args []argument) error {
	if err := positional(args, len(args)); err != nil {
		return err
	}
	if len(args) == 0 || len(args) == 1 && !s.set {
		return errMissing
	}
	left, op, args, err := s.leftSide(args)
	switch {
	case err != nil:
		return err
	case len(args) < 2:
		return errors.New("At least one condition-value pair is required")
	}
	if left, err = s.checked(left, op, "switch"); err != nil {
		return err
	}
	for i := 0; i+1 < len(args); i += 2 {
		yes, err := s.compare(left, op, args[i])
		if err != nil {
			return err
		}
		if yes {
			return s.result(args[i+1], i/2)
		}
	}
	if len(args)%2 == 0 {
		return errors.New("No default value provided")
	}
	return s.result(args[len(args)-1], len(args)/2)
}

func (s *state) result(a argument, condition int) error {
	value, err := s.any(a)
	if err != nil {
		return fmt.Errorf("in condition #%d: %w", condition, err)
	}
	s.give(value)
	return nil
}
