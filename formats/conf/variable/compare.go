package variable

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// numeric are the comparators that need numbers on both sides.
const numeric = " == < <= > >= != "

// textual are the comparators of strings: * is a wildcard, ~ a regular
// expression, ! says not.
const textual = " eq lt le gt ge ne * !* ~ !~ "

func isNumeric(op string) bool { return op != "" && strings.Contains(numeric, " "+op+" ") }
func isTextual(op string) bool { return op != "" && strings.Contains(textual, " "+op+" ") }

// compareNumbers answers a comparator of numbers.
func compareNumbers(a int64, op string, b int64) bool {
	switch op {
	case "==":
		return a == b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	case ">=":
		return a >= b
	}
	return a != b
}

// compareText answers a comparator of strings.
func compareText(a, op, b string) (bool, error) {
	switch op {
	case "eq":
		return a == b, nil
	case "lt":
		return a < b, nil
	case "le":
		return a <= b, nil
	case "gt":
		return a > b, nil
	case "ge":
		return a >= b, nil
	case "ne":
		return a != b, nil
	case "*":
		return wildcard(a, b), nil
	case "!*":
		return !wildcard(a, b), nil
	}
	re, err := expression(b)
	if err != nil {
		return false, err
	}
	return re.MatchString(a) != (op == "!~"), nil
}

// expression compiles a regular expression that a template holds.
func expression(s string) (*regexp.Regexp, error) {
	if len(s) > 1024 {
		return nil, errors.New("regex failed: expression is too long")
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, fmt.Errorf("regex failed: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re, nil
}

// wildcard matches the whole of s with a pattern of * and ?.
func wildcard(s, pattern string) bool {
	i, p, star, back := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, back = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			i++
			p++
		case star >= 0:
			back++
			i, p = back, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// integer reads digits with an optional minus and nothing else.
func integer(s string) (int64, bool) {
	bare := strings.TrimPrefix(s, "-")
	if bare == "" || strings.Trim(bare, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// condition is %{if;left;op;right;then;else} of 2.x.
type condition struct {
	args [5]*Template
}

// condition parses the parameters of an if. They end at a semicolon that is
// not inside %{...}; a backslash hides the next character; a colon ends all.
func (p *parser23) condition(key string) (source, error) {
	_, s, found := strings.Cut(key, ";")
	if !found {
		return nil, errors.New("if: missing parameter(s)")
	}
	params := parameters(s)
	if len(params) == 4 {
		params = append(params, "")
	}
	if len(params) != 5 {
		return nil, fmt.Errorf("if: requires four or five parameters, got %d", len(params))
	}
	c := &condition{}
	for i, text := range params {
		t, err := p.template(text)
		if err != nil {
			return nil, err
		}
		c.args[i] = t
	}
	return c, nil
}

// parameters splits what follows "if;". The last one counts only if it is not
// empty.
func parameters(s string) []string {
	var params []string
	var b strings.Builder
	depth, escaped, percent := 0, false, false
	for _, c := range []byte(s) {
		switch {
		case c == '\\':
			escaped = true
			continue
		case escaped:
			b.WriteByte(c)
			escaped = false
			continue
		case c == '%':
			percent = true
		case percent && c == '{':
			depth++
			percent = false
		case depth > 0 && c == '}':
			depth--
		case depth == 0 && c == ';':
			params = append(params, b.String())
			b.Reset()
			continue
		}
		if depth == 0 && c == ':' {
			break
		}
		b.WriteByte(c)
	}
	if b.Len() > 0 {
		params = append(params, b.String())
	}
	return params
}

func (c *condition) get(l Lookup) (string, error) {
	var args [5]string
	for i, t := range c.args {
		text, err := t.Expand(l)
		if err != nil {
			return "", err
		}
		args[i] = text
	}
	yes, err := decide(args[0], args[1], args[2])
	switch {
	case err != nil:
		return "", fmt.Errorf("if: %w", err)
	case yes:
		return args[3], nil
	}
	return args[4], nil
}

// decide compares as 2.x does.
func decide(left, op, right string) (bool, error) {
	switch {
	case isNumeric(op):
		a, ok := integer(left)
		if !ok {
			return false, fmt.Errorf("%s (lhs) is not a number", left)
		}
		b, ok := integer(right)
		if !ok {
			return false, fmt.Errorf("%s (rhs) is not a number", right)
		}
		return compareNumbers(a, op, b), nil
	case isTextual(op):
		return compareText(left, op, right)
	}
	return false, fmt.Errorf("Unsupported comparator '%s'", op)
}
