package variable

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// substr takes offset and length; both may be negative, and count from the
// end then.
func substr(s *state, args []argument) error {
	if len(args) == 0 {
		return errMissing
	}
	if err := positional(args, 2); err != nil {
		return err
	}
	var given [2]int64
	for i, a := range args {
		n, err := s.number(a)
		if err != nil {
			return err
		}
		given[i] = n
	}
	if err := s.need("substring"); err != nil {
		return err
	}
	size := int64(len(s.value))
	offset, length := given[0], given[1]
	if offset < -size || offset > size {
		return errors.New("Offset out of bounds")
	}
	if offset < 0 {
		offset += size
	}
	switch {
	case len(args) == 1:
		length = size - offset
	case length < -size || length > size:
		return errors.New("Length out of bounds")
	case length < 0:
		length += size - offset
	}
	if length < 0 || length > 0 && offset+length > size {
		return errors.New("Length out of bounds")
	}
	s.keep(s.value[offset : offset+length])
	return nil
}

// truncate keeps a number of bytes, or of leading bits.
func truncate(s *state, args []argument) error {
	if len(args) == 0 {
		return errMissing
	}
	bits, size := false, int64(0)
	for i, a := range args {
		switch {
		case a.key != "" && a.key != "bits":
			return fmt.Errorf("Unsupported key '%s'", a.key)
		case a.key == "" && i > 0:
			return errTooMany
		}
		n, err := s.number(a)
		if err != nil {
			return err
		}
		if n < 0 {
			return errors.New("Value of out of bounds")
		}
		bits, size = bits || a.key == "bits", n
	}
	if err := s.need("truncate"); err != nil {
		return err
	}
	switch {
	case bits:
		s.keep(truncateBits(s.value, size))
	case size < int64(len(s.value)):
		s.keep(s.value[:size])
	}
	return nil
}

// fill lengthens a value at one end. What is long enough stays.
func fill(left bool) filter {
	return func(s *state, args []argument) error {
		if len(args) == 0 {
			return errMissing
		}
		if err := positional(args, 2); err != nil {
			return err
		}
		size, err := s.number(args[0])
		if err != nil {
			return err
		}
		if size < 1 || size > maxPadding {
			return errors.New("Fill length out of bounds")
		}
		filler := "0"
		if len(args) > 1 {
			if filler, err = s.text(args[1]); err != nil {
				return err
			}
		}
		if err := s.need("fill"); err != nil {
			return err
		}
		if missing := int(size) - len(s.value); missing > 0 {
			if filler == "" {
				return errors.New("the filler is empty")
			}
			more := strings.Repeat(filler, (missing+len(filler)-1)/len(filler))
			if left {
				s.keep(more + s.value)
			} else {
				s.keep(s.value + more)
			}
		}
		return nil
	}
}

// text makes a binary value printable: what is no UTF-8 or a control
// character becomes U+FFFD. A NUL ends it.
func text(s *state) error {
	value, _, _ := strings.Cut(s.value, "\x00")
	var b strings.Builder
	for value != "" {
		r, n := utf8.DecodeRuneInString(value)
		if r < 0x20 || r == 0x7f || r == utf8.RuneError {
			r = utf8.RuneError
		}
		b.WriteRune(r)
		value = value[n:]
	}
	s.give(b.String())
	return nil
}

// replace puts a replacement, which may name groups as \1 or $1, in place of
// the first match. Without a match nothing happens.
func replace(s *state, args []argument) error {
	if len(args) == 0 {
		return errMissing
	}
	if err := positional(args, 2); err != nil {
		return err
	}
	pattern, err := s.text(args[0])
	switch {
	case err != nil:
		return err
	case len(args) < 2:
		return errors.New("Missing replacement parameter")
	}
	replacement, err := s.text(args[1])
	if err != nil {
		return err
	}
	if err := s.need("regexp"); err != nil {
		return err
	}
	re, err := expression(pattern)
	if err != nil {
		return err
	}
	if at := re.FindStringSubmatchIndex(s.value); at != nil {
		b := append([]byte(nil), s.value[:at[0]]...)
		b = re.ExpandString(b, groups(replacement), s.value, at)
		s.keep(string(append(b, s.value[at[1]:]...)))
	}
	return nil
}

var groupNumber = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$(\d)`) })

// groups writes a replacement for Go: \1 and $1 are groups, \\ is a backslash.
func groups(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch c := s[i+1]; {
		case c >= '0' && c <= '9':
			b.WriteByte('$')
			b.WriteByte(c)
			i++
		case c == '\\':
			b.WriteByte('\\')
			i++
		default:
			b.WriteByte('\\')
		}
	}
	return groupNumber().ReplaceAllString(b.String(), "$${$1}")
}
