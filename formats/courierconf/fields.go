package courierconf

import "bytes"

// Field is one setting of a file of fields.
type Field struct {
	Name, Value string
	Line        int
}

// ReadFields reads the files in which Courier's authentication library keeps what it needs to reach a database:
//
//	# comment
//	NAME <blanks> value to the end of the line
//	NAME <blanks> first part \
//	              second part           joined as they are; the backslash becomes a blank
//	##NAME: MARKER:0                    the last section
//
// Nothing is quoted. Blanks at both ends of a value go. Of a name that comes twice the library uses the first; all are
// given here. Without the marker line the library refuses the whole file (courier-authlib 0.71, config_file).
func ReadFields(src []byte) (fields []Field, marker bool) {
	lines := bytes.Split(src, []byte("\n"))
	for i := 0; i < len(lines); i++ {
		line := bytes.TrimSpace(lines[i])
		if len(line) == 0 || line[0] == '#' {
			marker = marker || bytes.HasPrefix(lines[i], []byte("##NAME: MARKER:"))
			continue
		}
		at := i + 1
		name, rest := line, []byte(nil)
		if blank := bytes.IndexAny(line, " \t\r\v\f"); blank >= 0 {
			name, rest = line[:blank], bytes.TrimSpace(line[blank:])
		}
		var value []byte
		for bytes.HasSuffix(rest, []byte(`\`)) {
			value = append(append(value, rest[:len(rest)-1]...), ' ')
			if i++; i == len(lines) {
				rest = nil
				break
			}
			rest = bytes.TrimSpace(lines[i])
		}
		fields = append(fields, Field{string(name), string(append(value, rest...)), at})
	}
	return fields, marker
}
