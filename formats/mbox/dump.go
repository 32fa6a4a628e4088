package mbox

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Dump prints an mbox file as Dovecot's dialect reads it: for each message the places of its From_ line, of the hidden
// fields in its header and of its body, with their values. A file that is no mbox is an error; a wrong Content-Length
// is told where it stands.
func Dump(w io.Writer, r io.ReaderAt, size int64) error {
	s := newScanner(r, size, Auto, time.UTC)
	defer s.release()
	if err := s.begin(); err != nil {
		return err
	}
	for n := 1; ; n++ {
		e, h, m, ok := s.message(n == 1)
		if !ok {
			break
		}
		fmt.Fprintf(w, "%10d  message %d: %s\n", e.from, n, strings.TrimSpace(string(s.w.at(e.from, int(e.line))[:e.line])))
		dumpHeader(w, &e, h, &m)
	}
	if s.w.err != nil {
		return s.w.err
	}
	_, err := fmt.Fprintf(w, "%10d  end\n", size)
	return err
}

func dumpHeader(w io.Writer, e *entry, h *header, m *metadata) {
	fmt.Fprintf(w, "%10d  header of %d bytes%s\n", e.start(), e.head, notes(e, m))
	for _, f := range h.hidden {
		fmt.Fprintf(w, "%10d    %s: %s\n", f.start, hiddenHeaders[f.kind], strings.TrimSpace(string(f.value)))
	}
	if e.bits&unfinished == 0 {
		fmt.Fprintf(w, "%10d  body of %d bytes\n", e.body(), e.end-e.body())
	}
}

// notes says what is unusual about a message.
func notes(e *entry, m *metadata) string {
	var b strings.Builder
	if m.pseudo {
		b.WriteString("; not a message: it keeps the numbers of an empty mailbox")
	}
	if e.bits&unfinished != 0 {
		b.WriteString("; no empty line ends it, so there is no body")
	}
	if e.bits&wrongCL != 0 {
		b.WriteString("; Content-Length is wrong, the message ends at the next From_ line")
	}
	return b.String()
}
