package parsed

import (
	"dovetail/formats/message"
	"dovetail/formats/message/titlecase"
)

// Comparison says in which form a field's value is searched.
type Comparison uint8

// The forms in which Dovecot searches fields (mail-search-build, index-search.c).
const (
	Plain     Comparison = iota // the decoded value
	Addresses                   // addresses as they are written without anything needless
	Squeezed                    // runs of white space as one space, none at the ends
)

// Comparisons are those of the search keys that are named like fields, by their names in upper case.
var Comparisons = map[string]Comparison{"BCC": Addresses, "CC": Addresses, "FROM": Addresses, "TO": Addresses, "SUBJECT": Squeezed}

// Comparer brings values of fields into the form in which they are searched. It is for one goroutine.
type Comparer struct{ unfolded, value, decoded []byte }

// Append appends a field's value, given as it stands in the header. A line end behind it belongs to what is searched.
func (c *Comparer) Append(dst, value []byte, how Comparison) []byte {
	c.unfolded = AppendUnfolded(c.unfolded[:0], value)
	value = c.unfolded
	switch how {
	case Addresses:
		c.value = appendAddresses(c.value[:0], message.ParseAddresses(value, 0))
		value = c.value
	case Squeezed:
		c.value = appendSqueezed(c.value[:0], value)
		value = c.value
	}
	return c.AppendLine(dst, value)
}

// AppendLine appends a value in one line decoded (RFC 2047) and in titlecase.
func (c *Comparer) AppendLine(dst, value []byte) []byte {
	c.decoded = message.DecodeHeader(c.decoded[:0], value)
	dst, _ = titlecase.Append(dst, c.decoded)
	return append(dst, "\r\n"...)
}

func appendSqueezed(dst, value []byte) []byte {
	space := true
	for _, b := range value {
		switch b {
		case ' ', '\t', '\r', '\n':
			if !space {
				dst = append(dst, ' ')
			}
			space = true
		default:
			dst = append(dst, b)
			space = false
		}
	}
	return dst
}
