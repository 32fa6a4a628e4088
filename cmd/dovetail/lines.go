package main

import (
	"bufio"
	"encoding/json"
	"io"
)

// lines is the answer on standard output: buffered, and with JSON objects one a line.
type lines struct {
	*bufio.Writer
	encoder *json.Encoder
}

func newLines(w io.Writer) *lines {
	l := &lines{Writer: bufio.NewWriterSize(w, 64<<10)}
	l.encoder = json.NewEncoder(l.Writer)
	l.encoder.SetEscapeHTML(false)
	return l
}

// object writes one JSON object; an error of the writer shows at Flush, as with bufio.
func (l *lines) object(v any) { l.encoder.Encode(v) }
