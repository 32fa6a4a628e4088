package dbox

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"dovetail/formats"
)

// Attachment is a part of a message that is kept in a file of its own (Dovecot's mail_attachment_dir). In the metadata
// line X it is four words, "offset size options path", one attachment after the other:
//
//   - stored as it is
//     B<n>    stored decoded; it was base64 with n characters per line, each ended by LF but the last
//     CB<n>   the same with CRLF
type Attachment struct {
	Offset, Size int64 // where it belongs in the plain message
	Base64       int   // characters per line, 0 not encoded
	CRLF         bool

	// Path is relative to the attachment root; sdbox appends a suffix to it. Its parts are plain names.
	Path string
}

// ErrNoAttachments means that a part of a message is kept elsewhere and nobody said where.
var ErrNoAttachments = errors.New("kept outside the message, and the attachment root (mail_attachment_dir) is not known")

// ParseAttachments reads the value of X. The parts are in order and do not overlap.
func ParseAttachments(value string) ([]Attachment, error) {
	words := strings.Split(value, " ")
	if len(words)%4 != 0 {
		return nil, formats.Corrupt("attachment list of %d words", len(words))
	}
	var list []Attachment
	var end int64
	for ; len(words) > 0; words = words[4:] {
		a, err := parseAttachment(words[:4])
		if err != nil {
			return nil, err
		}
		if a.Offset < end {
			return nil, formats.Corrupt("attachment at byte %d begins before the end of the one before", a.Offset)
		}
		end = a.Offset + a.Size
		list = append(list, a)
	}
	return list, nil
}

func parseAttachment(words []string) (Attachment, error) {
	bad := formats.Corrupt("attachment %q", words)
	off, err1 := strconv.ParseUint(words[0], 10, 62)
	size, err2 := strconv.ParseUint(words[1], 10, 62)
	if err1 != nil || err2 != nil {
		return Attachment{}, bad
	}
	a := Attachment{Offset: int64(off), Size: int64(size), Path: words[3]}
	options := words[2]
	if options == "-" {
		options = ""
	}
	options, a.CRLF = strings.CutPrefix(options, "C")
	if number, ok := strings.CutPrefix(options, "B"); ok {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || n == 0 || n%4 != 0 {
			return Attachment{}, bad
		}
		a.Base64, options = int(n), ""
	}
	// The path comes out of a file that the mail user can write: it must stay below the root.
	if options != "" || a.Path == "" || path.Clean("/" + a.Path)[1:] != a.Path {
		return Attachment{}, bad
	}
	return a, nil
}

// Inline writes the plain message: stored with each part put in where it belongs. open opens a part by its Path.
// The result must be size bytes long, or the error wraps formats.ErrCorrupt.
func Inline(w io.Writer, stored io.Reader, parts []Attachment, size int64, open func(name string) (io.ReadCloser, error)) error {
	out := &countWriter{w: w}
	for _, a := range parts {
		if _, err := io.CopyN(out, stored, a.Offset-out.n); err == io.EOF {
			return formats.Corrupt("message ends at byte %d, before the attachment at byte %d", out.n, a.Offset)
		} else if err != nil {
			return err
		}
		if err := a.copyTo(out, open); err != nil {
			return err
		}
		if out.n != a.Offset+a.Size {
			return formats.Corrupt("attachment %s gave %d bytes, not %d", a.Path, out.n-a.Offset, a.Size)
		}
	}
	if _, err := io.Copy(out, stored); err != nil {
		return err
	}
	if out.n != size {
		return formats.Corrupt("message with its attachments has %d bytes, not %d", out.n, size)
	}
	return nil
}

func (a Attachment) copyTo(w io.Writer, open func(string) (io.ReadCloser, error)) error {
	f, err := open(a.Path)
	if err != nil {
		return fmt.Errorf("attachment: %w", err)
	}
	defer f.Close()
	// One byte more than expected shows a part that is too long without copying a file of any size.
	if a.Base64 == 0 {
		_, err = io.Copy(w, io.LimitReader(f, a.Size+1))
		return err
	}
	return a.encode(w, io.LimitReader(f, a.Size+1))
}

func (a Attachment) encode(w io.Writer, r io.Reader) error {
	in, out := bufio.NewReader(r), bufio.NewWriter(w)
	raw, text := make([]byte, a.Base64/4*3), make([]byte, a.Base64)
	eol := "\n"
	if a.CRLF {
		eol = "\r\n"
	}
	for first := true; ; first = false {
		n, err := io.ReadFull(in, raw)
		if n > 0 {
			if !first {
				out.WriteString(eol)
			}
			base64.StdEncoding.Encode(text, raw[:n])
			out.Write(text[:base64.StdEncoding.EncodedLen(n)])
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return out.Flush()
		}
		if err != nil {
			return err
		}
	}
}

type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
