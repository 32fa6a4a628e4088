package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"dovetail/formats"
)

// planPOP3 makes the records of the POP3 list from P and O, and from the list that is there for messages without a P.
func (w *takeToCourier) planPOP3() error {
	old, err := w.oldPOP3()
	if err != nil {
		return err
	}
	w.uidls = make([]courierPOP3, len(w.rows))
	validities := map[uint32]int{}
	for i, r := range w.rows {
		e := &w.src.entries[r.at]
		base := w.base(r)
		var rec courierPOP3
		had, known := courierPOP3{}, false
		if old != nil {
			had, known = old[r.at], old[r.at].Name != nil
		}
		uidl, has := extField(w.src.ext(e), 'P')
		switch {
		case has && len(uidl) == 0:
			uidl = appendEscapedUIDL(nil, baseName(w.src.name(e)))
			fallthrough
		case has:
			if rec.UID, rec.UIDValidity, has = parseCourierUIDL(uidl, base); !has {
				w.lose(r.uid, base, fmt.Sprintf("POP3 UIDL %q", uidl), "Courier knows UIDn, UIDn-v and the name of the file only; it gives a new one")
				continue
			}
		case known:
			rec.UID, rec.UIDValidity = had.UID, had.UIDValidity
		default:
			continue
		}
		w.UIDLs++
		rec.Name, rec.Size, rec.UTF8 = base, had.Size, had.UTF8
		if !known {
			rec.Size = 0
		}
		w.uidls[i] = rec
		if rec.UID != 0 {
			validities[rec.UIDValidity]++
		}
	}
	w.headPOP3(validities)
	w.tellOrder()
	return nil
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

// headPOP3 chooses what Courier counts on from: its own values as far as there are any, else those of most messages.
func (w *takeToCourier) headPOP3(validities map[uint32]int) {
	w.hasPOP3 = w.states[courierPOP3Name] != noFile || slices.ContainsFunc(w.uidls, func(r courierPOP3) bool { return r.Name != nil })
	if w.pop3.UIDValidity == 0 {
		most := 0
		for v, n := range validities {
			if v != 0 && (n > most || n == most && v > w.pop3.UIDValidity) {
				w.pop3.UIDValidity, most = v, n
			}
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

// tellOrder: Courier shows messages in the order of their names.
func (w *takeToCourier) tellOrder() {
	type ordered struct {
		order uint32
		name  []byte
	}
	var list []ordered
	for _, r := range w.rows {
		e := &w.src.entries[r.at]
		if _, order := w.src.pop3Of(e); order != 0 {
			list = append(list, ordered{order, w.src.name(e)})
		}
	}
	slices.SortStableFunc(list, func(a, b ordered) int { return int(int64(a.order) - int64(b.order)) })
	moved := 0
	for i := 1; i < len(list); i++ {
		if comparePOP3(list[i-1].name, list[i].name) > 0 {
			moved++
		}
	}
	if moved > 0 {
		w.lose(0, nil, fmt.Sprintf("POP3 order of %d messages", moved), "Courier shows messages in the order of their file names")
	}
}

// measure completes the POP3 list: sizes as Courier counts them, and the order of its lines.
func (w *takeToCourier) measure(ctx context.Context) error {
	if w.pop3.UIDValidity == 0 {
		w.pop3.UIDValidity = uint32(time.Now().Unix())
	}
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
