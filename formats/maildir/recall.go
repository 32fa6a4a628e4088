package maildir

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// recall gives the view that the file holds, in the state that it describes; nil if there is none.
func (b *Mailbox) recall() *view {
	if !b.keepsNames() {
		return nil
	}
	v := &view{hasList: true, recalled: true, setOf: map[setKey]uint32{}}
	text, err := v.openNames(b.indexDir)
	if err != nil {
		return nil
	}
	at, ok := v.take(text)
	if !ok {
		v.text.lazy.close()
		return nil
	}
	b.kept = kept{v.stamps, v.stamps.settled(), at}
	v.indexSeen = b.indexState()
	if st := v.indexSeen; st != nil && st.UIDValidity == v.header.UIDValidity {
		v.index = st
		v.uidNext = max(v.uidNext, st.NextUID)
	}
	v.first = v.uidNext
	if placeOf(v.index) != at {
		v.settled = false
		v.sets, v.setOf = make([][]string, 1), map[setKey]uint32{}
		(&scanner{Mailbox: b, v: v}).readMeanings() // there is a list: it cannot fail
		if !v.known() {
			return nil
		}
	}
	return v
}

// take takes over the file behind its head, and gives the place in the index that the meanings are from.
func (v *view) take(b []byte) (at place, ok bool) {
	r := &fieldReader{b: b}
	for _, id := range []*disk.ID{&v.stamps.cur, &v.stamps.fresh, &v.stamps.list, &v.stamps.keywords} {
		*id = disk.ID{Dev: r.u64(), Ino: r.u64(), Size: int64(r.u64()), MTime: unix.NsecToTimespec(int64(r.u64())), CTime: unix.NsecToTimespec(int64(r.u64()))}
	}
	v.stamps.at, v.readAt = time.Unix(0, int64(r.u64())), time.Unix(0, int64(r.u64()))
	v.tail.size, v.tail.record, v.dead = int64(r.u64()), int64(r.u64()), int(r.u64())
	at = place{r.u32(), r.u32(), r.u32()}
	v.header.Version, v.header.UIDValidity, v.header.UIDNext = int(r.u32()), formats.UIDValidity(r.u32()), formats.UID(r.u32())
	v.tail.last = formats.UID(r.u32())
	sets, n := int(r.u32()), int(r.u32())
	v.unsure, v.settled, v.header.HasGUID = r.u8() != 0, r.u8() != 0, r.u8() != 0
	copy(v.header.GUID[:], r.next(len(v.header.GUID)))
	v.header.Extra = r.text()
	for i := range v.keywords {
		v.keywords[i] = r.text()
	}
	for i := 0; i < sets && !r.short; i++ {
		key := setKey{keys: letters(r.u32()), more: r.text()}
		v.sets = append(v.sets, v.namesOf(key))
		v.setOf[key] = uint32(i)
	}
	entries := r.next(n * entrySize)
	if r.short || sets == 0 || v.tail.record > v.tail.size || v.tail.record < 0 || v.dead < 0 || !v.soundList() {
		return at, false
	}
	delete(v.setOf, setKey{})
	v.uidNext = max(v.header.UIDNext, v.tail.last+1)
	return at, len(r.b) == 0 && v.takeEntries(entries)
}

// takeEntries takes over the entries and their texts.
func (v *view) takeEntries(b []byte) bool {
	v.sizes = make([]uint32, len(b)/entrySize)
	v.entries = make([]entry, len(b)/entrySize)
	at, last := int64(0), formats.UID(0)
	place := func(n int64) uint32 { // where the next text of that length is
		if at%textBlock+n > textBlock {
			at += textBlock - at%textBlock
		}
		at += n
		return uint32(at - n)
	}
	for i := range v.entries {
		f := b[i*entrySize : (i+1)*entrySize]
		e := &v.entries[i]
		*e = entry{
			uid: formats.UID(binary.LittleEndian.Uint32(f)), set: binary.LittleEndian.Uint32(f[4:]), extLen: binary.LittleEndian.Uint16(f[12:]),
			nameLen: f[14], flags: formats.Flags(f[15]) & formats.SystemFlags, where: where(f[16]), listed: true,
		}
		v.sizes[i] = binary.LittleEndian.Uint32(f[8:])
		e.name = place(int64(e.nameLen))
		if e.extLen > 0 {
			e.ext = place(int64(e.extLen))
		}
		if e.uid <= last || e.uid >= v.uidNext || e.nameLen == 0 || e.where > inNew || int(e.set) >= len(v.sets) || at > v.text.lazy.size {
			return false
		}
		last = e.uid
	}
	return true
}

// nameAll makes the table of names of a view that was read from the file: it is needed only when something changed.
func (v *view) nameAll() {
	if v.names != nil || !v.recalled {
		return
	}
	v.names = newByBaseOf(v, len(v.entries))
	for i := range v.entries {
		v.names.put(i)
	}
}

// forgetNames has the next look at an older view be a scan.
func (v *view) forgetNames() { v.names, v.recalled = nil, false }
