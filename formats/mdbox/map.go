package mdbox

import (
	"encoding/binary"
	"strconv"

	"dovetail/formats"
	"dovetail/formats/index"
)

const (
	extRef = "ref"

	// maxRefs is how often a message may be referred to before copies are made of it (Dovecot 2.3,
	// mdbox_map_update_refcount).
	maxRefs = 32768
)

func fileName(id uint32) string { return "m." + strconv.FormatUint(uint64(id), 10) }

// place is where the map says that a message is.
type place struct {
	file, offset, size uint32
}

// end is where the next message begins, unless size is 0.
func (p place) end() int64 { return int64(p.offset) + int64(p.size) }

func (p place) bytes() []byte {
	b := binary.LittleEndian.AppendUint32(nil, p.file)
	b = binary.LittleEndian.AppendUint32(b, p.offset)
	return binary.LittleEndian.AppendUint32(b, p.size)
}

func placeIn(st *index.State, uid formats.UID) (place, bool) {
	i, ok := st.Find(uid)
	if !ok {
		return place{}, false
	}
	return placeAt(st, i)
}

func placeAt(st *index.State, i int) (place, bool) {
	e := st.Ext(extMap)
	if e == nil || e.Size < 12 {
		return place{}, false
	}
	b := st.Data(i, e)
	u32 := binary.LittleEndian.Uint32
	return place{u32(b), u32(b[4:]), u32(b[8:])}, true
}

// refsOf tells how many messages of folders are the one with a map UID; there is false when the map does not have it.
func refsOf(st *index.State, uid formats.UID) (n int, there bool) {
	i, ok := st.Find(uid)
	e := st.Ext(extRef)
	if !ok || e == nil || e.Size < 2 {
		return 0, false
	}
	return int(binary.LittleEndian.Uint16(st.Data(i, e))), true
}

// edition is what changes when Dovecot builds the map anew, and with it all map UIDs.
type edition struct {
	validity formats.UIDValidity
	rebuilds uint32
}

func editionOf(st *index.State) edition {
	e := edition{validity: st.UIDValidity}
	if x := st.Ext(extMap); x != nil && len(x.Header) >= 8 {
		e.rebuilds = binary.LittleEndian.Uint32(x.Header[4:])
	}
	return e
}

func highestFile(st *index.State) uint32 {
	if x := st.Ext(extMap); x != nil && len(x.Header) >= 4 {
		return binary.LittleEndian.Uint32(x.Header)
	}
	return 0
}
