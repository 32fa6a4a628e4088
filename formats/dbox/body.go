package dbox

import (
	"io"
	"sync"

	"dovetail/formats"
	"dovetail/formats/compress"
	"dovetail/formats/disk"
)

// Open gives the plain message m of file f: decompressed, with its attachments, which attachment opens by their Path.
// On success the body owns f; when it fails f is still the caller's.
func (m *Message) Open(f *disk.File, attachment func(name string) (io.ReadCloser, error)) (formats.Body, error) {
	stored := f.Section(m.Body, m.StoredSize)
	var head [compress.MagicSize]byte
	n, err := stored.ReadAt(head[:], 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	kind := compress.Detect(head[:n])
	if kind == compress.None && m.Attachments == "" {
		return &body{SectionReader: stored, f: f}, nil
	}
	spool, err := m.unpack(kind, stored, attachment)
	if err != nil {
		return nil, err
	}
	f.Close() // only read: nothing can be lost
	return spool, nil
}

func (m *Message) unpack(kind compress.Kind, stored io.Reader, attachment func(string) (io.ReadCloser, error)) (*disk.Spool, error) {
	limit := int64(compress.MaxSize)
	if m.Plain != Absent {
		limit = m.Plain
	}
	if kind != compress.None {
		spool, err := compress.Decode(kind, stored, limit)
		if err != nil {
			return nil, &OffsetError{Offset: m.Body, Err: err}
		}
		if m.Attachments == "" {
			return m.checked(spool)
		}
		defer spool.Close()
		stored = io.NewSectionReader(spool, 0, spool.Size())
	}
	parts, err := ParseAttachments(m.Attachments)
	if err != nil {
		return nil, err
	}
	spool := new(disk.Spool)
	if err := Inline(spool, stored, parts, limit, attachment); err != nil {
		spool.Close()
		return nil, err
	}
	return spool, nil
}

// checked refuses a message that is shorter than its metadata says; a longer one was refused while it was read.
func (m *Message) checked(spool *disk.Spool) (*disk.Spool, error) {
	if m.Plain != Absent && m.Plain != spool.Size() {
		spool.Close()
		return nil, corrupt(m.Body, "message decompresses to %d bytes, not %d", spool.Size(), m.Plain)
	}
	return spool, nil
}

// body is a message that lies in its file as it is.
type body struct {
	*io.SectionReader
	f *disk.File
}

func (b *body) Close() error { return b.f.Close() }

// WriteTo copies the whole message, whatever was read before.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	// Both ends are wrapped, or io.CopyBuffer would use their own copying and not the buffer.
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{io.NewSectionReader(b, 0, b.Size())}, *buf)
}

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}
