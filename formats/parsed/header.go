package parsed

import (
	"bytes"
	"io"
	"iter"
	"slices"

	"dovetail/formats/message"
)

// maxHeader is how much of a header is looked at: what stands behind it is not kept.
const maxHeader = 10 << 20

// Fill puts into d what a message tells when it is read: m is parsed from body, which is the message as stored.
func (d *Data) Fill(body io.ReaderAt, m *message.Message) error {
	size := m.Tree.Size()
	d.Size, d.VirtualSize = size.Stored, size.Virtual
	d.Tree = m.Tree
	d.Envelope = m.AppendEnvelope(nil)
	d.BodyStructure = m.AppendBodyStructure(nil)
	if d.HasHeader {
		return nil
	}
	header := make([]byte, min(m.Tree[0].Header.Stored, maxHeader))
	n, err := body.ReadAt(header, 0)
	if err != nil && err != io.EOF {
		return err
	}
	d.TakeHeader(header[:n])
	return nil
}

// TakeHeader keeps what is worth it of a message's header, given as stored: the fields of KeptField and those named in
// more, in upper case.
func (d *Data) TakeHeader(header []byte, more ...string) {
	d.HasHeader, d.Header, d.More = true, nil, slices.Clone(more)
	d.Sent, d.SentZone = 0, 0
	var upper []byte
	dated := false
	for f := range Fields(header) {
		upper = appendUpper(upper[:0], f.Name)
		if !keptFields[string(upper)] && !slices.Contains(more, string(upper)) {
			continue
		}
		d.Header = append(d.Header, f.Lines...)
		if !dated && string(upper) == "DATE" {
			dated = true
			d.takeDate(f.Value)
		}
	}
	if n := len(d.Header); n > 0 && d.Header[n-1] != '\n' {
		d.Header = append(d.Header, '\n')
	}
}

// takeDate counts seconds in 32 bits without a sign, so that a date before 1970 is one after 2038, as Dovecot's cache does
// (index-mail.c index_mail_cache_sent_date).
func (d *Data) takeDate(value []byte) {
	if t, ok := message.ParseDate(value); ok {
		_, offset := t.Zone()
		d.Sent, d.SentZone = int64(uint32(t.Unix())), offset/60
	}
}

func appendUpper(dst, name []byte) []byte {
	for _, b := range name {
		if b-'a' < 26 {
			b -= 'a' - 'A'
		}
		dst = append(dst, b)
	}
	return dst
}

// Field is a field of a header.
type Field struct {
	Name  []byte // as written, without white space before the colon
	Gap   []byte // from there to the value: the colon and one space or tab
	Value []byte // with its line breaks, without the last
	Lines []byte // all of it
}

// Is tells whether the field has that name, given in upper case.
func (f *Field) Is(upper string) bool {
	if len(f.Name) != len(upper) {
		return false
	}
	for i, b := range f.Name {
		if b-'a' < 26 {
			b -= 'a' - 'A'
		}
		if b != upper[i] {
			return false
		}
	}
	return true
}

// Fields gives the fields of a header up to its empty line. A line without a colon is a field without a value, as in
// Dovecot (message-header-parser.c).
func Fields(header []byte) iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for len(header) > 0 && header[0] != '\n' && !bytes.HasPrefix(header, []byte("\r\n")) {
			n := fieldLength(header)
			if !yield(cutField(header[:n:n])) {
				return
			}
			header = header[n:]
		}
	}
}

// fieldLength is up to a line that does not begin with white space.
func fieldLength(header []byte) int {
	for at := 0; ; {
		n := bytes.IndexByte(header[at:], '\n')
		if n < 0 {
			return len(header)
		}
		at += n + 1
		if at == len(header) || header[at] != ' ' && header[at] != '\t' {
			return at
		}
	}
}

func cutField(lines []byte) Field {
	f := Field{Lines: lines}
	text := bytes.TrimSuffix(bytes.TrimSuffix(lines, []byte{'\n'}), []byte{'\r'})
	first, _, _ := bytes.Cut(text, []byte{'\n'})
	colon := bytes.IndexByte(first, ':')
	if colon < 0 {
		f.Name = bytes.TrimSuffix(first, []byte{'\r'})
		f.Gap, f.Value = text[len(text):], text[len(text):]
		if len(first) < len(text) {
			f.Value = text[len(first)+1:]
		}
		return f
	}
	end := colon
	for end > 0 && (text[end-1] == ' ' || text[end-1] == '\t') {
		end--
	}
	value := colon + 1
	if value < len(first) && (text[value] == ' ' || text[value] == '\t') {
		value++
	}
	f.Name, f.Gap, f.Value = text[:end], text[end:value], text[value:]
	return f
}

// AppendUnfolded appends a value in one line: line breaks go, and white space behind them begins with a space.
func AppendUnfolded(dst, value []byte) []byte {
	for {
		line, rest, more := bytes.Cut(value, []byte{'\n'})
		if more {
			line = bytes.TrimSuffix(line, []byte{'\r'})
		}
		dst = append(dst, line...)
		if !more {
			return dst
		}
		if len(rest) > 0 && rest[0] == '\t' {
			dst = append(dst, ' ')
			rest = rest[1:]
		}
		value = rest
	}
}
