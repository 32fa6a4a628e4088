package variable

import (
	"strconv"
	"strings"
)

// To24 writes a template of 2.x in the form of 2.4. Whatever has no
// counterpart is listed; the text is to be used only if nothing is.
func To24(template string, place Place) (string, []Loss) {
	t, err := Parse23(template)
	if err != nil {
		return "", []Loss{{template, err.Error()}}
	}
	c := converter24{words: words(tables[place]), place: place}
	text := c.template(t)
	if _, err := Parse24(text); err != nil && len(c.losses) == 0 {
		c.lose(template, err.Error())
	}
	return text, c.losses
}

type converter24 struct {
	words  vocabulary
	place  Place
	losses []Loss
}

func (c *converter24) lose(what, why string) {
	c.losses = append(c.losses, Loss{what, why})
}

// template writes all parts. Literal text is kept together, because "%%u" of a
// shared namespace is a percent sign and text only at first sight.
func (c *converter24) template(t *Template) string {
	var out, plain strings.Builder
	flush := func(before string) {
		text := plain.String()
		plain.Reset()
		if head, cut := strings.CutSuffix(text, "%"); cut && before != "" {
			text, before = head, "%{literal('%')}"+before // "%%{" would be text
		}
		out.WriteString(c.plain(text))
		out.WriteString(before)
	}
	for _, p := range t.parts {
		switch {
		case p.field == nil:
			plain.WriteString(p.text)
		case p.field.value == short("%"):
			plain.WriteByte('%')
		default:
			if e := c.field(p.field); e != "" {
				flush("%{" + e + "}")
			}
		}
	}
	flush("")
	return out.String()
}

// plain writes literal text. In shared namespaces it is a template of its own,
// whose variables are those of the owner.
func (c *converter24) plain(s string) string {
	shared := c.place == InSharedPrefix || c.place == InSharedLocation
	if !shared || strings.IndexByte(s, '%') < 0 {
		return strings.ReplaceAll(s, "%{", "%%{")
	}
	t, err := Parse23(s)
	if err != nil {
		c.lose(s, err.Error())
		return ""
	}
	if c.place == InSharedPrefix {
		return c.prefix(t)
	}
	inner := converter24{words: words([]string{owner}), place: InStorage}
	text := inner.template(t)
	c.losses = append(c.losses, inner.losses...)
	return text
}

// prefix writes the owner's part of a prefix: only $user, $username and
// $domain exist there.
func (c *converter24) prefix(t *Template) string {
	var out strings.Builder
	for _, p := range t.parts {
		if p.field == nil {
			out.WriteString(p.text)
			continue
		}
		word := map[source]string{short("u"): "$user", short("n"): "$username", short("d"): "$domain",
			name("user"): "$user", name("username"): "$username", name("domain"): "$domain"}[key(p.field.value)]
		if word == "" || p.field.modifiers != "" || p.field.width != 0 || p.field.offset != 0 {
			c.lose("%"+p.field.String(), "the prefix of a shared namespace knows only $user, $username and $domain")
		}
		out.WriteString(word)
	}
	return out.String()
}

// key gives a source that can be compared.
func key(s source) source {
	switch s.(type) {
	case short, name, environment:
		return s
	}
	return nil
}

// String writes a field as in a template, without its "%".
func (f *field) String() string {
	var b strings.Builder
	if f.offset != 0 {
		b.WriteString(strconv.Itoa(f.offset) + ".")
	}
	if f.zero {
		b.WriteByte('0')
	}
	if f.width != 0 {
		b.WriteString(strconv.Itoa(f.width))
	}
	b.WriteString(f.modifiers)
	switch v := f.value.(type) {
	case short:
		b.WriteString(string(v))
	case name:
		b.WriteString("{" + string(v) + "}")
	case environment:
		b.WriteString("{env:" + string(v) + "}")
	case *hashing:
		b.WriteString("{" + v.algo + ":...}")
	case *crypting:
		b.WriteString("{encrypt:...}")
	default:
		b.WriteString("{if;...}")
	}
	return b.String()
}

// chain is an expression of 2.4 in the making.
type chain struct {
	filters []string
	digits  int // of what is binary: how many hexadecimal digits it prints as; 0 if it is text
}

func (e *chain) add(filter string)   { e.filters = append(e.filters, filter) }
func (e *chain) operate(calc string) { e.filters[len(e.filters)-1] += " " + calc }

// text makes binary into text, as modifiers of 2.x see it.
func (e *chain) text() {
	if e.digits > 0 {
		e.add("hexlify")
		e.digits = 0
	}
}

// field writes what stands inside %{...}.
func (c *converter24) field(f *field) string {
	e := c.source(f.value)
	if e == nil {
		return ""
	}
	left := rest{f.offset, f.width}
	for i, m := range []byte(f.modifiers) {
		last := i == len(f.modifiers)-1
		if m == 'X' && last && f.zero && f.offset == 0 && c.place == InUIDL {
			e.add("hex(" + strconv.Itoa(f.width) + ")")
			return strings.Join(e.filters, " | ")
		}
		if why := e.modify(m, &left); why != "" {
			c.lose("%"+f.String(), why)
		}
	}
	e.cut(left, f.zero)
	return strings.Join(e.filters, " | ")
}

// modify adds one modifier and says why it cannot.
func (e *chain) modify(letter byte, left *rest) (why string) {
	if letter != 'H' && letter != 'E' {
		e.text()
	}
	switch letter {
	case 'L':
		e.add("lower")
	case 'U':
		e.add("upper")
	case 'R':
		e.add("reverse")
	case 'X':
		e.add("hex")
		e.add("default('0')") // what is no number counts as 0
	case 'D':
		e.add("ldap_dn")
	case 'T':
		e.add(`regexp('[ \t\r\n\x0b\x0c]+$', '')`)
	case 'M':
		e.add("md5")
		e.digits = 32
	case 'N':
		e.newHash(left)
	case 'H':
		return "2.4 has no such hash"
	case 'E':
		return "2.4 escapes by itself where that is needed"
	}
	return ""
}

// newHash writes modifier N.
func (e *chain) newHash(left *rest) {
	modulus := int64(1) << 32
	if left.width > 0 {
		modulus = int64(left.width)
	}
	e.add("md5")
	e.add("substr(0, 8)")
	e.operate("% " + strconv.FormatInt(modulus, 10))
	digits := len(strconv.FormatInt(modulus-1, 16))
	switch n := strconv.Itoa(left.offset); {
	case left.offset <= 0 || left.offset == 1 && digits > 1:
		e.add("hex")
	case left.offset < digits:
		e.add("hex")
		e.add("lfill(" + n + ")")
	default:
		e.add("hex(" + n + ")")
	}
	left.offset, left.width = 0, 0
}

// cut writes offset and width. A filter that fails for short values, as substr
// does, stands only where the length is known.
func (e *chain) cut(left rest, zero bool) {
	o, w := left.offset, left.width
	switch {
	case o == 0 && w == 0:
		return
	case e.digits > 0 && o == 0 && w > 0 && w <= e.digits && !zero:
		e.add("hexlify(" + strconv.Itoa(w) + ")")
		return
	case e.digits > 0 && o > 0 && w > 0 && o+w <= e.digits && !zero:
		e.text()
		e.add("substr(" + strconv.Itoa(o) + ", " + strconv.Itoa(w) + ")")
		return
	}
	e.text()
	switch {
	case o > 0:
		e.add("regexp('^.{0," + strconv.Itoa(o) + "}', '')")
	case o < 0:
		e.add(`regexp('^.*(.{` + strconv.Itoa(-o) + `})$', '\\1')`)
	}
	switch {
	case w == 0, zero && w < 0:
	case zero:
		e.add("lfill(" + strconv.Itoa(w) + ")")
	case w < 0:
		e.add("regexp('.{" + strconv.Itoa(-w) + "}$', '')")
	default:
		e.add("truncate(" + strconv.Itoa(w) + ")")
	}
}
