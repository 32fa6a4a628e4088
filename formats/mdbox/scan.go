package mdbox

import (
	"bytes"
	"context"
	"crypto/sha1"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
)

// found is a message in a file of the store.
type found struct {
	place    // size is 0 when it is larger than the map can hold
	guid     formats.GUID
	mailbox  string // storage name of the one it was saved in first
	plain    int64  // its length
	pop3     byte
	uid      formats.UID // in the map; 0: not there
	refs     int
	unwanted bool // it was expunged, or is there twice
	busy     bool // somebody appends to the file: what the map does not have, it will have soon

	spool        *spool // of a damaged file: where the message is copied to
	offset, size int64
}

// scan reads all files.
type scan struct {
	s     *Store
	ctx   context.Context
	now   time.Time
	all   []*found
	files map[uint32]bool
	cut   []damagedFile
}

// damagedFile is one whose sound messages were copied to spools.
type damagedFile struct {
	dir    *disk.Dir
	name   string
	f      *disk.File // locked, so that nobody appends to it
	why    error
	spools []*spool
}

func (c *scan) run() error {
	c.files = map[uint32]bool{}
	c.s.mu.Lock()
	dirs := []*disk.Dir{c.s.files, c.s.alt}
	c.s.mu.Unlock()
	for _, d := range dirs {
		if d == nil {
			continue
		}
		names, err := d.Names()
		if err != nil {
			return err
		}
		for _, name := range names {
			id, ok := parseFileName(name)
			if !ok || c.files[id] { // the same file in both: readers take the first
				continue
			}
			c.files[id] = true
			if err := c.file(d, name, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func parseFileName(name string) (uint32, bool) {
	digits, ok := strings.CutPrefix(name, "m.")
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil && n > 0 && fileName(uint32(n)) == name
}

// file reads one; what is damaged in it costs no other message.
func (c *scan) file(d *disk.Dir, name string, id uint32) error {
	f, err := d.OpenWrite(name, 0)
	if err != nil {
		return err
	}
	locked, err := f.TryFlock()
	var st disk.Info
	if err == nil {
		st, err = f.Stat()
	}
	var sound []*found
	if err == nil {
		err = c.messages(f, st.Size, func(m *dbox.Message) { sound = append(sound, foundAt(id, m)) })
	}
	for _, m := range sound {
		m.busy = !locked
	}
	if err != nil && !isDamage(err) {
		f.Close()
		return err
	}
	c.all = append(c.all, sound...)
	if err == nil || !locked {
		return f.Close()
	}
	cut := damagedFile{dir: d, name: name, f: f, why: err}
	for _, m := range sound {
		if err := c.rescue(&cut, f, m); err != nil {
			f.Close()
			return err
		}
	}
	c.cut = append(c.cut, cut)
	return nil
}

func foundAt(file uint32, m *dbox.Message) *found {
	n := &found{guid: guidKey(m.GUID), mailbox: m.Mailbox, plain: m.PlainSize(), pop3: havePOP3(&m.Metadata), size: m.End - m.Offset}
	n.place = place{file, uint32(m.Offset), uint32(n.size)}
	if int64(n.place.size) != n.size {
		n.place.size = 0
	}
	return n
}

func havePOP3(m *dbox.Metadata) (bits byte) {
	if m.POP3UIDL != "" {
		bits |= tree.HavePOP3UIDL
	}
	if m.POP3Order != 0 {
		bits |= tree.HavePOP3Order
	}
	return bits
}

// guidKey is what folders have of a message GUID (Dovecot 2.3, mail_generate_guid_128_hash).
func guidKey(guid string) (g formats.GUID) {
	if g = tree.GUID128(guid); g.IsZero() && guid != "" {
		sum := sha1.Sum([]byte(guid))
		copy(g[:], sum[len(sum)-len(g):])
	}
	return g
}

// messages gives the messages of a file one after the other. Behind damage it goes on with the next header of a message.
func (c *scan) messages(f *disk.File, size int64, give func(*dbox.Message)) (damage error) {
	h, err := dbox.ReadFileHeader(f)
	if err != nil {
		if !isDamage(err) {
			return err
		}
		damage, h = err, dbox.FileHeader{MessageHeader: dbox.MessageHeaderSize}
	}
	for at := int64(h.Size); at < size; {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		m, err := h.ReadMessage(f, at, size)
		if err == nil && m.GUID == "" {
			err = &dbox.OffsetError{Offset: at, Err: formats.Corrupt("message without a GUID")}
		}
		if err == nil {
			give(&m)
			at = m.End
			continue
		}
		if !isDamage(err) {
			return err
		}
		if damage == nil {
			damage = err
		}
		if at, err = nextHeader(f, at+1, size); err != nil {
			return err
		}
	}
	return damage
}

// nextHeader looks for what may be a message header; size when there is none.
func nextHeader(r io.ReaderAt, at, size int64) (int64, error) {
	start := []byte("\n" + string(dbox.AppendMessageHeader(nil, 0)[:headerStart]))
	buf := make([]byte, 64<<10)
	for at = max(at-1, 0); at < size; {
		n, err := r.ReadAt(buf, at)
		if err != nil && err != io.EOF {
			return 0, err
		}
		if i := bytes.Index(buf[:n], start); i >= 0 {
			return at + int64(i) + 1, nil
		}
		if n < len(buf) {
			break
		}
		at += int64(n - len(start))
	}
	return size, nil
}

// headerStart is how much of a message header is the same for all: magic, type and spaces.
const headerStart = 13

// rescue copies a sound message out of a damaged file.
func (c *scan) rescue(cut *damagedFile, f *disk.File, m *found) error {
	_, mode, err := c.s.place()
	if err != nil {
		return err
	}
	n := len(cut.spools)
	if n == 0 || cut.spools[n-1].size()+m.size > c.s.rotateSize() {
		cut.spools = append(cut.spools, newSpool(cut.dir, mode, c.now))
		n++
	}
	m.spool = cut.spools[n-1]
	m.offset = m.spool.size()
	return m.spool.copy(f.Section(int64(m.place.offset), m.size))
}

// setAside renames the damaged files, which somebody may want to look at.
func (c *scan) setAside() error {
	for _, cut := range c.cut {
		if err := cut.dir.Rename(cut.name, cut.dir, cut.name+".broken"); err != nil {
			return err
		}
		if err := cut.dir.Sync(); err != nil {
			return err
		}
	}
	return nil
}

func (c *scan) close() {
	for _, cut := range c.cut {
		cut.f.Close()
		for _, sp := range cut.spools {
			sp.close()
		}
	}
}

// spools are those of all damaged files.
func (c *scan) spools() (all []*spool) {
	for _, cut := range c.cut {
		all = append(all, cut.spools...)
	}
	return all
}

// sorted orders the messages as the map does, those that it does not have last.
func (c *scan) sorted() []*found {
	slices.SortStableFunc(c.all, func(a, b *found) int { return int(int64(a.uid-1) - int64(b.uid-1)) })
	return c.all
}
