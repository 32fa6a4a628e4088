package translog

import "encoding/binary"

// Builder puts records together to one transaction.
type Builder struct {
	buf     []byte
	records int
}

// Add adds a record; one without payload is left out, as nothing may be logged that changes nothing. t may have External.
// The payload is a multiple of 4 bytes.
func (b *Builder) Add(t Type, payload []byte) {
	if len(payload) == 0 {
		return
	}
	if b.records == 0 {
		b.buf = make([]byte, boundarySize, boundarySize+recordHeader+len(payload))
	}
	b.records++
	b.buf = AppendRecord(b.buf, t, payload)
}

const boundarySize = recordHeader + 4

// Empty tells whether there is anything to write.
func (b *Builder) Empty() bool { return b.records == 0 }

// Bytes is the transaction: a Boundary and the records, or a single record as it is.
func (b *Builder) Bytes() []byte {
	if b.records < 2 {
		return b.buf[min(len(b.buf), boundarySize):]
	}
	size := binary.LittleEndian.AppendUint32(nil, uint32(len(b.buf)))
	AppendRecord(b.buf[:0], Boundary|External, size)
	return b.buf
}

// AppendRecord adds one record to a log.
func AppendRecord(b []byte, t Type, payload []byte) []byte {
	var head [recordHeader]byte
	putSize(head[:], uint32(recordHeader+len(payload)))
	binary.LittleEndian.PutUint32(head[4:], uint32(t))
	return append(append(b, head[:]...), payload...)
}
