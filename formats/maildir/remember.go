package maildir

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// What a look at a large folder has found is kept in a file of ours beside the index, "dovetail.names", for whoever opens
// the mailbox next: as long as the folders and lists have the same inodes, sizes and times, none of them is read again,
// and after changes only those that changed (see looker). It may be lost at any time. Numbers are little-endian:
//
//	 0 15 bytes  "dovetail.names\n"
//	15 u8        version, 1
//	16 u32       CRC-32C of the names
//	20 u32       CRC-32C of all between this and the names
//	24 u64       where the names begin
//	32 …         what view.fields writes, see there
//	             entries of 20 bytes: u32 UID, u32 number of the set of keywords, u32 size with every line end as CRLF + 1
//	             or 0, u16 length of the fields of the record, u8 length of the name, u8 flags, u8 folder, 3 zero bytes
//	             for each entry its name and the fields of its record, in blocks of textBlock bytes; what does not fit in
//	             the rest of a block begins the next one
//
// The names are read when they are needed first.
const (
	namesFile  = "dovetail.names"
	namesMagic = "dovetail.names\n\x01"
	namesHead  = len(namesMagic) + 16
	entrySize  = 20

	// fewNames are read as fast as such a file.
	fewNames = 200

	// maxNamesFile has room for the longest names of two million messages.
	maxNamesFile = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// kept is what is in the file.
type kept struct {
	stamps  stamps
	settled bool // the stamps were when they were taken
	index   place
}

// place is one in the log of an index; its zero value is none.
type place struct{ id, log, head uint32 }

func placeOf(st *index.State) place {
	if st == nil {
		return place{}
	}
	return place{st.IndexID, st.LogSeq, st.Head}
}

// Remember writes the file anew if it would have to be read with something else. Failing is no harm.
func (b *Mailbox) Remember(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil || !b.keepsNames() || len(b.seen.entries) < fewNames {
		return
	}
	v, err := b.refresh(ctx)
	if err != nil {
		return
	}
	is := kept{v.stamps, v.stamps.settled(), placeOf(v.index)}
	if is.settled == b.kept.settled && is.index == b.kept.index && is.stamps.same(b.kept.stamps) {
		return
	}
	if !v.lookable() || !v.complete() {
		return
	}
	if text := v.remembered(); text != nil && b.writeNames(text) == nil {
		b.kept = is
	}
}

// keepsNames tells whether there is a place for the file.
func (b *Mailbox) keepsNames() bool {
	return b.store.keepsIndex() && !b.store.readOnly() && b.barred == nil && b.indexDir != nil
}

// writeNames does not wait for the disk: a file that is torn is none.
func (b *Mailbox) writeNames(text []byte) error {
	const tmp = namesFile + ".tmp"
	if err := b.indexDir.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := b.indexDir.Create(tmp, b.mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = b.indexDir.Rename(tmp, b.indexDir, namesFile)
	}
	if err != nil {
		b.indexDir.Remove(tmp) // best effort
	}
	return err
}

// remembered is the content of the file; nil for a view that cannot be written down.
func (v *view) remembered() []byte {
	sets := make([]setKey, len(v.sets))
	for key, n := range v.setOf {
		sets[n] = key
	}
	for n, key := range sets {
		if !slices.Equal(v.namesOf(key), v.sets[n]) {
			return nil
		}
	}
	b := append(make([]byte, namesHead, namesHead+4096+len(v.entries)*(entrySize+64)), v.fields(sets)...)
	texts := text{}
	for i := range v.entries {
		e := &v.entries[i]
		b = binary.LittleEndian.AppendUint32(b, uint32(e.uid))
		b = binary.LittleEndian.AppendUint32(b, e.set)
		b = binary.LittleEndian.AppendUint32(b, v.smallSize(i))
		b = binary.LittleEndian.AppendUint16(b, e.extLen)
		b = append(b, e.nameLen, byte(e.flags), byte(e.where), 0, 0, 0)
		texts.add(v.name(e))
		if e.extLen > 0 {
			texts.add(v.ext(e))
		}
	}
	names := len(b)
	for i, block := range texts.blocks {
		b = append(b, block...)
		if i < len(texts.blocks)-1 {
			b = append(b, make([]byte, textBlock-len(block))...)
		}
	}
	copy(b, namesMagic)
	head := b[len(namesMagic):]
	binary.LittleEndian.PutUint32(head, crc32.Checksum(b[names:], castagnoli))
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(b[namesHead:names], castagnoli))
	binary.LittleEndian.PutUint64(head[8:], uint64(names))
	return b
}

// smallSize is the size of the i-th message in the file.
func (v *view) smallSize(i int) uint32 {
	if v.sizes != nil {
		return v.sizes[i]
	}
	if size, ok := sizeField(v.name(&v.entries[i]), 'W'); ok && size < 1<<32-1 {
		return uint32(size) + 1
	}
	return 0
}

// namesOf gives the keywords of a set.
func (v *view) namesOf(key setKey) []string {
	names := v.keywords.names(key.keys)
	if key.more != "" {
		names = append(names, strings.Split(key.more, "\n")...)
	}
	return names
}

// fields is what is in front of the entries; see take for their order.
func (v *view) fields(sets []setKey) (b []byte) {
	le := binary.LittleEndian
	for _, id := range []disk.ID{v.stamps.cur, v.stamps.fresh, v.stamps.list, v.stamps.keywords} {
		for _, n := range []int64{int64(id.Dev), int64(id.Ino), id.Size, id.MTime.Nano(), id.CTime.Nano()} {
			b = le.AppendUint64(b, uint64(n))
		}
	}
	at := placeOf(v.index)
	for _, n := range []int64{v.stamps.at.UnixNano(), v.readAt.UnixNano(), v.tail.size, v.tail.record, int64(v.dead)} {
		b = le.AppendUint64(b, uint64(n))
	}
	for _, n := range []uint32{at.id, at.log, at.head, uint32(v.header.Version), uint32(v.header.UIDValidity), uint32(v.header.UIDNext),
		uint32(v.tail.last), uint32(len(sets)), uint32(len(v.entries))} {
		b = le.AppendUint32(b, n)
	}
	b = append(b, bit(v.unsure), bit(v.settled), bit(v.header.HasGUID))
	b = append(b, v.header.GUID[:]...)
	b = appendText(b, v.header.Extra)
	for _, name := range v.keywords {
		b = appendText(b, name)
	}
	for _, key := range sets {
		b = appendText(le.AppendUint32(b, uint32(key.keys)), key.more)
	}
	return b
}

func bit(set bool) byte {
	if set {
		return 1
	}
	return 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
}

var _ formats.Rememberer = (*Mailbox)(nil)
