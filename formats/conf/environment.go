package conf

import "strings"

// ExpandEnvironment replaces "$ENV:NAME" in a value. It must begin the value or
// follow a blank, and its name goes on to the next space. What get does not
// know becomes nothing. External files (dialect Ext) know no other reference;
// in the other dialects the same word may stand among "$name" references.
// Rule: lib-settings expand_environment_vars of 2.3.19.1.
func ExpandEnvironment(value string, get func(name string) (string, bool)) string {
	const mark = "$ENV:"
	if !strings.Contains(value, mark) {
		return value
	}
	var b strings.Builder
	for i := 0; i < len(value); {
		if !strings.HasPrefix(value[i:], mark) || i > 0 && value[i-1] != ' ' && value[i-1] != '\t' {
			b.WriteByte(value[i])
			i++
			continue
		}
		name, _, _ := strings.Cut(value[i+len(mark):], " ")
		text, _ := get(name)
		b.WriteString(text)
		i += len(mark) + len(name)
	}
	return b.String()
}
