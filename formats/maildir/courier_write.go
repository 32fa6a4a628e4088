package maildir

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// A store that goes by Courier's lists is written in this order: the POP3 list and the keywords, which mean nothing for
// files that nobody knows, then the list of UIDs, which is what commits, then the files leave tmp/. Every list is
// replaced whole: Courier's header has the next UID.

// commitCourier does the transaction. The lock is held and what others left behind was finished.
func (t *tx) commitCourier(ctx context.Context, lock *held) (c formats.Committed, err error) {
	if len(t.appends) > 0 {
		if c.UIDs, err = t.appendCourier(ctx, lock); err != nil {
			return c, err
		}
	}
	if len(t.changes) > 0 || len(t.expunges) > 0 {
		if err := t.changeCourier(ctx, lock); err != nil {
			return c, err
		}
	}
	v, err := t.b.look(ctx)
	if err != nil {
		return c, err
	}
	if t.uidNext > v.uidNext {
		v.uidNext = t.uidNext
		err = t.b.writeUIDDB(v, nil)
	}
	return c, err
}

// look scans; the lock is held.
func (b *Mailbox) look(ctx context.Context) (*view, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.scan(ctx)
}

func (t *tx) appendCourier(ctx context.Context, lock *held) (formats.Ranges, error) {
	b := t.b
	v, err := b.look(ctx)
	if err != nil {
		return nil, err
	}
	b.list = listTail{header: listHeader{UIDNext: v.uidNext}}
	if n := len(v.entries); n > 0 {
		b.list.last = v.entries[n-1].uid
	}
	uids, err := t.assign(t.b.list.next())
	if err != nil {
		return nil, err
	}
	if err := t.nameCourier(v); err != nil {
		return nil, err
	}
	if b.folder.inbox && slices.ContainsFunc(t.appends, func(p pending) bool { return p.uidl != "" }) {
		if err := b.writePOP3(v, t.appends); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(t.appends, func(p pending) bool { return len(p.keywords) > 0 }) {
		if err := b.writeCourierKeywords(v, t.appends, nil); err != nil {
			return nil, err
		}
	}
	v.uidNext = max(v.uidNext, t.appends[len(t.appends)-1].uid+1)
	if err := b.writeUIDDB(v, t.appends); err != nil {
		return nil, err
	}
	t.listed = true
	return uids, t.move(lock)
}

// nameCourier gives messages the base names that they should have, as far as no other file has them.
func (t *tx) nameCourier(v *view) error {
	taken := newByBase(v)
	for i := range v.entries {
		taken.put(i)
	}
	mine := map[string]bool{}
	renamed := false
	for i := range t.appends {
		p := &t.appends[i]
		if p.base == "" || mine[p.base] {
			continue
		}
		if _, other := taken.get([]byte(p.base)); other {
			continue
		}
		mine[p.base] = true
		name := p.base + p.name[len(baseName([]byte(p.name))):]
		err := t.b.tmp.RenameNew(p.name, t.b.tmp, name)
		if errors.Is(err, fs.ErrExist) { // of a process that died after choosing it; listed ones were moved before
			err = t.b.tmp.Rename(p.name, t.b.tmp, name)
		}
		if err != nil {
			return t.b.err("append", p.uid, "", err)
		}
		p.name, renamed = name, true
	}
	if !renamed {
		return nil
	}
	return t.b.syncDir(t.b.tmp)
}

// courierBase is the base name that a message should have: the one that shows its UIDL when that is not of the form UIDn
// or UIDn-v, the one that it had in another Maildir, or one by which it sorts where its POP3 order wants it. "": any.
func courierBase(m *formats.Message, unique string) string {
	if m.POP3UIDL != "" {
		if _, _, ok := parseCourierUIDL([]byte(m.POP3UIDL), nil); !ok {
			return unescapeUIDL(m.POP3UIDL)
		}
	}
	if m.DerivedGUID && legalBase(m.GUID) && m.GUID[0] >= '0' && m.GUID[0] <= '9' {
		return m.GUID
	}
	if m.POP3Order != 0 {
		return strconv.FormatUint(uint64(m.POP3Order), 10) + "." + unique
	}
	return ""
}

// maxBase leaves room for flags behind a base name.
const maxBase = 200

// legalBase tells whether a file can have the base name and be found by it in every list.
func legalBase(base string) bool {
	return base != "" && len(base) <= maxBase && base[0] != '.' && !strings.ContainsAny(base, "/:\r\n\x00")
}

// unescapeUIDL gives the base name for which Courier shows the UIDL; "" when there is none.
func unescapeUIDL(uidl string) string {
	var b []byte
	for i := 0; i < len(uidl); i++ {
		if uidl[i] != '+' {
			b = append(b, uidl[i])
			continue
		}
		n, err := strconv.ParseUint(uidl[i+1:min(i+3, len(uidl))], 16, 8)
		if err != nil {
			return ""
		}
		b = append(b, byte(n))
		i += 2
	}
	if !legalBase(string(b)) || string(appendEscapedUIDL(nil, b)) != uidl {
		return ""
	}
	return string(b)
}

// courierUIDLProblem: what is neither UIDn nor UIDn-v must be shown by a file name.
func courierUIDLProblem(uidl string) string {
	if uidl == "" {
		return ""
	}
	if _, _, ok := parseCourierUIDL([]byte(uidl), nil); ok || unescapeUIDL(uidl) != "" {
		return ""
	}
	return "Courier's UIDLs are UIDn, UIDn-v or the name of the message's file, which cannot be this"
}

// courierOrderProblem: Courier shows messages in the order of their file names, which can be chosen unless they show a
// UIDL.
func courierOrderProblem(m *formats.Message) string {
	if m.POP3UIDL == "" {
		return ""
	}
	if _, _, ok := parseCourierUIDL([]byte(m.POP3UIDL), nil); ok || m.DerivedGUID && m.GUID == unescapeUIDL(m.POP3UIDL) {
		return ""
	}
	return "Courier shows messages in the order of their file names, and this one's name shows its UIDL"
}

// writeUIDDB replaces the list of UIDs by what the view has and messages that are going to be.
func (b *Mailbox) writeUIDDB(v *view, more []pending) error {
	out := courierHeader{UIDValidity: uint64(v.header.UIDValidity), UIDNext: uint64(v.uidNext)}.append(make([]byte, 0, 64+64*len(v.entries)))
	for i := range v.entries {
		e := &v.entries[i]
		out = appendCourierUID(out, e.uid, lastBase(v.name(e)))
	}
	for i := range more {
		out = appendCourierUID(out, more[i].uid, baseName([]byte(more[i].name)))
	}
	return b.replaceControl(b.box, courierUIDDBName, out)
}

// writePOP3 adds messages with a UIDL to the POP3 list.
func (b *Mailbox) writePOP3(v *view, more []pending) error {
	text, err := b.box.ReadFile(courierPOP3Name, maxControl)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return b.err("read list", 0, courierPOP3Name, err)
	}
	header, rest, err := parseCourierPOP3Header(text)
	if err != nil {
		header, rest = courierPOP3Header{}, nil // Courier would throw it away
	}
	var records []courierPOP3
	for _, l := range lines(rest) {
		if r, ok := parseCourierPOP3(header.Version, l.text); ok && l.whole {
			records = append(records, r)
		}
	}
	for i := range more {
		p := &more[i]
		base := baseName([]byte(p.name))
		r := courierPOP3{Name: []byte(p.name), Size: p.count.pop3Size(b.store.opts.Lists), UTF8: p.count.utf8()}
		var ok bool
		if r.UID, r.UIDValidity, ok = parseCourierUIDL([]byte(p.uidl), base); p.uidl == "" || !ok {
			continue
		}
		if header.UIDValidity == 0 && r.UIDValidity != uint32(v.header.UIDValidity) { // that one is Dovecot's to number by
			header.UIDValidity = r.UIDValidity
		}
		if r.UIDValidity == header.UIDValidity {
			header.Next = max(header.Next, r.UID+1)
		}
		records = append(records, r)
	}
	b.completePOP3(&header)
	slices.SortStableFunc(records, func(x, y courierPOP3) int { return comparePOP3(x.Name, y.Name) })
	out := header.append(nil)
	for i := range records {
		if records[i].UID == 0 {
			records[i].UIDValidity = header.UIDValidity
		}
		out = records[i].append(header.Version, out)
	}
	return b.replaceControl(b.box, courierPOP3Name, out)
}

// completePOP3 chooses what a header must have.
func (b *Mailbox) completePOP3(h *courierPOP3Header) {
	h.Version = 2
	if b.store.opts.Lists == Courier5Lists {
		h.Version = 3
	}
	h.Next = max(h.Next, 1)
	if h.UIDValidity == 0 {
		h.UIDValidity = uint32(time.Now().Unix())
	}
}

// writeCourierKeywords replaces :list; of gives the keywords of entries by place, nil those of the view. Pending updates
// are part of the view and go.
func (b *Mailbox) writeCourierKeywords(v *view, more []pending, of func(i int) []string) error {
	if of == nil {
		of = func(i int) []string { return v.sets[v.entries[i].set] }
	}
	t := keywordPlaces{place: map[string]int{}}
	var records []byte
	for i := range v.entries {
		records = t.append(records, lastBase(v.name(&v.entries[i])), of(i))
	}
	for i := range more {
		records = t.append(records, []byte(more[i].name), more[i].keywords)
	}
	d, err := b.box.MakeDir(courierKeywordsDir, b.dirMode())
	if err != nil {
		return b.err("write keywords", 0, "", err)
	}
	defer d.Close()
	if err := b.replaceControl(d, courierKeywordsList, append(appendCourierKeywordNames(nil, t.names), records...)); err != nil {
		return err
	}
	return b.removePending(d)
}

// keywordPlaces collects the names of :list.
type keywordPlaces struct {
	names []string
	place map[string]int // by lower-case name
	last  []string
	of    []int
}

// append adds the line of a message; messages without keywords have none.
func (t *keywordPlaces) append(b, name []byte, keywords []string) []byte {
	if len(keywords) == 0 {
		return b
	}
	if len(t.last) == 0 || &t.last[0] != &keywords[0] || len(t.last) != len(keywords) {
		t.last, t.of = keywords, t.of[:0]
		for _, k := range keywords {
			folded := strings.ToLower(k)
			i, ok := t.place[folded]
			if !ok {
				i = len(t.names)
				t.place[folded] = i
				t.names = append(t.names, k)
			}
			t.of = append(t.of, i)
		}
	}
	return appendCourierKeywordsLine(b, baseName(name), t.of)
}

// removePending removes the updates beside :list, whose place it has taken.
func (b *Mailbox) removePending(d *disk.Dir) error {
	pending, err := pendingUpdates(d)
	for _, name := range pending {
		if rerr := d.Remove(name); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	if len(pending) > 0 {
		err = errors.Join(err, d.Sync())
	}
	if err != nil {
		return b.err("write keywords", 0, "", err)
	}
	return nil
}

// finishCourier does what any session of Courier does first: it moves what is in new/ to cur/ and gives every file its
// UID. The lock is held.
func (b *Mailbox) finishCourier(ctx context.Context, lock *held) error {
	v, err := b.look(ctx)
	if err != nil {
		return err
	}
	if v.intent {
		if err := b.writeCourierKeywords(v, nil, nil); err != nil {
			return err
		}
		if err := b.dropIntent(); err != nil {
			return err
		}
	}
	if err := b.moveListed(v, lock); err != nil {
		return err
	}
	var moves []move
	for i := range v.entries {
		if e := &v.entries[i]; e.where == inNew && !e.bad {
			to := string(v.name(e))
			if bytes.IndexByte(v.name(e), infoSep) < 0 {
				to += info2
			}
			moves = append(moves, move{b.fresh, b.cur, string(v.name(e)), to})
		}
	}
	if err := b.renameFiles(moves, lock); err != nil {
		return err
	}
	if v.complete() && len(moves) == 0 {
		return nil
	}
	if v.header.UIDValidity == 0 {
		if v.header.UIDValidity, err = b.store.nextCourierUIDValidity(ctx); err != nil {
			return b.err("choose UIDVALIDITY", 0, "", err)
		}
	}
	return b.writeUIDDB(v, nil)
}
