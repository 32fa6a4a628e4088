package sdbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
)

func fileName(uid formats.UID) string { return "u." + strconv.FormatUint(uint64(uid), 10) }

// message is an open u.<uid>.
type message struct {
	f    *disk.File
	info disk.Info
	dbox.Message
}

// open finds a message's file in the mail root or the alt root. An error about its bytes leaves the file open when what
// is damaged is only the metadata, or the end is missing, so that the message itself can still be had: m.f is not nil then.
func (b *Mailbox) open(uid formats.UID) (m message, err error) {
	f, err := b.openFile(uid)
	if errors.Is(err, fs.ErrNotExist) {
		return m, b.fail("open message", uid, nil, formats.ErrNoMessage)
	}
	if err != nil {
		return m, b.fail("open message", uid, nil, err)
	}
	m.info, err = f.Stat()
	if err == nil {
		m.Message, err = readFile(f, m.info.Size)
	}
	if err != nil {
		err = b.fail("read message", uid, f, err)
		if m.Body == 0 {
			f.Close()
			return m, err
		}
	}
	m.f = f
	return m, err
}

// small reads a message whose file is small, intact and not packed: most are. For any other it gives nil; what is the
// matter with it is found out by open.
func (b *Mailbox) small(m *formats.Message) formats.Body {
	s, err := b.mail.ReadSmall(fileName(m.UID))
	if err != nil {
		return nil
	}
	info := s.Info
	one, err := dbox.ReadSmall(s.Bytes())
	if err != nil || one.Packed(s.Bytes()) {
		s.Close()
		return nil
	}
	s.Cut(one.Body, one.Body+one.StoredSize)
	m.Detail = b.detail(&message{info: info, Message: one})
	tree.POP3Of(b.state(), extDbox).Fill(m.UID, &one.Metadata, &m.Detail)
	m.Size = s.Size()
	return s
}

func readFile(r io.ReaderAt, size int64) (dbox.Message, error) {
	one := headReader{r: r}
	one.n, _ = r.ReadAt(one.head[:], 0) // an error comes again where it matters
	h, err := dbox.ReadFileHeader(&one)
	if err != nil {
		return dbox.Message{}, err
	}
	return h.ReadMessage(&one, int64(h.Size), size)
}

// headReader reads the two headers at the start of a file with one call: a listing opens many files.
type headReader struct {
	r    io.ReaderAt
	head [96]byte
	n    int
}

func (h *headReader) ReadAt(p []byte, off int64) (int, error) {
	if off >= 0 && off+int64(len(p)) <= int64(h.n) {
		return copy(p, h.head[off:]), nil
	}
	return h.r.ReadAt(p, off)
}

// openFile looks in the alt root as well: Dovecot 2.3 finds a message there whether or not its record says so.
func (b *Mailbox) openFile(uid formats.UID) (*disk.File, error) {
	f, err := b.mail.Open(fileName(uid))
	if b.alt != nil && errors.Is(err, fs.ErrNotExist) {
		return b.alt.Open(fileName(uid))
	}
	return f, err
}

// fail puts the place into an error. f may be nil.
func (b *Mailbox) fail(op string, uid formats.UID, f *disk.File, err error) error {
	e := &formats.Error{Op: op, Mailbox: b.name, UID: uid, Err: err}
	if f != nil {
		e.Path = f.Path()
	} else if uid != 0 {
		e.Path = b.mail.Path() + "/" + fileName(uid)
	}
	if at, ok := errors.AsType[*dbox.OffsetError](err); ok {
		e.Offset, e.Err = at.Offset, at.Err
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok && e.Path == pe.Path {
		e.Err = pe.Err
	}
	return e
}

// detail is what the file tells of its message.
func (b *Mailbox) detail(m *message) formats.Detail {
	d := formats.Detail{
		GUID:        m.GUID,
		SaveDate:    time.Unix(m.info.CTime.Sec, 0).UTC(),
		Size:        m.PlainSize(),
		VirtualSize: m.VirtualSize,
	}
	if m.Received != dbox.Absent {
		d.InternalDate = time.Unix(m.Received, 0).UTC()
	} else {
		d.InternalDate = time.Unix(m.info.MTime.Sec, 0).UTC()
	}
	return d
}

// plain gives the message as clients see it. The result owns m.f, also when it fails.
func (b *Mailbox) plain(uid formats.UID, m *message) (formats.Body, error) {
	body, err := m.Open(m.f, b.openAttachment(uid))
	if err != nil {
		err = b.fail("read message", uid, m.f, err)
		m.f.Close()
		return nil, err
	}
	return body, nil
}

// openAttachment knows that sdbox appends mailbox GUID and UID to each name, so that an expunge removes the right link.
func (b *Mailbox) openAttachment(uid formats.UID) func(string) (io.ReadCloser, error) {
	return func(name string) (io.ReadCloser, error) {
		if b.store.Attachments == nil {
			return nil, dbox.ErrNoAttachments
		}
		return b.store.Attachments.Open(attachmentName(name, b.guid(), uid))
	}
}

func attachmentName(name string, box formats.GUID, uid formats.UID) string {
	return fmt.Sprintf("%s-%s-%d", name, box, uid)
}

// contentOf is a message file without its first line, which holds the time of writing.
func contentOf(f *disk.File) (*io.SectionReader, error) {
	h, err := dbox.ReadFileHeader(f)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return f.Section(int64(h.Size), st.Size-int64(h.Size)), nil
}

// equalSections compares two parts of the same length.
func equalSections(a, b *io.SectionReader) (bool, error) {
	one, two := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		n, err := io.ReadFull(a, one)
		m, err2 := io.ReadFull(b, two)
		if n != m || !bytes.Equal(one[:n], two[:m]) {
			return false, nil
		}
		for _, err := range []error{err, err2} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return false, err
			}
		}
		if err != nil {
			return true, nil
		}
	}
}
