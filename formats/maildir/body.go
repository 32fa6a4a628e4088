package maildir

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"

	"dovetail/formats"
	"dovetail/formats/compress"
	"dovetail/formats/disk"
)

// renameTries is how often a message is looked for again because its name changed between listing and opening: each
// time somebody set a flag just then.
const renameTries = 10

// Body opens the message.
func (b *Mailbox) Body(ctx context.Context, m *formats.Message) (formats.Body, error) {
	v, e, err := b.entryOf(ctx, m.UID)
	if err != nil {
		return nil, err
	}
	var f *disk.File
	var small *disk.Small
	err = b.withFile(ctx, &v, &e, func(d *disk.Dir, name string) (err error) {
		if small, err = d.ReadSmall(name); err == disk.ErrNotSmall {
			f, err = d.Open(name)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case small == nil:
		return b.newBody(v, e, m, f)
	}
	return b.smallBody(v, e, m, small)
}

// Detail looks at the file's name and dates.
func (b *Mailbox) Detail(ctx context.Context, m *formats.Message, want formats.Want) error {
	v, e, err := b.entryOf(ctx, m.UID)
	if err != nil {
		return err
	}
	m.Size, m.VirtualSize = -1, -1
	return b.fill(ctx, v, e, m, want)
}

// entryOf gives a message of what was seen last, or of what is there now.
func (b *Mailbox) entryOf(ctx context.Context, uid formats.UID) (v *view, e *entry, err error) {
	b.mu.Lock()
	v = b.seen
	b.mu.Unlock()
	if v == nil || !v.text.whole() {
		if v, err = b.state(ctx); err != nil {
			return nil, nil, err
		}
	}
	e, ok := v.find(uid)
	if !ok {
		if v, e, ok = b.again(ctx, uid); !ok {
			return nil, nil, b.err("open", uid, "", formats.ErrNoMessage)
		}
	}
	return v, e, nil
}

// smallBody is newBody for a message that is in memory already.
func (b *Mailbox) smallBody(v *view, e *entry, m *formats.Message, s *disk.Small) (formats.Body, error) {
	b.describe(v, e, m, s.Info)
	m.Size = s.Size()
	if named, ok := sizeField(v.name(e), 'S'); ok && named == s.Size() {
		return s, nil
	}
	kind := compress.Detect(s.Bytes()[:min(int(s.Size()), compress.MagicSize)])
	if kind == compress.None {
		return s, nil
	}
	defer s.Close()
	spool, err := compress.Decode(kind, bytes.NewReader(s.Bytes()), compress.MaxSize)
	if err != nil {
		return nil, b.err("decompress", e.uid, "", &fs.PathError{Path: b.path(v, e), Err: err})
	}
	m.Size = spool.Size()
	return spool, nil
}

// describe tells what the list and the file's inode know of a message.
func (b *Mailbox) describe(v *view, e *entry, m *formats.Message, st disk.Info) {
	m.GUID, m.DerivedGUID = v.guid(e)
	m.POP3UIDL, m.POP3Order = v.pop3Of(e)
	setDates(m, st)
}

// again looks because a message is not where it was.
func (b *Mailbox) again(ctx context.Context, uid formats.UID) (*view, *entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, err := b.catchUp(ctx)
	if err != nil {
		return nil, nil, false
	}
	e, ok := v.find(uid)
	return v, e, ok
}

// withFile runs do on the message's file, wherever it is by now.
func (b *Mailbox) withFile(ctx context.Context, v **view, e **entry, do func(*disk.Dir, string) error) error {
	uid := (*e).uid
	for try := 0; ; try++ {
		err := do(b.folderAt((*e).where), string((*v).name(*e)))
		if err == nil {
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) || try == renameTries {
			return b.err("open", uid, "", err)
		}
		now, entry, ok := b.again(ctx, uid)
		if !ok {
			return b.err("open", uid, "", formats.ErrNoMessage)
		}
		*v, *e = now, entry
	}
}

func (b *Mailbox) newBody(v *view, e *entry, m *formats.Message, f *disk.File) (formats.Body, error) {
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, b.err("stat", e.uid, "", err)
	}
	b.describe(v, e, m, st)
	body, err := b.decoded(v, e, f, st.Size)
	if err != nil {
		return nil, err
	}
	m.Size = body.Size()
	return body, nil
}

func setDates(m *formats.Message, st disk.Info) {
	m.InternalDate = time.Unix(st.MTime.Sec, 0).UTC()
	m.SaveDate = time.Unix(st.CTime.Sec, 0).UTC()
}

// decoded gives the message itself. A file whose size is the one in its name is not compressed: Dovecot writes the size
// of the message there, not of the file.
func (b *Mailbox) decoded(v *view, e *entry, f *disk.File, size int64) (formats.Body, error) {
	plain := &fileBody{SectionReader: f.Section(0, size), f: f}
	if named, ok := sizeField(v.name(e), 'S'); ok && named == size {
		return plain, nil
	}
	var head [compress.MagicSize]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && err != io.EOF {
		f.Close()
		return nil, b.err("read", e.uid, "", err)
	}
	kind := compress.Detect(head[:n])
	if kind == compress.None {
		return plain, nil
	}
	defer f.Close()
	spool, err := compress.Decode(kind, f.Section(0, size), compress.MaxSize)
	if err != nil {
		return nil, b.err("decompress", e.uid, "", &fs.PathError{Path: f.Path(), Err: err})
	}
	return spool, nil
}

// fileBody is a message stored as it is.
type fileBody struct {
	*io.SectionReader
	f *disk.File
}

func (b *fileBody) Close() error { return b.f.Close() }

// WriteTo copies with a buffer that is used again.
func (b *fileBody) WriteTo(w io.Writer) (int64, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	// The reader is wrapped so that io.CopyBuffer does not call this method again.
	return io.CopyBuffer(w, struct{ io.Reader }{io.NewSectionReader(b.SectionReader, 0, b.Size())}, *buf)
}

// buffers hold a usual message whole, so that it takes one read and one write.
var buffers = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// fillFromFile looks at the message's file.
func (b *Mailbox) fillFromFile(ctx context.Context, v *view, e *entry, m *formats.Message, want formats.Want) error {
	var st disk.Info
	err := b.withFile(ctx, &v, &e, func(d *disk.Dir, name string) (err error) {
		st, err = d.Stat(name)
		return err
	})
	if err != nil {
		return err
	}
	if !st.Mode.IsRegular() {
		return b.err("open", e.uid, "", &fs.PathError{Path: b.path(v, e), Err: disk.ErrNotRegular})
	}
	setDates(m, st)
	named, ok := sizeField(v.name(e), 'S')
	if want&formats.WantVirtualSize == 0 && (want&formats.WantSize == 0 || ok && named == st.Size) {
		m.Size = st.Size
		return nil
	}
	body, err := b.Body(ctx, m)
	if err != nil {
		return err
	}
	defer body.Close()
	if want&formats.WantVirtualSize == 0 {
		return nil
	}
	if m.Size, m.VirtualSize, err = measure(body, nil); err != nil {
		return b.err("read", e.uid, "", err)
	}
	return nil
}
