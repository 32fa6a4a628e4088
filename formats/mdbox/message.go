package mdbox

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// record gives the map UID and save date of the i-th message.
func record(st *index.State, i int) (formats.UID, time.Time, error) {
	e := st.Ext(extRecord)
	if e == nil || e.Size < 8 {
		return 0, time.Time{}, formats.Corrupt("index: no extension %s", extRecord)
	}
	b := st.Data(i, e)
	saved := time.Time{}
	if n := binary.LittleEndian.Uint32(b[4:]); n != 0 {
		saved = time.Unix(int64(n), 0).UTC()
	}
	return formats.UID(binary.LittleEndian.Uint32(b)), saved, nil
}

// recordOf gives map UID, save date and GUID of a message; zeros of what is not known.
func recordOf(st *index.State, uid formats.UID) (mapUID formats.UID, saved uint32, guid formats.GUID) {
	i, ok := st.Find(uid)
	e := st.Ext(extRecord)
	if !ok || e == nil || e.Size < 8 {
		return 0, 0, guid
	}
	b := st.Data(i, e)
	return formats.UID(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:]), guidOf(st, i)
}

func recordBytes(mapUID formats.UID, saved uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(mapUID)), saved)
}

// validityOf gives the UIDVALIDITY of the map that a folder's records are about.
func validityOf(st *index.State) formats.UIDValidity {
	if h := tree.Header(st, extHeader); h != nil {
		return formats.UIDValidity(binary.LittleEndian.Uint32(h))
	}
	return 0
}

func saveDate(st *index.State, i int) time.Time {
	_, saved, _ := record(st, i) // without the extension no date is known
	return saved
}

// message is an open file with the place of a message in it.
type message struct {
	f *disk.File
	dbox.Message
}

// find opens the file of the i-th message and reads its header and metadata. The file is the caller's when there is no
// error. A message that is not found may have been expunged meanwhile, and purged; one that is damaged is the reason to
// build the map anew, and is looked for once more then.
func (b *Mailbox) find(st *index.State, i int) (m message, err error) {
	uid := st.UID(i)
	m, err = b.findNow(st, i)
	if err == nil || b.idx == nil {
		return m, err
	}
	for tried := false; ; tried = true {
		st, failed := b.refresh()
		if failed != nil {
			return m, failed
		}
		i, there := st.Find(uid)
		if !there {
			return m, b.fail(uid, nil, "read message", formats.ErrNoMessage)
		}
		if tried {
			return b.findNow(st, i)
		}
		if mapUID, _, _ := record(st, i); !b.store.mendMessage(mapUID, err) {
			return m, err
		}
	}
}

// findNow looks a message that is not where the map has it up anew: it may have been moved to another file.
func (b *Mailbox) findNow(st *index.State, i int) (m message, err error) {
	mapUID, _, err := record(st, i)
	if err != nil {
		return m, b.fail(st.UID(i), nil, "read message", err)
	}
	var was place
	for again := false; ; again = true {
		at, failed := b.store.lookup(mapUID, again)
		if failed != nil && err == nil {
			err = b.fail(st.UID(i), nil, "read message", failed)
		}
		if failed != nil || again && at == was {
			return m, err
		}
		if m, err = b.findAt(st.UID(i), at); err == nil {
			return m, nil
		}
		was = at
	}
}

func (b *Mailbox) findAt(uid formats.UID, at place) (m message, err error) {
	f, err := b.store.openFile(at.file)
	if err != nil {
		return m, b.fail(uid, nil, "read message", err)
	}
	m.Message, err = readAt(f, at)
	if err != nil {
		err = b.fail(uid, f, "read message", err)
		f.Close()
		return m, err
	}
	m.f = f
	return m, nil
}

func readAt(f *disk.File, at place) (dbox.Message, error) {
	st, err := f.Stat()
	if err != nil {
		return dbox.Message{}, err
	}
	h, err := dbox.ReadFileHeader(f)
	if err != nil {
		return dbox.Message{}, err
	}
	m, err := h.ReadMessage(f, int64(at.offset), st.Size)
	if err == nil && at.size != 0 && m.End-m.Offset != int64(at.size) {
		err = &dbox.OffsetError{Offset: m.Offset, Err: formats.Corrupt("message has %d bytes, the map says %d", m.End-m.Offset, at.size)}
	}
	return m, err
}

func (s *Store) openFile(id uint32) (*disk.File, error) {
	name := fileName(id)
	s.mu.Lock()
	files := s.files
	s.mu.Unlock()
	if files == nil {
		return nil, formats.Corrupt("there is no %s/", storageDir)
	}
	f, err := files.Open(name)
	if s.alt != nil && errors.Is(err, fs.ErrNotExist) {
		return s.alt.Open(name)
	}
	return f, err
}

// fail puts the place into an error. f may be nil.
func (b *Mailbox) fail(uid formats.UID, f *disk.File, op string, err error) error {
	if e, ok := errors.AsType[*formats.Error](err); ok && e.Mailbox == b.name {
		return err
	}
	e := &formats.Error{Op: op, Mailbox: b.name, UID: uid, Err: err}
	if f != nil {
		e.Path = f.Path()
	}
	if at, ok := errors.AsType[*dbox.OffsetError](err); ok {
		e.Offset, e.Err = at.Offset, at.Err
	}
	return e
}

func (b *Mailbox) detail(st *index.State, i int, m *message) formats.Detail {
	d := formats.Detail{GUID: m.GUID, SaveDate: saveDate(st, i), Size: m.PlainSize(), VirtualSize: m.VirtualSize}
	if m.Received != dbox.Absent {
		d.InternalDate = time.Unix(m.Received, 0).UTC()
	}
	tree.POP3Of(st, extHeader).Fill(st.UID(i), &m.Metadata, &d)
	return d
}

func (b *Mailbox) look(st *index.State, i int, m *formats.Message, want formats.Want) error {
	f, err := b.find(st, i)
	if err != nil {
		return err
	}
	m.Detail = b.detail(st, i, &f)
	if want&formats.WantVirtualSize == 0 || m.VirtualSize >= 0 {
		return f.f.Close()
	}
	body, err := b.plain(m.UID, &f)
	if err != nil {
		return err
	}
	defer body.Close()
	m.Size = body.Size()
	if m.VirtualSize, err = dbox.VirtualSize(body); err != nil {
		return b.fail(m.UID, f.f, "read message", err)
	}
	return nil
}

// plain gives the message as clients see it. The result owns m.f, also when it fails.
func (b *Mailbox) plain(uid formats.UID, m *message) (formats.Body, error) {
	body, err := m.Open(m.f, b.openAttachment)
	if err != nil {
		err = b.fail(uid, m.f, "read message", err)
		m.f.Close()
		return nil, err
	}
	return body, nil
}

func (b *Mailbox) openAttachment(name string) (io.ReadCloser, error) {
	if b.store.Attachments == nil {
		return nil, dbox.ErrNoAttachments
	}
	return b.store.Attachments.Open(name)
}

// Body opens a message.
func (b *Mailbox) Body(_ context.Context, m *formats.Message) (formats.Body, error) {
	st := b.damaged
	if b.idx != nil {
		st = b.idx.Snapshot()
	}
	i, ok := st.Find(m.UID)
	if !ok {
		return nil, b.fail(m.UID, nil, "read message", formats.ErrNoMessage)
	}
	f, err := b.find(st, i)
	if err != nil {
		return nil, err
	}
	m.Detail = b.detail(st, i, &f)
	body, err := b.plain(m.UID, &f)
	if err != nil {
		return nil, err
	}
	m.Size = body.Size()
	return body, nil
}
