package imap

import (
	"bytes"
	"io"
	"os"
)

// spool is a message on its way in: a transaction wants to read it at any place. Small ones are kept in memory, others in
// a file without a name.
type spool struct {
	small []byte
	file  *os.File
	size  int64
}

// inMemory is what a spool holds without a file.
const inMemory = 64 << 10

func (p *spool) Write(b []byte) (int, error) {
	if p.file == nil && len(p.small)+len(b) <= inMemory {
		p.small = append(p.small, b...)
		p.size += int64(len(b))
		return len(b), nil
	}
	if p.file == nil {
		if err := p.toFile(); err != nil {
			return 0, err
		}
	}
	n, err := p.file.Write(b)
	p.size += int64(n)
	return n, err
}

func (p *spool) toFile() error {
	f, err := os.CreateTemp("", "dovetail-append")
	if err != nil {
		return err
	}
	p.file = f
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	_, err = f.Write(p.small)
	p.small = nil
	return err
}

// ReadAt, WriteTo, Size and Close make it a formats.Body.
func (p *spool) ReadAt(b []byte, at int64) (int, error) {
	if p.file != nil {
		return p.file.ReadAt(b, at)
	}
	return bytes.NewReader(p.small).ReadAt(b, at)
}

func (p *spool) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, io.NewSectionReader(p, 0, p.size))
}

func (p *spool) Size() int64 { return p.size }

func (p *spool) Close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}
