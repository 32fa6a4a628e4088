package conf

// rules are the points in which the readers differ. Facts: Dovecot 1.1.rc8 and
// 2.3.19.1 lib-settings settings_read, 2.3.19.1 and 2.4.4 config_parse_line.
type rules struct {
	blanks    string // what counts as a blank
	keep      bool   // comments and blank lines do not end a continued line
	glue      bool   // continued lines keep their blanks and get none
	ambiguous bool   // warn of a "#" without a blank before it
	modern    bool   // quoted keys, groups, only \\ and \" in quotes
	tail      bool   // what follows "{" is ignored; section names have no quotes
	files     bool   // "<path" values
	refs      bool   // "$name" values
	includes  bool
	expecting string // the complaint about a line that is nothing
}

var (
	rulesV1 = rules{blanks: " \t", keep: true, glue: true, tail: true, expecting: "Expecting '='"}

	rulesV23 = rules{blanks: " \t", ambiguous: true, files: true, refs: true, includes: true,
		expecting: "Expecting '{'"}

	rulesV24 = rules{blanks: " \t\n\v\f\r", ambiguous: true, modern: true, files: true, refs: true,
		includes: true, expecting: "Expecting '{'"}

	rulesExt = rules{blanks: " \t", keep: true, ambiguous: true, tail: true, refs: true, includes: true,
		expecting: "Expecting '='"}
)

func (d Dialect) rules() *rules {
	switch d {
	case V1:
		return &rulesV1
	case V24:
		return &rulesV24
	case Ext:
		return &rulesExt
	}
	return &rulesV23
}

func (r *rules) blank(c byte) bool {
	return c == ' ' || c == '\t' || r.modern && c >= '\n' && c <= '\r'
}

func (r *rules) trimLeft(s string) string {
	for s != "" && r.blank(s[0]) {
		s = s[1:]
	}
	return s
}

func (r *rules) trimRight(s string) string {
	for s != "" && r.blank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// word cuts s after its first word; rest starts with the next one.
func (r *rules) word(s string) (word, rest string) {
	i := 0
	for i < len(s) && !r.blank(s[i]) {
		i++
	}
	return s[:i], r.trimLeft(s[i:])
}
