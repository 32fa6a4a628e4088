package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"dovetail/formats"
)

// planPOP3 makes the records of the POP3 list. What a message's record says is the first of these that there is: its P;
// the UIDL that Dovecot made by its pop3_uidl_format, if it was here since its lists were taken; the record of the list
// that is there; the UIDL that Dovecot would have made. A message that Dovecot has not numbered has none.
func (w *takeToCourier) planPOP3() error {
	old, err := w.oldPOP3()
	if err != nil {
		return err
	}
	w.made.begin(w.from)
	w.uidls = make([]courierPOP3, len(w.rows))
	validities := map[uint32]int{}
	for i, r := range w.rows {
		var rec courierPOP3
		if old != nil {
			rec = old[r.at]
		}
		known, base := rec.Name != nil, w.base(r)
		uidl, has := w.uidlOf(r, known)
		if has {
			if rec.UID, rec.UIDValidity, has = parseCourierUIDL(uidl, base); !has {
				w.lose(r.uid, base, fmt.Sprintf("POP3 UIDL %q", uidl), "Courier knows UIDn, UIDn-v and the name of the file only; it gives a new one")
				continue
			}
		} else if !known {
			continue
		}
		w.UIDLs++
		rec.Name = base
		w.uidls[i] = rec
		if rec.UID != 0 {
			validities[rec.UIDValidity]++
		}
	}
	if w.made.lost > 0 {
		w.lose(0, nil, fmt.Sprintf("POP3 UIDLs of %d messages", w.made.lost), w.made.why())
	}
	w.headPOP3(validities)
	w.tellOrder()
	return nil
}

// uidlOf is what clients of Dovecot saw; ok is false where that is not known, or cannot be held by Courier and was counted.
func (w *takeToCourier) uidlOf(r takeRow, known bool) (uidl []byte, ok bool) {
	e := &w.src.entries[r.at]
	if uidl, ok = extField(w.src.ext(e), 'P'); ok {
		if len(uidl) == 0 {
			uidl = appendEscapedUIDL(nil, baseName(w.src.name(e)))
		}
		return uidl, true
	}
	if !e.listed || known && !w.made.seen {
		return nil, false
	}
	return w.made.uidl(w.validity, r.uid, w.base(r))
}

// oldPOP3 gives the records of the POP3 list that is there, by place in src.entries; nil when there is none. Its header is
// where the next UIDLs come from.
func (w *takeToCourier) oldPOP3() ([]courierPOP3, error) {
	f, err := w.b.box.Open(courierPOP3Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, w.b.err("read list", 0, courierPOP3Name, err)
	}
	defer f.Close()
	reader, header, err := readPOP3Header(f)
	if err != nil {
		return nil, nil // Courier would throw it away
	}
	w.pop3 = header
	out := make([]courierPOP3, len(w.src.entries))
	bases := newByBaseOf(w.src, len(w.rows))
	for _, r := range w.rows {
		if w.bases[r.at] == "" {
			bases.put(int(r.at))
		}
	}
	for _, l := range reader.all() {
		if r, ok := parseCourierPOP3(header.Version, l.text); ok && l.whole {
			if i, ok := bases.get(baseName(r.Name)); ok {
				r.Name = []byte{} // there is one
				out[i] = r
			}
		}
	}
	if reader.err != nil {
		return nil, w.b.err("read list", 0, courierPOP3Name, reader.err)
	}
	return out, nil
}

// headPOP3 chooses what Courier counts on from: its own values as far as there are any, else those of most messages. IMAP's
// UIDVALIDITY is never it: what Courier would number by it, Dovecot may have made or make of another message's UID.
func (w *takeToCourier) headPOP3(validities map[uint32]int) {
	w.hasPOP3 = w.states[courierPOP3Name] != noFile || slices.ContainsFunc(w.uidls, func(r courierPOP3) bool { return r.Name != nil })
	imap := uint32(w.validity)
	if w.pop3.UIDValidity == imap {
		w.pop3.UIDValidity = 0
	}
	if w.pop3.UIDValidity == 0 {
		most := 0
		for v, n := range validities {
			if v != 0 && v != imap && (n > most || n == most && v > w.pop3.UIDValidity) {
				w.pop3.UIDValidity, most = v, n
			}
		}
	}
	if w.pop3.UIDValidity == 0 { // Courier takes the time; that of Dovecot's list is the same in every run
		w.pop3.UIDValidity = uint32(w.from.listTime() / 1e9)
		for w.pop3.UIDValidity == imap || validities[w.pop3.UIDValidity] > 0 {
			w.pop3.UIDValidity++
		}
	}
	if w.pop3.Next == 0 {
		w.pop3.Next = 1
	}
	for i := range w.uidls {
		if r := &w.uidls[i]; r.UIDValidity == w.pop3.UIDValidity {
			w.pop3.Next = max(w.pop3.Next, r.UID+1)
		}
	}
	w.pop3.Version = 2
	if w.b.store.opts.Lists == Courier5Lists {
		w.pop3.Version = 3
	}
}

// tellOrder: Courier shows messages in the order of their names. That of messages with an O was chosen and is lost where it
// is another; the others follow in the order of their UIDs, which is only noted.
func (w *takeToCourier) tellOrder() {
	type ordered struct {
		order uint32
		name  []byte
	}
	var chosen []ordered
	var last []byte
	for i, r := range w.rows {
		e := &w.src.entries[r.at]
		if _, order := w.src.pop3Of(e); order != 0 {
			chosen = append(chosen, ordered{order, w.src.name(e)})
		} else if w.uidls[i].Name != nil {
			name := w.src.name(e)
			if last != nil && comparePOP3(last, name) > 0 {
				w.Reordered++
			}
			last = name
		}
	}
	slices.SortStableFunc(chosen, func(a, b ordered) int { return int(int64(a.order) - int64(b.order)) })
	moved := 0
	for i := 1; i < len(chosen); i++ {
		if comparePOP3(chosen[i-1].name, chosen[i].name) > 0 {
			moved++
		}
	}
	if moved > 0 {
		w.lose(0, nil, fmt.Sprintf("POP3 order of %d messages", moved), "Courier shows messages in the order of their file names")
	}
}

// measure completes the POP3 list: sizes as Courier counts them, and the order of its lines.
func (w *takeToCourier) measure(ctx context.Context) error {
	places := make([]int, 0, len(w.rows))
	for i := range w.rows {
		if w.uidls[i].Name != nil {
			places = append(places, i)
		}
	}
	name := func(i int) []byte { return w.src.name(&w.src.entries[w.rows[i].at]) }
	slices.SortFunc(places, func(a, b int) int { return comparePOP3(name(a), name(b)) })
	for _, i := range places {
		rec := &w.uidls[i]
		if rec.UID == 0 {
			rec.UIDValidity = w.pop3.UIDValidity // as Courier 4 writes it; it has no meaning
		}
		if rec.Size == 0 {
			err := w.b.measureCourier(ctx, w.src, &w.src.entries[w.rows[i].at], rec)
			if err != nil && !errors.Is(err, formats.ErrNoMessage) {
				return err
			}
		}
	}
	w.order = places
	return nil
}

// writePOP3 writes the new POP3 list.
func (w *takeToCourier) writePOP3(out io.Writer) error {
	buf := w.pop3.append(make([]byte, 0, 1<<10))
	for _, i := range w.order {
		rec := w.uidls[i]
		rec.Name = w.pop3Name(&w.src.entries[w.rows[i].at], rec.Name)
		buf = rec.append(w.pop3.Version, buf)
		if _, err := out.Write(buf); err != nil {
			return err
		}
		buf = buf[:0]
	}
	_, err := out.Write(buf)
	return err
}

// pop3Name is the name that the message's file is going to have.
func (w *takeToCourier) pop3Name(e *entry, base []byte) []byte {
	name := w.src.name(e)
	info := name[len(lastBase(name)):]
	if len(info) == 0 && e.where != inCur {
		info = []byte(info2)
	}
	return append(slices.Clone(base), info...)
}
