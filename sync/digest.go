package sync

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"sync"

	"dovetail/formats"
)

// digest identifies a body's bytes.
type digest [sha256.Size]byte

// hasher computes digests with one buffer for many messages: without ReadFrom the copying in a Body would make one each.
type hasher struct {
	hash.Hash
	buf [32 << 10]byte
}

var hashers = sync.Pool{New: func() any { return &hasher{Hash: sha256.New()} }}

func newHasher() *hasher {
	h := hashers.Get().(*hasher)
	h.Reset()
	return h
}

// ReadFrom takes everything from r.
func (h *hasher) ReadFrom(r io.Reader) (int64, error) { return readInto(h.Hash, r, h.buf[:]) }

func readInto(w io.Writer, r io.Reader, buf []byte) (n int64, err error) {
	for {
		k, err := r.Read(buf)
		n += int64(k)
		if _, werr := w.Write(buf[:k]); werr != nil {
			return n, werr
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// done gives the digest and the hasher back.
func (h *hasher) done() (d digest) {
	h.Sum(d[:0])
	hashers.Put(h)
	return d
}

// rawDigest is that of the bytes as stored.
func rawDigest(body formats.Body) (digest, error) {
	h := newHasher()
	_, err := body.WriteTo(h)
	return h.done(), err
}

// crlfDigest is that of the message as IMAP gives it: every line end as CRLF. With limits of a target, what that cannot
// hold of a message is left out: header fields that it hides, and a missing line end at the end.
func crlfDigest(body formats.Body, hidden []string, ending bool) (digest, error) {
	h := newHasher()
	w := &crlfWriter{to: h, hidden: hidden, header: len(hidden) > 0, ending: ending}
	_, err := body.WriteTo(w)
	w.close()
	return h.done(), err
}

// bodyDigest opens a message for crlfDigest.
func bodyDigest(ctx context.Context, box formats.Mailbox, m *formats.Message, hidden []string, ending bool) (digest, error) {
	body, err := box.Body(ctx, m)
	if err != nil {
		return digest{}, err
	}
	defer body.Close()
	return crlfDigest(body, hidden, ending)
}

// crlfWriter writes lines with CRLF, whatever they end with. In the header it holds back one line at a time.
type crlfWriter struct {
	to     *hasher
	hidden []string
	header bool // still in the header, and there are fields to leave out
	ending bool
	line   []byte // of the header, not complete yet
	drop   bool   // the header field at hand is a hidden one
	cr     bool   // the last byte was CR
	lf     bool   // the last byte was LF
}

// ReadFrom takes everything from r.
func (w *crlfWriter) ReadFrom(r io.Reader) (int64, error) { return readInto(w, r, w.to.buf[:]) }

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
