package variable

import (
	"strconv"
	"strings"
)

// quote24 writes a string of 2.4.
func quote24(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\t", `\t`, "\n", `\n`, "\r", `\r`).Replace(s) + "'"
}

// source writes where a field takes its value from, nil if that is impossible.
func (c *converter24) source(s source) *chain {
	switch v := s.(type) {
	case short:
		return c.name(string(v))
	case name:
		return c.name(string(v))
	case environment:
		return &chain{filters: []string{"env:" + string(v)}}
	case *hashing:
		return c.hashing(v)
	case *condition:
		return c.condition(v)
	case *crypting:
		c.lose("%{encrypt:...}", "2.4 takes the key in another way")
	}
	return nil
}

// process24 are the variables of 2.x that exist in every place.
var process24 = map[string]string{"pid": "process:pid", "uid": "process:uid", "gid": "process:gid", "hostname": "system:hostname"}

func (c *converter24) name(n string) *chain {
	if e := c.words.to24[n]; e != "" {
		return &chain{filters: []string{e}}
	}
	if e := process24[n]; e != "" {
		return &chain{filters: []string{e}}
	}
	function, argument, found := strings.Cut(n, ":")
	if !found {
		c.lose("%"+n, "unknown variable")
		return nil
	}
	field, otherwise, _ := strings.Cut(argument, ":")
	e := &chain{filters: []string{function + ":" + field}}
	if otherwise != "" {
		e.add("default(" + quote24(otherwise) + ")")
	}
	return e
}

func (c *converter24) hashing(h *hashing) *chain {
	e := c.source(h.of)
	if e == nil {
		return nil
	}
	if h.pkcs5 {
		c.lose("%{pkcs5:...}", "2.4 has no such hash")
		return nil
	}
	e.text()
	var args []string
	filter := h.algo
	if filters[filter] == nil {
		args, filter = append(args, quote24(filter)), "hash"
	}
	if h.rounds != 1 {
		args = append(args, "rounds="+strconv.FormatInt(h.rounds, 10))
	}
	if h.salt != nil {
		salt, ok := c.argument(h.salt, false)
		if !ok {
			c.lose("%{"+h.algo+";salt=...}", "the salt is more than a text or one variable")
		}
		args = append(args, "salt="+salt)
	}
	if len(args) > 0 {
		filter += "(" + strings.Join(args, ", ") + ")"
	}
	e.add(filter)
	bytes := h.method().Size()
	if h.bits > 0 && h.bits < int64(bytes)*8 {
		e.add("truncate(bits=" + strconv.FormatInt(h.bits, 10) + ")")
		bytes = int(h.bits+7) / 8
	}
	if h.base64 {
		e.add("base64")
		return e
	}
	e.digits = 2 * bytes
	return e
}

// condition writes an if: "left | if(op, right, then, else)".
func (c *converter24) condition(q *condition) *chain {
	op := q.args[1]
	if !op.Literal() {
		c.lose("%{if;...}", "the comparator is not a plain word")
		return nil
	}
	word := op.literal()
	if !isNumeric(word) && !isTextual(word) {
		c.lose("%{if;...}", "unsupported comparator '"+word+"'")
		return nil
	}
	e := &chain{}
	args := []string{quote24(word)}
	if left := q.args[0]; len(left.parts) == 1 && left.parts[0].field != nil {
		e.add(c.field(left.parts[0].field))
	} else {
		text, ok := c.argument(left, isNumeric(word))
		if !ok {
			c.lose("%{if;...}", "the left side is more than a text or one variable")
		}
		args = append([]string{text}, args...)
	}
	for i, t := range q.args[2:] {
		text, ok := c.argument(t, i == 0 && isNumeric(word))
		if !ok {
			c.lose("%{if;...}", "a parameter is more than a text or one variable")
		}
		args = append(args, text)
	}
	e.add("if(" + strings.Join(args, ", ") + ")")
	return e
}

// argument writes a template as one argument: a string, a number or the name
// of a variable.
func (c *converter24) argument(t *Template, number bool) (string, bool) {
	switch {
	case t.Literal():
		text := t.literal()
		if _, ok := integer(text); ok && number {
			return text, true
		}
		return quote24(text), !number
	case len(t.parts) == 1:
		e := c.field(t.parts[0].field)
		return e, !strings.Contains(e, " ") && !strings.Contains(e, "(") && e != ""
	}
	return "''", false
}

// literal gives the text of a template without variables.
func (t *Template) literal() string {
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.text)
	}
	return b.String()
}
