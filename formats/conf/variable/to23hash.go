package variable

import (
	"fmt"
	"strconv"
	"strings"
)

// digest takes a hash of a plain variable, with what belongs to it in 2.3:
// truncation to bits and the format. It tells how many statements that were.
func (c *converter23) digest(o *old, st []statement) int {
	s := st[0]
	args := s.arguments
	method := s.function
	if method == "hash" && len(args) > 0 && args[0].kind == isString {
		method, args = args[0].text, args[1:]
	}
	key := c.longName(o.key)
	if hashes[method] == nil || o.modifiers != "" || key == "" {
		return 0
	}
	if method == "md5" && len(args) == 0 && (len(st) == 1 || st[1].function != "truncate" && st[1].function != "base64") {
		return 0 // modifier M
	}
	var options []string
	salt := ""
	for _, a := range args {
		switch {
		case a.key == "rounds" && a.kind == isNumber && a.number > 0:
			options = append(options, "rounds="+strconv.FormatInt(a.number, 10))
		case a.key == "salt" && a.kind == isString && !strings.ContainsAny(a.text, ",:;%{}\\"):
			salt = "salt=" + a.text
		default:
			return 0
		}
	}
	n := 1
	if n < len(st) && st[n].function == "truncate" && len(st[n].arguments) == 1 && st[n].arguments[0].key == "bits" {
		options = append(options, "truncate="+plainArgument(st[n].arguments[0]))
		n++
	}
	switch {
	case n < len(st) && st[n].function == "base64" && len(st[n].arguments) == 0:
		options = append(options, "format=base64")
		n++
	case !printed(st[n:]):
		return 0 // 2.3 sees digits, not bytes
	default:
		n += hexlify23(o, st[n:])
	}
	if salt != "" {
		options = append(options, salt) // the salt is the last one in 2.3
	}
	o.key = "{" + strings.Join(append([]string{method}, strings.Join(options, ",")), ";") + ":" + key + "}"
	o.key = strings.Replace(o.key, ";:", ":", 1)
	return n
}

// longName gives the name that a key has in braces, without them.
func (c *converter23) longName(key string) string {
	if len(key) > 1 {
		return strings.Trim(key, "{}")
	}
	best := ""
	for name, expression := range c.words.to24 {
		if len(name) > 1 && expression == c.words.to24[key] && (best == "" || name < best) {
			best = name
		}
	}
	return best
}

// regexp23 recognises the expressions that To24 writes for offsets and widths.
func regexp23(o *old, pattern, replacement string) bool {
	var n int
	switch {
	case replacement == "" && pattern == "[ \t\r\n\x0b\x0c]+$" && o.offset == 0:
		o.modifiers += "T"
	case replacement == "" && scan(pattern, "^.{0,%d}", &n) && o.offset == 0:
		o.offset = n
	case replacement == `\1` && scan(pattern, "^.*(.{%d})$", &n) && o.offset == 0:
		o.offset = -n
	case replacement == "" && scan(pattern, ".{%d}$", &n):
		o.width = "-" + strconv.Itoa(n)
		if o.offset == 0 {
			o.width = "." + o.width // a minus alone means nothing
		}
	default:
		return false
	}
	return true
}

// scan tells whether s has exactly the form, with a number in it.
func scan(s, form string, n *int) bool {
	_, err := fmt.Sscanf(s, form, n)
	return err == nil && *n > 0 && fmt.Sprintf(form, *n) == s
}
