package mdbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"sync"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// Mailbox is one open folder.
type Mailbox struct {
	store   *Store
	name    string
	storage string       // its name on disk
	dir     *disk.Dir    // index files
	idx     *index.Index // nil when the index is damaged
	lost    error        // what it no longer tells

	damaged *index.State // what could be read of it
	views   tree.Views

	update  sync.Mutex       // one commit at a time
	joining *tree.Group[*tx] // of transactions that only add messages
}

// Open opens a mailbox. Without an index nothing tells which messages are in it.
func (s *Store) Open(ctx context.Context, name string) (formats.Mailbox, error) {
	b, err := s.open(ctx, name)
	if err != nil {
		return nil, &formats.Error{Op: "open mailbox", Mailbox: name, Err: err}
	}
	return b, nil
}

func (s *Store) open(ctx context.Context, name string) (*Mailbox, error) {
	p, err := s.Find(ctx, name)
	if err != nil {
		return nil, err
	}
	b := &Mailbox{store: s, name: name, storage: strings.TrimPrefix(p.Folder, tree.MailboxesDir+"/")}
	b.joining = b.group()
	if s.Index != s.Mail {
		b.dir, err = s.Index.OpenDir(p.Index)
	} else {
		b.dir, err = s.Mail.OpenDir(p.Mail)
	}
	if err != nil {
		return nil, err
	}
	if err := b.openIndex(); err != nil {
		b.dir.Close()
		return nil, err
	}
	return b, nil
}

func (b *Mailbox) openIndex() (err error) {
	b.idx, err = index.Open(b.dir, index.Prefix)
	if errors.Is(err, fs.ErrNotExist) {
		return formats.Corrupt("index is gone: its messages are in %s/, but not which ones they are", storageDir)
	}
	if err == nil {
		if err := b.idx.Torn(); err != nil {
			b.lost = fmt.Errorf("%w, messages and flags among them", err)
		}
		return nil
	}
	if !errors.Is(err, formats.ErrCorrupt) {
		return err
	}
	if b.damaged, _ = index.Read(b.dir, index.Prefix); b.damaged == nil {
		return err
	}
	b.idx, b.lost = nil, fmt.Errorf("%w; what could be read of the index is used", err)
	return nil
}

// Name is the name the mailbox was opened with.
func (b *Mailbox) Name() string { return b.name }

// Lost says what a damaged index no longer tells.
func (b *Mailbox) Lost() error { return b.lost }

// Close gives the handle back.
func (b *Mailbox) Close() error {
	if b.idx != nil {
		b.idx.Close()
	}
	return b.dir.Close()
}

func (b *Mailbox) refresh() (*index.State, error) {
	if b.idx == nil {
		return b.damaged, nil
	}
	if _, err := b.idx.Refresh(); err != nil {
		return nil, &formats.Error{Op: "read index", Mailbox: b.name, Err: err}
	}
	st := b.idx.Snapshot()
	if dir, err := b.dir.StatSelf(); st.Deleted || err == nil && dir.Links == 0 {
		return nil, b.fail(0, nil, "read index", formats.ErrNoMailbox)
	}
	return st, nil
}

// Status counts in the index.
func (b *Mailbox) Status(context.Context) (formats.Status, error) {
	st, err := b.refresh()
	if err != nil {
		return formats.Status{}, err
	}
	return tree.Status(st, extHeader), nil
}

// View is the state of the index.
func (b *Mailbox) View(context.Context) (formats.View, error) {
	if b.idx == nil {
		return nil, nil
	}
	st, err := b.refresh()
	if err != nil {
		return nil, err
	}
	return b.views.Of(st, extHeader), nil
}

// Watch names the folder of the index: every change is in its log.
func (b *Mailbox) Watch(add func(d *disk.Dir, name string) error) error { return add(b.dir, "") }

// Fingerprint is the place in the log up to which the mailbox is known.
func (b *Mailbox) Fingerprint(context.Context) (string, error) {
	st, err := b.refresh()
	if err != nil || b.lost != nil {
		return "", err
	}
	return fmt.Sprintf("%x-%x-%x", st.IndexID, st.LogSeq, st.Head), nil
}

// Messages reads the index alone, and header and metadata of each message only when q wants something of them.
func (b *Mailbox) Messages(ctx context.Context, q formats.Query) iter.Seq2[formats.Message, error] {
	return func(yield func(formats.Message, error) bool) {
		st, err := b.refresh()
		if err != nil {
			yield(formats.Message{}, err)
			return
		}
		p := tree.POP3Of(st, extHeader)
		want := q.Want &^ formats.WantSaveDate
		if !p.Any() {
			want &^= formats.WantPOP3
		}
		for i, r := range st.All() {
			if err := ctx.Err(); err != nil {
				yield(formats.Message{}, err)
				return
			}
			m := tree.Record(st, r)
			if q.Since != 0 && m.ModSeq <= q.Since {
				continue
			}
			if err = nil; want != 0 {
				err = b.look(st, i, &m, want)
			} else {
				m.SaveDate = saveDate(st, i)
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

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
// error. A message that is not where the map has it is looked up anew: it may have been purged to another file.
func (b *Mailbox) find(st *index.State, i int) (m message, err error) {
	mapUID, _, err := record(st, i)
	if err != nil {
		return m, b.fail(st.UID(i), nil, "read message", err)
	}
	var was place
	for again := false; ; again = true {
		at, failed := b.store.lookup(mapUID, again)
		if again && (failed != nil || at == was) {
			return m, b.lostMessage(st.UID(i), err)
		}
		if failed != nil {
			return m, b.lostMessage(st.UID(i), b.fail(st.UID(i), nil, "read message", failed))
		}
		if m, err = b.findAt(st.UID(i), at); err == nil {
			return m, nil
		}
		was = at
	}
}

// lostMessage tells a message that was expunged meanwhile, and may be purged, from one that is damaged.
func (b *Mailbox) lostMessage(uid formats.UID, err error) error {
	if b.idx == nil {
		return err
	}
	st, failed := b.refresh()
	if failed != nil {
		return failed
	}
	if _, there := st.Find(uid); !there {
		return b.fail(uid, nil, "read message", formats.ErrNoMessage)
	}
	return err
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

var (
	_ formats.Mailbox       = (*Mailbox)(nil)
	_ formats.Fingerprinter = (*Mailbox)(nil)
	_ formats.Salvaged      = (*Mailbox)(nil)
	_ formats.Viewer        = (*Mailbox)(nil)
	_ formats.Watchable     = (*Mailbox)(nil)
)
