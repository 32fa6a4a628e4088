package maildir

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"dovetail/formats"
)

// MaildirSizeName is the file in the root of a Maildir that holds its quota and what is used of it.
const MaildirSizeName = "maildirsize"

// MaildirSize is the content of a maildirsize file, the same for Courier, vpopmail and Dovecot (Maildir++):
//
//	10000000S,1000C        limits: bytes and messages; either may be missing
//	     4096            2   sums and changes of bytes and messages, which may be negative
type MaildirSize struct {
	Bytes, Messages int64 // the limits; 0 none
	Changes         []SizeChange
}

// SizeChange is a line of maildirsize behind the first.
type SizeChange struct{ Bytes, Messages int64 }

// Used adds the changes up.
func (m *MaildirSize) Used() (bytes, messages int64) {
	for _, c := range m.Changes {
		bytes, messages = bytes+c.Bytes, messages+c.Messages
	}
	return bytes, messages
}

// ParseMaildirSize reads the file. Lines behind the first that are not understood, or have no line end, are skipped and
// counted: the sums are wrong then and must be made anew. A first line that is no quota is an error.
func ParseMaildirSize(b []byte) (m MaildirSize, skipped int, err error) {
	first, rest, ok := bytes.Cut(b, []byte{'\n'})
	if !ok {
		return m, 0, formats.Corrupt("%s has no first line", MaildirSizeName)
	}
	if m.Bytes, m.Messages, err = ParseMaildirQuota(string(first)); err != nil {
		return m, 0, err
	}
	for line := range bytes.Lines(rest) {
		line, whole := bytes.CutSuffix(line, []byte{'\n'})
		fields := strings.Fields(string(line))
		if !whole || len(fields) != 2 {
			skipped++
			continue
		}
		size, err1 := strconv.ParseInt(fields[0], 10, 64)
		count, err2 := strconv.ParseInt(fields[1], 10, 64)
		if err1 != nil || err2 != nil {
			skipped++
			continue
		}
		m.Changes = append(m.Changes, SizeChange{size, count})
	}
	return m, skipped, nil
}

// ParseMaildirQuota reads limits as they stand in the first line: "10000000S,1000C", "5000000S", "100C", "" for none.
func ParseMaildirQuota(s string) (bytes, messages int64, err error) {
	for part := range strings.SplitSeq(strings.TrimRight(s, "\r "), ",") {
		if part == "" {
			continue
		}
		n, err := strconv.ParseInt(part[:len(part)-1], 10, 64)
		if err != nil || n < 0 {
			return 0, 0, formats.Corrupt("%s: %q is no quota", MaildirSizeName, clip([]byte(s)))
		}
		switch part[len(part)-1] {
		case 'S':
			bytes = n
		case 'C':
			messages = n
		default:
			return 0, 0, formats.Corrupt("%s: %q is no quota", MaildirSizeName, clip([]byte(s)))
		}
	}
	return bytes, messages, nil
}

// FormatMaildirQuota writes limits as ParseMaildirQuota reads them.
func FormatMaildirQuota(bytes, messages int64) string {
	var parts []string
	if bytes > 0 {
		parts = append(parts, strconv.FormatInt(bytes, 10)+"S")
	}
	if messages > 0 {
		parts = append(parts, strconv.FormatInt(messages, 10)+"C")
	}
	return strings.Join(parts, ",")
}

// AppendMaildirSize writes the file, its numbers padded as Courier pads them: every line has the same length.
func AppendMaildirSize(b []byte, m MaildirSize) []byte {
	b = append(append(b, FormatMaildirQuota(m.Bytes, m.Messages)...), '\n')
	for _, c := range m.Changes {
		b = fmt.Appendf(b, "%12d %12d\n", c.Bytes, c.Messages)
	}
	return b
}
