package sync

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"

	"dovetail/formats"
)

// digest identifies a body's bytes.
type digest [sha256.Size]byte

// rawDigest is that of the bytes as stored.
func rawDigest(body formats.Body) (digest, error) {
	h := sha256.New()
	if _, err := body.WriteTo(h); err != nil {
		return digest{}, err
	}
	return sum(h), nil
}

func sum(h hash.Hash) (d digest) {
	h.Sum(d[:0])
	return d
}

// crlfDigest is that of the message as IMAP gives it: every line end as CRLF. With limits of a target, what that cannot
// hold of a message is left out: header fields that it hides, and a missing line end at the end.
func crlfDigest(body formats.Body, hidden []string, ending bool) (digest, error) {
	h := sha256.New()
	w := &crlfWriter{to: h, hidden: hidden, header: true, ending: ending}
	if len(hidden) == 0 {
		w.header = false
	}
	if _, err := body.WriteTo(w); err != nil {
		return digest{}, err
	}
	w.close()
	return sum(h), nil
}

// crlfWriter writes lines with CRLF, whatever they end with. In the header it holds back one line at a time.
type crlfWriter struct {
	to     io.Writer
	hidden []string
	header bool // still in the header, and there are fields to leave out
	ending bool
	line   []byte // of the header, not complete yet
	drop   bool   // the header field at hand is a hidden one
	cr     bool   // the last byte was CR
	lf     bool   // the last byte was LF
}

func (w *crlfWriter) Write(b []byte) (int, error) {
	n := len(b)
	for w.header && len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			w.line = append(w.line, b...)
			return n, nil
		}
		w.line = append(w.line, b[:i+1]...)
		b = b[i+1:]
		w.headerLine()
	}
	w.body(b)
	return n, nil
}

// headerLine passes a complete line on unless its field is hidden. Continuation lines go where their field went.
func (w *crlfWriter) headerLine() {
	text := bytes.TrimRight(w.line, "\r\n")
	switch {
	case len(text) == 0:
		w.header, w.drop = false, false
	case text[0] != ' ' && text[0] != '\t':
		w.drop = fieldName(text, w.hidden) != ""
	}
	if !w.drop {
		w.body(w.line)
	}
	w.line = w.line[:0]
}

var crlf = []byte("\r\n")

func (w *crlfWriter) body(b []byte) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			w.plain(b)
			return
		}
		w.plain(b[:i])
		if w.cr {
			w.to.Write(crlf[1:])
		} else {
			w.to.Write(crlf)
		}
		w.cr, w.lf = false, true
		b = b[i+1:]
	}
}

func (w *crlfWriter) plain(b []byte) {
	if len(b) > 0 {
		w.to.Write(b)
		w.cr, w.lf = b[len(b)-1] == '\r', false
	}
}

// close ends the last line.
func (w *crlfWriter) close() {
	if len(w.line) > 0 {
		w.drop = w.drop && (w.line[0] == ' ' || w.line[0] == '\t') || fieldName(w.line, w.hidden) != ""
		if !w.drop {
			w.body(w.line)
		}
	}
	if w.ending && !w.lf {
		w.to.Write(crlf)
	}
}
