package index

import (
	"encoding/binary"
	"slices"
	"strings"

	"dovetail/formats"
)

const (
	extHead       = 16    // of an extension in the header, before its name
	maxRecSize    = 32768 // of an extension's data in a record
	maxExtName    = 63
	maxExtensions = 1000 // real indexes have a dozen
	recordStart   = 5    // where the data of extensions may begin: behind UID and flags
)

func pad8(n int) int { return (n + 7) &^ 7 }

// validExtName is the test of Dovecot's mail_index_ext_name_is_valid.
func validExtName(name string) bool {
	for _, c := range []byte(name) {
		switch {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', strings.IndexByte("_- ", c) >= 0:
		default:
			return false
		}
	}
	return name != "" && len(name) <= maxExtName
}

// check makes the tests of Dovecot's mail_index_map_ext_hdr_check.
func (e *Extension) check() error {
	switch {
	case !validExtName(e.Name):
		return formats.Corrupt("extension name %q", e.Name)
	case e.Size == 0 && len(e.Header) == 0:
		return formats.Corrupt("extension %s has neither header nor record data", e.Name)
	case e.Size > 0 && (e.Align == 0 || e.Align > 8 || e.Align&(e.Align-1) != 0):
		return formats.Corrupt("extension %s with alignment %d", e.Name, e.Align)
	case e.Size >= maxRecSize:
		return formats.Corrupt("extension %s with record size %d", e.Name, e.Size)
	}
	return nil
}

// readExtensions takes the extensions from the header area b, which begins at offset base of the file.
func readExtensions(b []byte, base int, recSize uint32) ([]Extension, error) {
	var exts []Extension
	for pos := pad8(base); pos < len(b); {
		e, next, err := readExtension(b, pos)
		if err == nil && slices.ContainsFunc(exts, func(o Extension) bool { return o.Name == e.Name }) {
			err = formats.Corrupt("extension %s is there twice", e.Name)
		}
		if err == nil && e.Size > 0 && (e.offset < recordStart || uint32(e.offset)+uint32(e.Size) > recSize) {
			err = formats.Corrupt("extension %s lies outside the record", e.Name)
		}
		if err == nil && e.Size > 0 && (e.offset%e.Align != 0 || recSize%uint32(e.Align) != 0) {
			err = formats.Corrupt("extension %s is not aligned to %d in records of %d bytes", e.Name, e.Align, recSize)
		}
		if err != nil {
			return exts, &formats.Error{Op: "read index", Offset: int64(pos), Err: err}
		}
		exts = append(exts, e)
		pos = next
	}
	return exts, nil
}

func readExtension(b []byte, pos int) (e Extension, next int, err error) {
	if len(b)-pos < extHead {
		return e, 0, formats.Corrupt("extension header cut off")
	}
	le := binary.LittleEndian
	h := b[pos:]
	hdrSize, nameSize := int64(le.Uint32(h)), int(le.Uint16(h[14:]))
	e = Extension{ResetID: le.Uint32(h[4:]), offset: le.Uint16(h[8:]), Size: le.Uint16(h[10:]), Align: le.Uint16(h[12:])}
	if e.Size == 0 {
		e.offset = 0 // means nothing
	}
	data := pos + pad8(extHead+nameSize)
	if pos+extHead+nameSize > len(b) || int64(data)+hdrSize > int64(len(b)) {
		return e, 0, formats.Corrupt("extension goes beyond the header")
	}
	e.Name = string(h[extHead : extHead+nameSize])
	e.Header = slices.Clone(b[data : data+int(hdrSize)])
	return e, data + pad8(int(hdrSize)), e.check()
}

// appendTo writes the extension as it stands in the header, which begins at b[0].
func (e *Extension) appendTo(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(len(e.Header)))
	b = le.AppendUint32(b, e.ResetID)
	b = le.AppendUint16(b, e.offset)
	b = le.AppendUint16(b, e.Size)
	b = le.AppendUint16(b, e.Align)
	b = le.AppendUint16(b, uint16(len(e.Name)))
	b = append(b, e.Name...)
	b = append(b, make([]byte, pad8(len(b))-len(b))...)
	b = append(b, e.Header...)
	return append(b, make([]byte, pad8(len(b))-len(b))...)
}

// layout places the data of extensions in the record and gives the record's size: always the one with the largest
// alignment that fits here, else on to the next aligned place (Dovecot, mail-index-sync-ext.c sync_ext_reorder).
func layout(exts []Extension) int {
	left := make([]*Extension, 0, len(exts))
	widest := 4
	for i := range exts {
		exts[i].offset = 0
		if exts[i].Size > 0 {
			left = append(left, &exts[i])
		}
		if exts[i].Align <= 8 { // even when it has no data in records
			widest = max(widest, int(exts[i].Align))
		}
	}
	slices.SortStableFunc(left, func(a, b *Extension) int { return int(b.Align) - int(a.Align) })
	pos := recordStart
	for len(left) > 0 {
		i := slices.IndexFunc(left, func(e *Extension) bool { return pos%int(e.Align) == 0 })
		if i < 0 {
			narrow := int(left[len(left)-1].Align)
			pos = (pos + narrow - 1) / narrow * narrow
			continue
		}
		left[i].offset = uint16(pos)
		pos += int(left[i].Size)
		left = slices.Delete(left, i, i+1)
	}
	return max(8, (pos+widest-1)/widest*widest)
}

// The header data of the keywords extension: a count, for each keyword an unused number and the offset of its name, and
// the names, each ended by NUL. Dovecot wants a NUL at the end of it all and leaves 128 bytes of room for more.

func keywordsSize(names []string) int {
	n := 4 + 8*len(names)
	for _, name := range names {
		n += len(name) + 1
	}
	return (n + 3) &^ 3
}

const keywordsRoom = 128

// keywordsHeader writes names in size bytes.
func keywordsHeader(names []string, size int) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(make([]byte, 0, size), uint32(len(names)))
	offset := uint32(0)
	for _, name := range names {
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, offset)
		offset += uint32(len(name)) + 1
	}
	for _, name := range names {
		b = append(append(b, name...), 0)
	}
	return b[:size]
}

// readKeywords takes the names from the extension's header data.
func readKeywords(b []byte) ([]string, error) {
	if len(b) < 4 {
		return nil, formats.Corrupt("keywords header of %d bytes", len(b))
	}
	count := int64(binary.LittleEndian.Uint32(b))
	if 4+8*count > int64(len(b)) {
		return nil, formats.Corrupt("%d keywords in a header of %d bytes", count, len(b))
	}
	area := b[4+8*count:]
	if count == 0 {
		return nil, nil
	}
	if len(area) == 0 || area[len(area)-1] != 0 {
		return nil, formats.Corrupt("keywords header does not end with NUL")
	}
	names := make([]string, count)
	for i := range names {
		offset := binary.LittleEndian.Uint32(b[8+8*i:])
		if int64(offset) >= int64(len(area)) {
			return nil, formats.Corrupt("name of keyword %d lies outside the header", i)
		}
		name := area[offset:]
		names[i] = string(name[:slices.Index(name, 0)])
		if names[i] == "" {
			return nil, formats.Corrupt("keyword %d has an empty name", i)
		}
	}
	return names, nil
}

// keywordBytes is the size of the bitmap for n keywords: one byte in reserve unless that breaks an alignment of 4.
func keywordBytes(n int) int {
	size := (n + 7) / 8
	if size%4 != 0 {
		size++
	}
	return size
}
