package sdbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// Mailbox is one open folder.
type Mailbox struct {
	store *Store
	name  string

	mail *disk.Dir    // message files
	dir  *disk.Dir    // index files; may be mail
	alt  *disk.Dir    // moved message files; nil if there is none
	idx  *index.Index // nil when the index is gone
	lost error        // what the index no longer tells

	salvaged []formats.UID // without an index: the UIDs in file names

	update *sync.Mutex // shared with all handles on this mailbox: one Update at a time
}

// Name is the name the mailbox was opened with.
func (b *Mailbox) Name() string { return b.name }

// Lost says what a damaged or missing index no longer tells.
func (b *Mailbox) Lost() error { return b.lost }

// Close gives the handles back.
func (b *Mailbox) Close() error {
	for _, d := range []*disk.Dir{b.mail, b.alt} {
		if d != nil {
			d.Close()
		}
	}
	if b.dir != nil && b.dir != b.mail {
		b.dir.Close()
	}
	return nil
}

// openIndex reads the index, or what the names of the message files tell when it is gone.
func (b *Mailbox) openIndex() error {
	var err error
	if b.dir != nil {
		b.idx, err = index.Open(b.dir, index.Prefix)
	} else {
		err = fs.ErrNotExist
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, formats.ErrCorrupt) {
		return b.fail("open index", 0, nil, err)
	}
	if b.idx != nil && b.idx.Snapshot() != nil {
		b.lost = b.fail("open index", 0, nil, fmt.Errorf("%w; what could be read of it is used", err))
		return nil
	}
	b.idx = nil
	if b.salvaged, err = b.fileUIDs(); err != nil {
		return b.fail("list messages", 0, nil, err)
	}
	if len(b.salvaged) > 0 {
		b.lost = b.fail("open index", 0, nil, formats.Corrupt(
			"index is gone: flags, keywords, UIDVALIDITY and mailbox GUID of %d messages are lost", len(b.salvaged)))
	}
	return nil
}

// fileUIDs gives the UIDs that have a file, ascending.
func (b *Mailbox) fileUIDs() ([]formats.UID, error) {
	var uids []formats.UID
	for _, d := range []*disk.Dir{b.mail, b.alt} {
		if d == nil {
			continue
		}
		names, err := d.Names()
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if uid, ok := parseFileName(name); ok {
				uids = append(uids, uid)
			}
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids), nil
}

// parseFileName accepts only the one spelling that a UID has.
func parseFileName(name string) (formats.UID, bool) {
	digits, ok := strings.CutPrefix(name, "u.")
	n, err := strconv.ParseUint(digits, 10, 32)
	ok = ok && err == nil && n > 0 && n < 1<<32-1 && strconv.FormatUint(n, 10) == digits
	return formats.UID(n), ok
}

// refresh gives the newest state; nil without an index.
func (b *Mailbox) refresh() (*index.State, error) {
	if b.idx == nil {
		return nil, nil
	}
	if _, err := b.idx.Refresh(); err != nil && b.lost == nil {
		return nil, b.fail("read index", 0, nil, err)
	}
	return b.idx.Snapshot(), nil
}

// Status counts in the index.
func (b *Mailbox) Status(context.Context) (formats.Status, error) {
	st, err := b.refresh()
	if err != nil {
		return formats.Status{}, err
	}
	if st == nil {
		return b.salvagedStatus(), nil
	}
	s := formats.Status{
		GUID:          dboxGUID(st),
		UIDValidity:   st.UIDValidity,
		UIDNext:       st.NextUID,
		HighestModSeq: st.HighestModSeq(),
		FirstRecent:   st.FirstRecent,
		Messages:      uint32(st.Len()),
	}
	for i := range st.Len() {
		if st.Flags(i)&formats.Seen == 0 {
			s.Unseen++
		}
	}
	if st.FirstRecent != 0 {
		first, _ := st.Find(st.FirstRecent)
		s.Recent = uint32(st.Len() - first)
	}
	return s, nil
}

func (b *Mailbox) salvagedStatus() formats.Status {
	n := len(b.salvaged)
	s := formats.Status{UIDNext: 1, Messages: uint32(n), Unseen: uint32(n)}
	if n > 0 {
		s.UIDNext = b.salvaged[n-1] + 1
	}
	return s
}

// The extension dbox-hdr: u32 rebuild count, 16 bytes mailbox GUID, u8 flags, 3 unused.
const (
	extDbox     = "dbox-hdr"
	dboxSize    = 24
	dboxGUIDAt  = 4
	dboxFlagsAt = 20

	havePOP3UIDL  = 1 // some message has a P
	havePOP3Order = 2 // some message has an O

	// extPOP3 holds the highest UID with a P or O; above it nobody looks (Dovecot 2.3, index-pop3-uidl.c).
	extPOP3 = "hdr-pop3-uidl"
)

func dboxHeader(st *index.State) []byte {
	if e := st.Ext(extDbox); e != nil && len(e.Header) >= dboxSize {
		return e.Header
	}
	return nil
}

func dboxGUID(st *index.State) (g formats.GUID) {
	if h := dboxHeader(st); h != nil {
		copy(g[:], h[dboxGUIDAt:])
	}
	return g
}

func (b *Mailbox) guid() formats.GUID {
	if b.idx == nil {
		return formats.GUID{}
	}
	return dboxGUID(b.idx.Snapshot())
}

// pop3 tells which POP3 data of a message count. Dovecot ignores what the index does not announce, and so do its
// clients; without an index everything found is taken.
type pop3 struct {
	uidl, order bool
	last        formats.UID
}

func pop3Of(st *index.State) pop3 {
	all := pop3{true, true, 1<<32 - 1}
	if st == nil {
		return all
	}
	p := pop3{last: all.last}
	if h := dboxHeader(st); h != nil {
		p.uidl = h[dboxFlagsAt]&havePOP3UIDL != 0
		p.order = h[dboxFlagsAt]&havePOP3Order != 0
	}
	if e := st.Ext(extPOP3); e != nil && len(e.Header) >= 4 {
		p.last = formats.UID(binary.LittleEndian.Uint32(e.Header))
	}
	return p
}

func (p pop3) fill(uid formats.UID, m *message, d *formats.Detail) {
	if uid > p.last {
		return
	}
	if p.uidl {
		d.POP3UIDL = m.POP3UIDL
	}
	if p.order {
		d.POP3Order = m.POP3Order
	}
}

func (p pop3) any() bool { return p.uidl || p.order }

// Messages reads the index alone, and the header and metadata of each file only when q wants something of them.
func (b *Mailbox) Messages(ctx context.Context, q formats.Query) iter.Seq2[formats.Message, error] {
	return func(yield func(formats.Message, error) bool) {
		st, err := b.refresh()
		if err != nil {
			yield(formats.Message{}, err)
			return
		}
		p := pop3Of(st)
		want := q.Want
		if !p.any() {
			want &^= formats.WantPOP3
		}
		for m := range b.records(st) {
			if err := ctx.Err(); err != nil {
				yield(formats.Message{}, err)
				return
			}
			if q.Since != 0 && m.ModSeq != 0 && m.ModSeq <= q.Since {
				continue
			}
			var err error
			if want != 0 {
				err = b.look(&m, p, want)
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// records gives the messages as the index has them, without detail.
func (b *Mailbox) records(st *index.State) iter.Seq[formats.Message] {
	blank := formats.Message{Detail: formats.Detail{Size: -1, VirtualSize: -1}}
	return func(yield func(formats.Message) bool) {
		if st == nil {
			for _, uid := range b.salvaged {
				m := blank
				m.UID = uid
				if !yield(m) {
					return
				}
			}
			return
		}
		for _, r := range st.All() {
			m := blank
			m.UID, m.Flags, m.Keywords, m.ModSeq = r.UID, r.Flags&formats.SystemFlags, r.Keywords, r.ModSeq
			if r.UID >= st.FirstRecent {
				m.Flags |= formats.Recent
			}
			if !yield(m) {
				return
			}
		}
	}
}

// look fills the detail of one message.
func (b *Mailbox) look(m *formats.Message, p pop3, want formats.Want) error {
	f, err := b.open(m.UID)
	if f.f == nil {
		return err
	}
	m.Detail = b.detail(&f)
	p.fill(m.UID, &f, &m.Detail)
	if want&formats.WantVirtualSize == 0 || m.VirtualSize >= 0 || err != nil {
		f.f.Close()
		return err
	}
	body, err := b.plain(m.UID, &f)
	if err != nil {
		return b.fail("read message", m.UID, f.f, err)
	}
	defer body.Close()
	m.Size = body.Size()
	if m.VirtualSize, err = virtualSize(body); err != nil {
		return b.fail("read message", m.UID, f.f, err)
	}
	return nil
}

// Body opens a message.
func (b *Mailbox) Body(_ context.Context, m *formats.Message) (formats.Body, error) {
	f, err := b.open(m.UID)
	if err != nil {
		if f.f != nil {
			f.f.Close()
		}
		return nil, err
	}
	m.Detail = b.detail(&f)
	var st *index.State
	if b.idx != nil {
		st = b.idx.Snapshot()
	}
	pop3Of(st).fill(m.UID, &f, &m.Detail)
	body, err := b.plain(m.UID, &f)
	if err != nil {
		return nil, b.fail("read message", m.UID, f.f, err)
	}
	m.Size = body.Size()
	return body, nil
}

// Fingerprint is the place in the log up to which the mailbox is known: every change of an sdbox mailbox, by whatever
// program, adds to its log or begins a new one.
func (b *Mailbox) Fingerprint(context.Context) (string, error) {
	st, err := b.refresh()
	if err != nil || st == nil || b.lost != nil {
		return "", err
	}
	return fmt.Sprintf("%x-%x-%x", st.IndexID, st.LogSeq, st.Head), nil
}

// virtualSize counts the bytes of a message with every line end as CRLF.
func virtualSize(body formats.Body) (int64, error) {
	var c lineCounter
	if _, err := body.WriteTo(&c); err != nil {
		return -1, err
	}
	return c.size + c.bare, nil
}

type lineCounter struct {
	size, bare int64
	last       byte
}

func (c *lineCounter) Write(p []byte) (int, error) {
	if len(p) > 0 {
		c.bare += bareLineFeeds(c.last, p)
		c.size += int64(len(p))
		c.last = p[len(p)-1]
	}
	return len(p), nil
}
