package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

func canonicalHash(d []byte) string { // sha256 with every LF not preceded by CR turned into CRLF
	h := sha256.New()
	start := 0
	for i := 0; i < len(d); i++ {
		if d[i] == '\n' && (i == 0 || d[i-1] != '\r') {
			h.Write(d[start:i])
			h.Write([]byte("\r\n"))
			start = i + 1
		}
	}
	h.Write(d[start:])
	return hex.EncodeToString(h.Sum(nil))
}
func crlfSize(d []byte) int {
	n := len(d)
	for i := 0; i < len(d); i++ {
		if d[i] == '\n' && (i == 0 || d[i-1] != '\r') {
			n++
		}
	}
	return n
}
func toCRLF(d []byte) []byte {
	o := make([]byte, 0, len(d)+len(d)/40)
	for i := 0; i < len(d); i++ {
		if d[i] == '\n' && (i == 0 || d[i-1] != '\r') {
			o = append(o, '\r')
		}
		o = append(o, d[i])
	}
	return o
}
func fromLine(l []byte, rd bool) bool {
	if rd {
		k := 0
		for k < len(l) && l[k] == '>' {
			k++
		}
		l = l[k:]
	}
	return bytes.HasPrefix(l, []byte("From "))
}
func mboxBody(d []byte, style string) []byte {
	if style == "none" || style == "cl2" || !bytes.Contains(d, []byte("From ")) {
		return d
	}
	var o bytes.Buffer
	for len(d) > 0 {
		k := bytes.IndexByte(d, '\n')
		l := d
		if k >= 0 {
			l = d[:k+1]
		}
		if fromLine(l, style == "rd") {
			o.WriteByte('>')
		}
		o.Write(l)
		d = d[len(l):]
	}
	return o.Bytes()
}

type writer struct {
	format, out, mstyle, style, control string
	status, folded, crlf                bool
	n                                   int
	seed                                uint64
	mbox                                map[string]*bufio.Writer
	files                               []*os.File
	made                                map[string]bool
	names                               map[string][]string // folder -> base names in order
}

func newWriter(format, out, mstyle string, status, folded bool, style string, crlf bool, control string, n int, seed uint64) (*writer, error) {
	w := &writer{format: format, out: out, mstyle: mstyle, style: style, control: control, status: status, folded: folded, crlf: crlf, n: n, seed: seed,
		mbox: map[string]*bufio.Writer{}, made: map[string]bool{}, names: map[string][]string{}}
	switch format {
	case "maildir", "eml", "mboxdir":
		return w, os.MkdirAll(out, 0o700)
	case "mbox":
		return w, os.MkdirAll(filepath.Dir(out), 0o700)
	}
	return nil, fmt.Errorf("unknown format %q", format)
}
func (w *writer) write(m *message) error {
	switch w.format {
	case "eml":
		d := m.data
		if w.crlf {
			d = toCRLF(d)
		}
		dir := w.out
		if m.folder != "" {
			dir = filepath.Join(dir, m.folder)
		}
		if !w.made[dir] {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			w.made[dir] = true
		}
		return os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d.eml", m.idx)), d, 0o600)
	case "maildir":
		return w.maildir(m)
	}
	path := w.out
	if w.format == "mboxdir" {
		f := m.folder
		if f == "" {
			f = "INBOX"
		}
		path = filepath.Join(w.out, strings.ReplaceAll(f, ".", "/"))
	}
	b := w.mbox[path]
	if b == nil {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		w.files = append(w.files, f)
		b = bufio.NewWriterSize(f, 1<<20)
		w.mbox[path] = b
	}
	fmt.Fprintf(b, "From %s %s\n", m.from, m.idate.UTC().Format("Mon Jan _2 15:04:05 2006"))
	d := m.data
	sep := bytes.Index(d, []byte("\n\n"))
	hd, body := d, []byte("\n")
	if sep >= 0 {
		hd, body = d[:sep+1], d[sep+1:]
	} else if len(d) > 0 && d[len(d)-1] != '\n' {
		hd = append(append([]byte{}, d...), '\n')
	}
	if w.mstyle == "cl" {
		body = mboxBody(body, "o")
	}
	if len(body) > 0 && body[len(body)-1] != '\n' {
		body = append(append([]byte{}, body...), '\n')
	}
	b.Write(mboxBody(hd, w.mstyle))
	if w.status {
		st, xs := "O", ""
		if strings.Contains(m.flags, "S") {
			st = "RO"
		}
		for _, c := range m.flags {
			switch c {
			case 'R':
				xs += "A"
			case 'F':
				xs += "F"
			case 'T':
				xs += "D"
			case 'D':
				xs += "T"
			}
		}
		fmt.Fprintf(b, "Status: %s\n", st)
		if xs != "" {
			fmt.Fprintf(b, "X-Status: %s\n", xs)
		}
		if len(m.kw) > 0 {
			b.WriteString("X-Keywords:")
			for _, k := range m.kw {
				b.WriteString(" " + keywords[k])
			}
			b.WriteString("\n")
		}
	}
	if strings.HasPrefix(w.mstyle, "cl") {
		fmt.Fprintf(b, "Content-Length: %d\n", len(body)-1)
		b.Write(body)
	} else {
		b.Write(mboxBody(body, w.mstyle))
	}
	_, err := b.WriteString("\n")
	return err
}
func (w *writer) maildir(m *message) error {
	dir := w.out
	if m.folder != "" {
		dir = filepath.Join(dir, "."+m.folder)
	}
	if !w.made[dir] {
		for _, s := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(dir, s), 0o700); err != nil {
				return err
			}
		}
		if m.folder != "" {
			os.WriteFile(filepath.Join(dir, "maildirfolder"), nil, 0o600)
		}
		w.made[dir] = true
	}
	d := m.data
	if w.crlf {
		d = toCRLF(d)
	}
	t := m.idate.Unix()
	var base string
	switch w.style {
	case "courier":
		base = fmt.Sprintf("%d.M%dP%dV000000000000FE01I%016X_0.mx.example.com,S=%d", t, (m.idx*7919)%1000000, 1000+m.idx%30000, 0x10000+m.idx, len(d))
	case "plain":
		base = fmt.Sprintf("%d.P%dQ%d.mx.example.com", t, 1000+m.idx%30000, m.idx)
	default:
		base = fmt.Sprintf("%d.M%dP%d.mx,S=%d,W=%d", t, (m.idx*7919)%1000000, 1000+m.idx%30000, len(d), crlfSize(d))
	}
	w.names[m.folder] = append(w.names[m.folder], base)
	fl := m.flags
	if w.control == "dovecot" {
		for _, k := range m.kw {
			fl += string(rune('a' + k))
		}
	}
	sub, name := "cur", base+":2,"+fl
	if m.flags == "" && m.idx > w.n-w.n/50 {
		sub, name = "new", base
	}
	p := filepath.Join(dir, sub, name)
	if err := os.WriteFile(p, d, 0o600); err != nil {
		return err
	}
	return os.Chtimes(p, m.idate, m.idate)
}
func (w *writer) close() error {
	for _, b := range w.mbox {
		if err := b.Flush(); err != nil {
			return err
		}
	}
	for _, f := range w.files {
		if err := f.Close(); err != nil {
			return err
		}
	}
	if w.format != "maildir" || w.control == "" {
		return nil
	}
	var subs []string
	for f, names := range w.names {
		dir := w.out
		if f != "" {
			dir = filepath.Join(dir, "."+f)
			subs = append(subs, f)
		}
		var b bytes.Buffer
		vald := 1577836800 + uint32(len(names))
		switch w.control {
		case "courier", "vpopmail": // uid list with gaps, header "1 validity next-uid"
			fmt.Fprintf(&b, "1 %d %d\n", vald, 3*len(names)/2+10)
			for i, nm := range names {
				fmt.Fprintf(&b, "%d %s\n", i+1+i/2, nm)
			}
			if err := os.WriteFile(filepath.Join(dir, "courierimapuiddb"), b.Bytes(), 0o600); err != nil {
				return err
			}
		case "dovecot":
			g := sha256.Sum256([]byte(fmt.Sprint(w.seed, "/", f)))
			fmt.Fprintf(&b, "3 V%d N%d G%s\n", vald, 3*len(names)/2+10, hex.EncodeToString(g[:16]))
			for i, nm := range names {
				fmt.Fprintf(&b, "%d :%s\n", i+1+i/2, nm)
			}
			if err := os.WriteFile(filepath.Join(dir, "dovecot-uidlist"), b.Bytes(), 0o600); err != nil {
				return err
			}
			var k bytes.Buffer
			for i, w := range keywords {
				fmt.Fprintf(&k, "%d %s\n", i, w)
			}
			if err := os.WriteFile(filepath.Join(dir, "dovecot-keywords"), k.Bytes(), 0o600); err != nil {
				return err
			}
		}
	}
	sort.Strings(subs)
	switch w.control {
	case "dovecot":
		return os.WriteFile(filepath.Join(w.out, "subscriptions"), []byte("V\t2\n\n"+strings.ReplaceAll(strings.Join(subs, "\n"), ".", "\t")+"\n"), 0o600)
	}
	var b strings.Builder
	b.WriteString("INBOX\n")
	for _, s := range subs {
		b.WriteString("INBOX." + s + "\n")
	}
	return os.WriteFile(filepath.Join(w.out, "courierimapsubscribed"), []byte(b.String()), 0o600)
}
