package imapwire

import (
	"strings"
)

// ParseSection reads a section as it stands between the brackets of BODY[…], and in URLs: "1.2.HEADER".
func ParseSection(text string) (*Section, error) {
	if strings.ContainsAny(text, "\r\n{]<") {
		return nil, &SyntaxError{Text: "Invalid section"}
	}
	d := NewDecoder(strings.NewReader("[" + text + "]\r\n"))
	d.left = MaxLine
	s := d.section(true)
	d.finish()
	d.pos = d.end
	d.release()
	if d.err != nil {
		return nil, d.err
	}
	return s, nil
}
