package maildir

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"

	"dovetail/formats"
)

// Repair mends under the list's lock, in an order in which no step undoes another.
func (b *Mailbox) Repair(ctx context.Context, agree func(formats.Problem) bool) (err error) {
	if b.store.readOnly() {
		return b.err("repair", 0, "", formats.ErrReadOnly)
	}
	agreed := map[mend][]finding{}
	for f, err := range b.findings(ctx) {
		if err != nil {
			return err
		}
		if f.mend != mendNone && agree(f.Problem) {
			agreed[f.mend] = append(agreed[f.mend], f)
		}
	}
	if len(agreed) == 0 {
		return nil
	}
	b.change.Lock()
	defer b.change.Unlock()
	lock, err := b.lockList(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	b.recovered = false
	if len(agreed[mendList]) > 0 {
		if err := b.mendList(ctx); err != nil {
			return err
		}
	}
	for _, f := range agreed[mendName] {
		if err := b.mendName(f); err != nil {
			return err
		}
	}
	if err := b.finish(ctx, lock); err != nil {
		return err
	}
	return b.mendSizes(ctx, agreed[mendSizes])
}

// mendList writes a list with every record that could be understood; files without one get UIDs above all of them.
func (b *Mailbox) mendList(ctx context.Context) error {
	text, err := b.control.ReadFile(uidlistName, maxControl)
	if err != nil {
		return b.err("mend list", 0, uidlistName, err)
	}
	_, h, err := b.rescan(ctx)
	if err != nil {
		return err
	}
	later := map[string]formats.UID{}
	records := salvage(text)
	for _, r := range records {
		later[string(r.Base)] = r.UID
		h.UIDNext = max(h.UIDNext, r.UID+1)
	}
	b.list = listTail{}
	err = b.control.ReplaceFile(uidlistName, b.mode, func(w io.Writer) error {
		out := h.append(nil)
		for _, r := range records {
			if later[string(r.Base)] == r.UID {
				out = r.append(out)
			}
		}
		_, err := w.Write(out)
		return err
	})
	if err != nil {
		return b.err("mend list", 0, uidlistName, err)
	}
	return nil
}

// salvage gives every record of a list that can be understood, whatever stands between them, ascending by UID and each
// UID once. Of a last line without its end nobody knows how much is missing.
func salvage(text []byte) []listRecord {
	version := 3
	var out []listRecord
	for line := range bytes.Lines(text) {
		line, whole := bytes.CutSuffix(line, []byte{'\n'})
		if h, err := parseListHeader(line); err == nil && len(out) == 0 {
			version = h.Version
			continue
		}
		if r, err := parseListRecord(version, line); err == nil && whole {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b listRecord) int { return int(int64(a.UID) - int64(b.UID)) })
	return slices.CompactFunc(out, func(a, b listRecord) bool { return a.UID == b.UID })
}

// mendName gives a file a fresh name; it becomes a message of its own.
func (b *Mailbox) mendName(f finding) error {
	name := b.store.clock.appendName(nil)
	if i := bytes.LastIndex([]byte(f.file), []byte(info2)); i >= 0 && !bytes.ContainsAny([]byte(f.file[i:]), "\r\n") {
		name = append(name, f.file[i:]...)
	}
	d := b.folderAt(f.in)
	if err := d.RenameNew(f.file, d, string(name)); err != nil {
		return b.err("mend name", f.uid, "", err)
	}
	return b.syncDir(d)
}

// mendSizes gives files their sizes. Each gets a second name first, then the list says the new names, then the old ones
// go: whoever looks meanwhile sees one message under one UID.
func (b *Mailbox) mendSizes(ctx context.Context, sizes []finding) error {
	if len(sizes) == 0 {
		return nil
	}
	b.mu.Lock()
	v, err := b.scan(ctx)
	b.mu.Unlock()
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.seen = v
	b.mu.Unlock()
	defer b.forget()
	type renamed struct {
		in  where
		old string
	}
	var done []renamed
	for _, f := range sizes {
		e, ok := v.find(f.uid)
		if !ok || e.bad {
			continue
		}
		old := string(v.name(e))
		name, err := b.linkSized(ctx, v, e)
		if err != nil {
			return err
		}
		if _, has := extField(v.ext(e), 'G'); !has && extValue(old) {
			ext := append([]byte("G"), baseName([]byte(old))...)
			if had := v.ext(e); len(had) > 0 {
				ext = append(append(ext, ' '), had...)
			}
			e.ext, e.extLen = v.text.add(ext), uint16(len(ext))
		}
		e.name, e.nameLen = v.text.add(name), uint8(len(name))
		done = append(done, renamed{e.where, old})
	}
	h, err := b.newHeader(ctx, v)
	if err != nil {
		return err
	}
	if err := b.writeList(v, h); err != nil {
		return err
	}
	for _, r := range done {
		if err := b.folderAt(r.in).Remove(r.old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return b.err("mend sizes", 0, r.old, err)
		}
	}
	return errors.Join(b.syncDir(b.cur), b.syncDir(b.fresh))
}

// linkSized gives a message's file a second name with exact sizes.
func (b *Mailbox) linkSized(ctx context.Context, v *view, e *entry) ([]byte, error) {
	m := formats.Message{UID: e.uid}
	body, err := b.Body(ctx, &m)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	size, virtual, err := measure(body, nil)
	if err != nil {
		return nil, b.err("mend sizes", e.uid, "", err)
	}
	plain := withoutSizes(nil, v.name(e))
	base := baseName(plain)
	name := append(appendSizes(slices.Clone(base), size, virtual), plain[len(base):]...)
	d := b.folderAt(e.where)
	if err := d.Link(string(v.name(e)), d, string(name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, b.err("mend sizes", e.uid, "", err)
	}
	return name, b.syncDir(d)
}

// forget makes the next look a fresh one.
func (b *Mailbox) forget() {
	b.mu.Lock()
	b.seen = nil
	b.mu.Unlock()
}
