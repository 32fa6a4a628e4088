package variable

import (
	"strconv"
	"strings"
)

// To23 writes a template of 2.4 in the form of 2.3. Whatever has no
// counterpart is listed; the text is to be used only if nothing is.
func To23(template string, place Place) (string, []Loss) {
	t, err := Parse24(template)
	if err != nil {
		return "", []Loss{{template, err.Error()}}
	}
	c := converter23{words: words(tables[place]), owner: words([]string{owner}), place: place}
	var out strings.Builder
	for _, p := range t.parts {
		if p.chain == nil {
			out.WriteString(c.plain(p.text))
			continue
		}
		out.WriteString(c.program(p.chain))
	}
	return out.String(), c.losses
}

type converter23 struct {
	words, owner vocabulary
	place        Place
	losses       []Loss
}

func (c *converter23) lose(what, why string) { c.losses = append(c.losses, Loss{what, why}) }

// plain writes literal text. The words $user, $username and $domain of a
// shared prefix become variables that are expanded later.
func (c *converter23) plain(s string) string {
	s = strings.ReplaceAll(s, "%", "%%")
	if c.place == InSharedPrefix {
		s = strings.NewReplacer("$username", "%%n", "$user", "%%u", "$domain", "%%d").Replace(s)
	}
	return s
}

// old is a field of 2.3 in the making: "%", numbers, modifiers, key.
type old struct {
	later     bool // "%%u": expanded for the owner of a shared namespace
	offset    int
	width     string // with a leading zero, or a minus
	modifiers string
	key       string // "u" or "{user}"
	whole     string // text that no modifier can follow
	closed    bool   // modifier N has used offset and width
}

func (o *old) String() string {
	if o.whole != "" || o.key == "" {
		return o.whole
	}
	s := "%"
	if o.later {
		s = "%%"
	}
	if o.offset != 0 {
		s += strconv.Itoa(o.offset) + "."
	}
	return s + o.width + o.modifiers + o.key
}

// program writes one %{...}.
func (c *converter23) program(p *program) string {
	if len(p.statements) == 0 {
		return ""
	}
	o, rest := c.start(p.statements)
	if o == nil {
		return ""
	}
	for len(rest) > 0 {
		n, why := c.step(o, rest)
		if why != "" {
			c.lose(rest[0].function, why)
			return ""
		}
		rest = rest[n:]
	}
	return o.String()
}

// start takes the variable, with the filters that belong to its name in 2.3.
func (c *converter23) start(st []statement) (*old, []statement) {
	first := st[0]
	if first.function == "literal" && len(first.arguments) == 1 && first.arguments[0].kind != isVariable {
		return &old{whole: c.plain(plainArgument(first.arguments[0]))}, st[1:]
	}
	if first.function == "if" && len(first.arguments) == 5 {
		return &old{whole: c.condition(c.parameter(first.arguments[0]), first.arguments[1:])}, st[1:]
	}
	if len(first.arguments) > 0 {
		c.lose(first.function, "2.3 has no such function")
		return nil, nil
	}
	variable, n := first.function, 1
	if len(st) > 1 && len(st[1].arguments) == 0 && (st[1].function == "username" || st[1].function == "domain") {
		variable, n = variable+" | "+st[1].function, 2
	}
	if o := c.variable(variable); o != nil {
		return o, st[n:]
	}
	if o := c.variable(first.function); o != nil {
		return o, st[1:]
	}
	c.lose(first.function, "2.3 has no such variable here")
	return nil, nil
}

// plainArgument gives a string or number as text.
func plainArgument(a argument) string {
	if a.kind == isNumber {
		return strconv.FormatInt(a.number, 10)
	}
	return a.text
}

func (c *converter23) variable(expression string) *old {
	if key := c.words.to23[expression]; key != "" {
		return &old{key: key}
	}
	if key := c.owner.to23[expression]; key != "" && (c.place == InSharedPrefix || c.place == InSharedLocation) {
		return &old{key: key, later: true}
	}
	for name, e := range process24 {
		if e == expression {
			return &old{key: "{" + name + "}"}
		}
	}
	switch prefix, _, _ := strings.Cut(expression, ":"); prefix {
	case "env", "userdb", "passdb":
		if !strings.Contains(expression, " ") {
			return &old{key: "{" + expression + "}"}
		}
	}
	return nil
}

// letters are the filters without arguments that are modifiers in 2.3.
var letters = map[string]string{"lower": "L", "upper": "U", "reverse": "R", "ldap_dn": "D", "hex": "X", "md5": "M"}

// step takes as many statements as one piece of 2.3 stands for.
func (c *converter23) step(o *old, st []statement) (n int, why string) {
	s := st[0]
	switch s.function {
	case "safe":
		return 1, ""
	case "default":
		return 1, c.otherwise(o, s.arguments)
	case "if":
		if len(s.arguments) != 4 {
			return 0, "2.3 needs a comparator and three more arguments"
		}
		*o = old{whole: c.condition(o.String(), s.arguments)}
		return 1, ""
	}
	if o.whole != "" || o.width != "" || o.closed {
		return 0, "2.3 cuts a value only after all modifiers"
	}
	if o.offset != 0 {
		return c.cut(o, s)
	}
	if n := newHash23(o, st); n > 0 {
		return n, ""
	}
	if n := c.digest(o, st); n > 0 {
		return n, ""
	}
	if m := letters[s.function]; m != "" && len(s.arguments) == 0 {
		o.modifiers += m
		if s.function == "md5" {
			if !printed(st[1:]) {
				return 0, "2.3 sees digits, not bytes"
			}
			return 1 + hexlify23(o, st[1:]), ""
		}
		return 1, ""
	}
	return c.cut(o, s)
}

// printed tells whether binary data is made digits before anything else is
// done with it.
func printed(st []statement) bool {
	if len(st) == 0 {
		return true
	}
	switch st[0].function {
	case "hexlify":
		return true
	case "safe", "default":
		return printed(st[1:])
	}
	return false
}

// hexlify23 takes a hexlify after a digest: 2.3 prints digits anyway.
func hexlify23(o *old, st []statement) int {
	if len(st) == 0 || st[0].function != "hexlify" {
		return 0
	}
	if len(st[0].arguments) == 1 {
		o.width = plainArgument(st[0].arguments[0])
	}
	return 1
}

// newHash23 recognises modifier N: md5 | substr(0, 8) % modulus | hex(digits).
func newHash23(o *old, st []statement) int {
	if len(st) < 4 || st[0].function != "md5" || st[1].function != "substr" || st[2].function != calculate ||
		st[3].function != "hex" || len(st[0].arguments) > 0 || st[2].arguments[0].text != "PERC" {
		return 0
	}
	if a := st[1].arguments; len(a) != 2 || a[0].number != 0 || a[1].number != 8 || st[2].arguments[1].kind != isNumber {
		return 0
	}
	o.modifiers += "N"
	if modulus := st[2].arguments[1].number; modulus != 1<<32 {
		o.width = strconv.FormatInt(modulus, 10)
	}
	o.closed = true
	if a := st[3].arguments; len(a) == 1 {
		o.offset = int(a[0].number)
	} else if len(st) > 4 && st[4].function == "lfill" && len(st[4].arguments) == 1 {
		o.offset = int(st[4].arguments[0].number)
		return 5
	}
	return 4
}

// cut takes the filters that shorten or lengthen.
func (c *converter23) cut(o *old, s statement) (n int, why string) {
	if s.function == "regexp" && len(s.arguments) == 2 && regexp23(o, s.arguments[0].text, s.arguments[1].text) {
		return 1, ""
	}
	numbers := make([]int, 0, 2)
	for _, a := range s.arguments {
		if a.kind == isNumber && a.key == "" {
			numbers = append(numbers, int(a.number))
		}
	}
	switch {
	case len(numbers) != len(s.arguments) || len(numbers) == 0 || len(numbers) > 2:
		return 0, "2.3 has no counterpart"
	case s.function == "truncate" && numbers[0] > 0:
		o.width = strconv.Itoa(numbers[0])
	case s.function == "lfill":
		o.width = "0" + strconv.Itoa(numbers[0])
	case s.function == "hex" && numbers[0] > 0:
		o.modifiers += "X"
		o.width = "0" + strconv.Itoa(numbers[0])
	case o.offset != 0:
		return 0, "2.3 skips only once"
	case s.function == "substr" && numbers[0] != 0:
		o.offset = numbers[0]
		if len(numbers) == 2 {
			o.width = strconv.Itoa(numbers[1])
		}
	case s.function == "substr" && len(numbers) == 2:
		o.width = strconv.Itoa(numbers[1])
		if numbers[1] < 0 {
			o.width = "." + o.width
		}
	default:
		return 0, "2.3 has no counterpart"
	}
	return 1, ""
}

// otherwise writes the filter default: 2.3 has it for fields of databases, and
// "if" for the rest.
func (c *converter23) otherwise(o *old, args []argument) (why string) {
	text := ""
	if len(args) > 0 {
		text = c.parameter(args[0])
	}
	field := strings.HasPrefix(o.key, "{userdb:") || strings.HasPrefix(o.key, "{passdb:")
	switch {
	case text == "":
	case field && o.String() == "%"+o.key && args[0].kind != isVariable && !strings.ContainsAny(plainArgument(args[0]), "{}\\"):
		o.key = strings.TrimSuffix(o.key, "}") + ":" + plainArgument(args[0]) + "}"
	case len(o.whole) > 500:
		return "too long for 2.3, which names the value twice"
	default:
		value := o.String()
		*o = old{whole: "%{if;" + value + ";ne;;" + value + ";" + text + "}"}
	}
	return ""
}

// condition writes an if from its left side and the other arguments.
func (c *converter23) condition(left string, args []argument) string {
	parts := []string{left}
	for _, a := range args {
		parts = append(parts, c.parameter(a))
	}
	return "%{if;" + strings.Join(parts, ";") + "}"
}

// parameter writes an argument as a parameter of "if".
func (c *converter23) parameter(a argument) string {
	if a.kind == isVariable {
		o := c.variable(a.text)
		if o == nil {
			c.lose(a.text, "2.3 has no such variable here")
			return ""
		}
		return o.String()
	}
	text := plainArgument(a)
	if strings.Contains(text, `\`) {
		c.lose(text, "2.3 has no backslash in the parameters of if")
	}
	return strings.NewReplacer("%", "%%", ";", `\;`, ":", `\:`, "{", `\{`, "}", `\}`).Replace(text)
}
