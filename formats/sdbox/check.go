package sdbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// finding is a problem and how it is mended.
type finding struct {
	formats.Problem
	mend func(context.Context) error // nil if Mend is ""
}

// Check reads the index, every message, and the names of the other files.
func (b *Mailbox) Check(ctx context.Context) iter.Seq2[formats.Problem, error] {
	return func(yield func(formats.Problem, error) bool) {
		for f, err := range b.findings(ctx) {
			if !yield(f.Problem, err) {
				return
			}
		}
	}
}

// Repair mends what agree allows. An index that is gone is made again first: nothing else can be mended without one.
func (b *Mailbox) Repair(ctx context.Context, agree func(formats.Problem) bool) error {
	if b.store.ReadOnly() {
		return b.fail("repair", 0, nil, formats.ErrReadOnly)
	}
	b.update.Lock()
	defer b.update.Unlock()
	for f, err := range b.findings(ctx) {
		if err != nil {
			return err
		}
		if f.mend == nil || !agree(f.Problem) {
			continue
		}
		if err := f.mend(ctx); err != nil {
			return b.fail("repair", f.UID, nil, err)
		}
	}
	return nil
}

// findings gives the problems, those of the index first. They are found while those before them are being mended.
func (b *Mailbox) findings(ctx context.Context) iter.Seq2[finding, error] {
	return func(yield func(finding, error) bool) {
		for i, part := range []func(context.Context, func(finding) bool) (bool, error){b.checkIndex, b.checkMessages, b.checkFiles} {
			more, err := part(ctx, func(f finding) bool {
				f.Mailbox = b.name
				if i > 0 && b.idx == nil {
					f.mend = nil // the index has to be mended first
				}
				return yield(f, nil)
			})
			if err != nil {
				yield(finding{}, b.fail("check", 0, nil, err))
				return
			}
			if !more {
				return
			}
		}
	}
}

// checkIndex is done with an index that is gone before anything else is looked at.
func (b *Mailbox) checkIndex(_ context.Context, yield func(finding) bool) (bool, error) {
	if b.idx == nil && b.lost == nil && len(b.salvaged) == 0 {
		return true, nil // an empty folder without an index: nothing is lost
	}
	if b.dir != nil {
		problems, err := index.Check(b.dir, index.Prefix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		for _, p := range problems {
			f := finding{Problem: p}
			if f.Mend != "" && b.idx == nil {
				f.Mend = "" // the index is made again as a whole, below
			}
			if f.Mend != "" {
				f.mend = b.settleIndex
			}
			if !yield(f) {
				return false, nil
			}
		}
	}
	if b.idx != nil {
		return true, nil
	}
	f := finding{mend: b.rebuild, Problem: formats.Problem{Path: b.mail.Path(), What: b.lost.Error(),
		Cost: "Dovecot shows an empty mailbox with a new UIDVALIDITY",
		Mend: "make a new index with every message file under its UID, unseen; the old index files are renamed"}}
	if b.damaged != nil {
		f.Cost = "what Dovecot makes of it depends on its version"
		f.Mend = "make a new index from what could be read of the old one, whose files are renamed"
	}
	return yield(f), nil
}

// settleIndex takes the lock and writes nothing: that alone cuts off a torn end of the log.
func (b *Mailbox) settleIndex(ctx context.Context) error {
	return b.idx.Update(ctx, func(*index.Tx) error { return nil })
}

// checkMessages looks at the file of each record.
func (b *Mailbox) checkMessages(ctx context.Context, yield func(finding) bool) (bool, error) {
	st, err := b.refresh()
	if err != nil || st == nil {
		return true, err
	}
	announced := tree.POP3Of(st, extDbox)
	var have byte
	var last formats.UID
	for m := range b.records(st) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		f, bad := b.checkMessage(m.UID)
		if bad && !yield(f) {
			return false, nil
		}
		if bits := b.pop3Bits(m.UID); bits != 0 {
			have, last = have|bits, m.UID
		}
	}
	missing := have&tree.HavePOP3UIDL != 0 && !announced.UIDL || have&tree.HavePOP3Order != 0 && !announced.Order || last > announced.Last
	if !missing {
		return true, nil
	}
	return yield(finding{mend: b.announce(have, last), Problem: formats.Problem{
		What: fmt.Sprintf("the index does not announce the POP3 UIDLs that are stored, the last one with uid %d", last),
		Cost: "POP3 clients see other UIDLs and load their mail again",
		Mend: "announce them; POP3 clients that have used the mailbox meanwhile will load their mail once more"}}), nil
}

func (b *Mailbox) pop3Bits(uid formats.UID) byte {
	m, err := b.open(uid)
	if m.f != nil {
		m.f.Close()
	}
	if err != nil {
		return 0
	}
	return havePOP3(&m.Metadata)
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

func (b *Mailbox) announce(have byte, last formats.UID) func(context.Context) error {
	return func(ctx context.Context) error {
		return b.idx.Update(ctx, func(ix *index.Tx) error {
			tree.AnnouncePOP3(ix, extDbox, have, last)
			return nil
		})
	}
}

// checkMessage reads one message whole. The file is found by its record, so it may be missing.
func (b *Mailbox) checkMessage(uid formats.UID) (finding, bool) {
	m, err := b.open(uid)
	f := b.problem(uid, err)
	switch {
	case errors.Is(err, formats.ErrNoMessage):
		f.What, f.Loses = "the message file is gone", true
		f.Cost = "Dovecot logs an error and rebuilds the index at the first read"
		f.Mend, f.mend = "drop the record", b.drop(uid, false)
	case errors.Is(err, disk.ErrNotRegular):
		f.Cost, f.Loses = "the message cannot be read", true
		f.Mend, f.mend = "rename it to u.<uid>.broken and drop the record", b.drop(uid, true)
	case m.Cut > 0 || err != nil && m.f == nil && errors.Is(err, formats.ErrCorrupt):
		if m.f != nil {
			m.f.Close()
		}
		f.Cost, f.Loses = "the message is lost to clients; Dovecot renames the file and rebuilds the index", true
		f.Mend, f.mend = "rename it to u.<uid>.broken and drop the record", b.drop(uid, true)
	case err != nil && m.f == nil:
		f.Cost = "the message cannot be read; see to the cause and check again"
	case err != nil:
		m.f.Close()
		f.Cost = "date, GUID and POP3 UIDL cannot be read; Dovecot drops the message"
		f.Mend = "write them anew: the date of the file and a new GUID; the text stays as it is"
		f.mend = b.rewrite(uid, dbox.NoMetadata())
	default:
		return b.checkSizes(uid, &m)
	}
	return f, true
}

// problem takes the place out of an error.
func (b *Mailbox) problem(uid formats.UID, err error) finding {
	f := finding{Problem: formats.Problem{UID: uid, Path: b.mail.Path() + "/" + fileName(uid)}}
	if err == nil {
		return f
	}
	f.What = err.Error()
	if e, ok := errors.AsType[*formats.Error](err); ok {
		f.Offset, f.What = e.Offset, e.Err.Error()
		if e.Path != "" {
			f.Path = e.Path
		}
	}
	return f
}

func (b *Mailbox) checkSizes(uid formats.UID, m *message) (finding, bool) {
	meta := m.Metadata
	path := m.f.Path()
	body, err := b.plain(uid, m)
	if err != nil {
		f := b.problem(uid, err)
		f.Cost = "clients cannot read the message; its stored bytes are all there"
		if errors.Is(err, dbox.ErrNoAttachments) {
			f.Cost = "the message was not checked"
		}
		return f, true
	}
	defer body.Close()
	size, err := dbox.VirtualSize(body)
	if err != nil {
		return b.problem(uid, err), true
	}
	f := b.problem(uid, nil)
	f.Path = path
	switch {
	case meta.VirtualSize != dbox.Absent && meta.VirtualSize != size:
		f.What = fmt.Sprintf("the virtual size is %d, the metadata says %d", size, meta.VirtualSize)
		f.Cost = "IMAP clients get a message that is cut, or lose their connection"
	case meta.Plain == dbox.Absent && body.Size() != m.StoredSize:
		f.What = fmt.Sprintf("the message has %d bytes, and no metadata says so", body.Size())
		f.Cost = "clients see a wrong size"
	default:
		return f, false
	}
	meta.VirtualSize = size
	if body.Size() != m.StoredSize {
		meta.Plain = body.Size()
	}
	f.Mend, f.mend = "write the right size", b.rewrite(uid, meta)
	return f, true
}

// checkFiles looks for files that no record points to.
func (b *Mailbox) checkFiles(ctx context.Context, yield func(finding) bool) (bool, error) {
	st, err := b.refresh()
	if err != nil || st == nil {
		return true, err
	}
	for _, d := range []*disk.Dir{b.mail, b.alt} {
		if d == nil {
			continue
		}
		names, err := d.Names()
		if err != nil {
			return false, err
		}
		for _, name := range names {
			f, bad := b.checkFile(st, d, name)
			if bad && !yield(f) {
				return false, nil
			}
		}
	}
	return true, ctx.Err()
}

func (b *Mailbox) checkFile(st *index.State, d *disk.Dir, name string) (f finding, bad bool) {
	rest, ok := strings.CutPrefix(name, "u.")
	if !ok {
		return f, false
	}
	f.Path = d.Path() + "/" + name
	uid, plain := parseFileName(name)
	if _, known := st.Find(uid); plain && known {
		return f, false
	}
	f.What, f.Cost = "no record points to this message", "nobody sees it"
	if !plain {
		f.What = fmt.Sprintf("%q is not the name of a message in use", "u."+rest)
	}
	one, err := openNamed(d, name)
	if err != nil {
		f.What += fmt.Sprintf("; it is damaged: %v", err)
		return f, true
	}
	one.f.Close()
	if plain && uid >= st.NextUID {
		f.Cost += "; Dovecot's next append may fail because of it"
	}
	f.Mend, f.mend = "append it as a new message, unseen", b.adopt(d, name)
	return f, true
}

// openNamed reads a file that may be a message.
func openNamed(d *disk.Dir, name string) (m message, err error) {
	if m.f, err = d.Open(name); err != nil {
		return m, err
	}
	if m.info, err = m.f.Stat(); err == nil {
		m.Message, err = readFile(m.f, m.info.Size)
	}
	if err != nil {
		m.f.Close()
	}
	return m, err
}

var _ formats.Checker = (*Mailbox)(nil)
