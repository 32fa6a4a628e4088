package parsed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"dovetail/formats"
	"dovetail/formats/message"
)

const (
	headerSize  = 32
	recordStart = 8 // length and checksum

	// maxRecord bounds one record: a message with more is not kept. maxFile bounds the file.
	// maxMore bounds the fields that are kept beside the usual ones.
	maxRecord = 1 << 20
	maxMore   = 64
	maxFile   = 2 << 30
)

// The items of a record.
const (
	hasVirtual = 1 << iota
	hasSent
	hasInternal
	hasSaved
	hasEnvelope
	hasBody
	hasBodyStructure
	hasTree
	hasMore
	hasHeader
	hasPreview

	known = hasPreview<<1 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errBroken = errors.New("broken record")

// appendRecord adds a record, or nothing when it would be too large.
func appendRecord(dst []byte, uid formats.UID, d *Data) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = binary.AppendUvarint(dst, uint64(uid))
	dst = binary.AppendUvarint(dst, uint64(d.Size))
	dst = d.appendItems(dst)
	payload := dst[start+recordStart:]
	if len(payload) > maxRecord {
		return dst[:start]
	}
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(dst[start+4:], crc32.Checksum(payload, castagnoli))
	return dst
}

func (d *Data) items() (mask uint64) {
	for i, has := range [...]bool{d.VirtualSize >= 0, d.HasHeader, d.HasInternal, d.HasSaved, d.Envelope != nil, d.Body != nil,
		d.BodyStructure != nil, d.Tree != nil, len(d.More) > 0, d.HasHeader, d.Preview != nil} {
		if has {
			mask |= 1 << i
		}
	}
	return mask
}

func (d *Data) appendItems(dst []byte) []byte {
	mask := d.items()
	dst = binary.AppendUvarint(dst, mask)
	if mask&hasVirtual != 0 {
		dst = binary.AppendVarint(dst, d.VirtualSize)
	}
	if mask&hasSent != 0 {
		dst = binary.AppendVarint(binary.AppendVarint(dst, d.Sent), int64(d.SentZone))
	}
	if mask&hasInternal != 0 {
		dst = binary.AppendVarint(dst, d.Internal)
	}
	if mask&hasSaved != 0 {
		dst = binary.AppendVarint(dst, d.Saved)
	}
	for i, text := range [...][]byte{d.Envelope, d.Body, d.BodyStructure} {
		if mask&(hasEnvelope<<i) != 0 {
			dst = appendBytes(dst, text)
		}
	}
	if mask&hasTree != 0 {
		dst = appendBytes(dst, appendTree(nil, d.Tree))
	}
	if mask&hasMore != 0 {
		var names []byte
		for _, n := range d.More {
			names = append(append(names, n...), '\n')
		}
		dst = appendBytes(dst, names)
	}
	if mask&hasHeader != 0 {
		dst = appendBytes(dst, d.Header)
	}
	if mask&hasPreview != 0 {
		dst = appendBytes(dst, d.Preview)
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func appendTree(dst []byte, t message.Tree) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(t)))
	last := int64(0)
	for i := range t {
		p := &t[i]
		for _, n := range [...]int64{p.Offset - last, p.Header.Stored, p.Header.Virtual, p.Header.Lines, p.Body.Stored, p.Body.Virtual, p.Body.Lines} {
			dst = binary.AppendVarint(dst, n)
		}
		for _, n := range [...]int32{p.Parent, p.Child, p.Next} {
			dst = binary.AppendUvarint(dst, uint64(uint32(n)))
		}
		dst = append(dst, byte(p.Flags))
		last = p.Offset
	}
	return dst
}

// uidOf gives the message that a record's payload is about.
func uidOf(payload []byte) (formats.UID, bool) {
	uid, n := binary.Uvarint(payload)
	return formats.UID(uid), n > 0 && uid > 0 && uid < 1<<32
}

// decoder takes a payload apart; after the first error everything is zero.
type decoder struct {
	b   []byte
	bad bool
}

func (r *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *decoder) varint() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *decoder) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	text := r.b[:n:n]
	r.b = r.b[n:]
	if text == nil {
		text = []byte{}
	}
	return text
}

// decode takes a payload apart. Texts point into it; the tree is made in d's own space.
func (d *Data) decode(payload []byte) (formats.UID, error) {
	tree := d.Tree[:0]
	*d = Data{VirtualSize: -1, More: d.More[:0]}
	r := decoder{b: payload}
	uid := r.uvarint()
	d.Size = int64(r.uvarint())
	mask := r.uvarint()
	if mask&hasVirtual != 0 {
		d.VirtualSize = r.varint()
	}
	if mask&hasSent != 0 {
		d.Sent, d.SentZone = r.varint(), int(r.varint())
	}
	if d.HasInternal = mask&hasInternal != 0; d.HasInternal {
		d.Internal = r.varint()
	}
	if d.HasSaved = mask&hasSaved != 0; d.HasSaved {
		d.Saved = r.varint()
	}
	for i, text := range [...]*[]byte{&d.Envelope, &d.Body, &d.BodyStructure} {
		if mask&(hasEnvelope<<i) != 0 {
			*text = r.bytes()
			r.bad = r.bad || !sound(*text)
		}
	}
	if mask&hasTree != 0 {
		d.Tree = r.tree(tree, d.Size)
	}
	if mask&hasMore != 0 {
		for line := range bytes.Lines(r.bytes()) {
			d.More = append(d.More, string(bytes.TrimSuffix(line, []byte{'\n'})))
			if len(d.More) > maxMore {
				r.bad = true
				break
			}
		}
	}
	if d.HasHeader = mask&hasHeader != 0; d.HasHeader {
		d.Header = r.bytes()
	}
	if mask&hasPreview != 0 {
		d.Preview = r.bytes()
	}
	if v := d.VirtualSize; v != -1 && (v < d.Size || v-d.Size > d.Size) { // each byte a line end
		r.bad = true
	}
	if r.bad || len(r.b) > 0 || mask&^known != 0 || uid == 0 || uid >= 1<<32 || d.Size < 0 {
		*d = Data{VirtualSize: -1}
		return 0, errBroken
	}
	return formats.UID(uid), nil
}

// tree reads the parts of a message of that size. One that a parser cannot have given is refused: sections are read by
// its offsets and links.
func (r *decoder) tree(t message.Tree, size int64) message.Tree {
	in := decoder{b: r.bytes()}
	n := in.uvarint()
	if n == 0 || n > message.MaxParts || n > uint64(len(in.b))/11+1 {
		r.bad = true
		return nil
	}
	at := int64(0)
	for i := range int32(n) {
		var p message.Part
		at += in.varint()
		p.Offset = at
		for _, s := range [...]*message.Size{&p.Header, &p.Body} {
			s.Stored, s.Virtual, s.Lines = in.varint(), in.varint(), in.varint()
			if s.Stored < 0 || s.Stored > size || s.Virtual < s.Stored || s.Virtual > 2*s.Stored || s.Lines < 0 || s.Lines > s.Stored {
				in.bad = true
			}
		}
		p.Parent, p.Child, p.Next = in.link(n), in.link(n), in.link(n)
		if p.Child != 0 && p.Child <= i || p.Next != 0 && p.Next <= i || p.Parent != 0 && p.Parent >= i {
			in.bad = true
		}
		if p.Offset < 0 || p.Offset > size-p.Header.Stored-p.Body.Stored || len(in.b) == 0 {
			in.bad = true
			break
		}
		p.Flags = message.Flags(in.b[0])
		in.b = in.b[1:]
		t = append(t, p)
	}
	if in.bad || len(in.b) > 0 || !soundTree(t) {
		r.bad = true
		return nil
	}
	return t
}

func (r *decoder) link(n uint64) int32 {
	k := r.uvarint()
	if k >= n {
		r.bad = true
		return 0
	}
	return int32(k)
}
