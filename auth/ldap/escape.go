package ldap

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"dovetail/formats/conf/variable"
)

// escape makes a value safe in filters (RFC 4515 section 3) and in distinguished names (RFC 4514 section 2.4), which
// both read a backslash with two hexadecimal digits. 2.3.19.1 escapes these characters and all bytes from 0x80
// (db-ldap.c, ldap_escape); control characters are escaped here, too.
func escape(value string) string {
	const special, digits = `*,\#+<>;"()= `, "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(value) {
		if c < 0x20 || c >= 0x7f || strings.IndexByte(special, c) >= 0 {
			b.Write([]byte{'\\', digits[c>>4], digits[c&15]})
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// tidy writes a filter in the one form that the grammar has (RFC 4515 section 3): without white space between its
// parts, and with parentheses around it. OpenLDAP's library reads the others, too, so sites have them.
func tidy(filter string) string {
	const space = " \t\r\n"
	filter = strings.Trim(filter, space)
	if filter != "" && filter[0] != '(' {
		filter = "(" + filter + ")"
	}
	var b strings.Builder
	between := true // parts; otherwise in "attribute=value"
	for i := 0; i < len(filter); i++ {
		c := filter[i]
		switch {
		case between && strings.IndexByte(space, c) >= 0:
			continue
		case c == ')':
			between = true
		case between && strings.IndexByte("(&|!", c) < 0:
			between = false
		}
		b.WriteByte(c)
	}
	return b.String()
}

// checkFilter refuses a filter that cannot be right, whatever the user's name is.
func checkFilter(t *variable.Template) error {
	if t == nil {
		return errors.New("No filter given")
	}
	text, err := t.Expand(func(string) (string, error) { return "x", nil })
	if err != nil || strings.TrimSpace(text) == "" {
		return nil // it depends on who asks
	}
	if _, err := ldap.CompileFilter(tidy(text)); err != nil {
		return fmt.Errorf("no filter, with x for all variables: %s: %w", text, err)
	}
	return nil
}
