// Package message reads a mail message (RFC 5322, MIME) as an IMAP server must: one pass over its bytes gives a Message,
// which answers ENVELOPE, BODY and BODYSTRUCTURE, and whose Tree finds every section for BODY[…] and BINARY[…] later
// without reading the message again. Texts for SEARCH, SORT, THREAD and PREVIEW come from here, too. It knows no mailbox
// and no protocol line.
//
// The judge of what broken messages mean is Dovecot 2.3.19: parts, sizes and texts are the same, byte for byte, so that
// clients and caches that know a message from there find nothing changed. Comments name Dovecot's file where a rule comes
// from no RFC.
//
// Bodies are read through io.ReaderAt and never held. What is held is the tree of parts (MaxParts, MaxDepth) and the text
// of those header fields that ENVELOPE and BODYSTRUCTURE need (MaxField each, MaxFields together). Time is linear in the
// length of the message whatever is in it.
//
// # Where Dovecot is not followed
//
//   - Of a text of plain 7-bit mail Dovecot remembers only that it is that, and writes its BODYSTRUCTURE in lower case from
//     the second time on; here it is always as it was written.
//   - A range that begins behind a CR without LF has all its bytes; Dovecot loses the first.
//   - BINARY.SIZE is the size of what BINARY gives. Where parts stand close together Dovecot's is not.
//   - BINARY of a text that ends in the middle of its encoding is an error of that text; Dovecot calls it its own and
//     disconnects. It does so, too, for a header with an encoding that a boundary cuts off, and for a multipart with an
//     encoding of which no part has one: the first is decoded as far as its header goes, the second is given as stored.
//   - NULs around parts stay in BINARY, which says so by a literal8; Dovecot makes them 0x80.
//   - More charsets are known (KS_C_5601-1987), GB2312 is read as GBK, and text that is not what its charset says gets its
//     U+FFFD not always at the same bytes. It matters to previews and searches only.
//
// # Lines
//
// Messages are stored with LF or CRLF as line ends, even both. IMAP sees CRLF only: Size.Virtual counts every LF without
// CR as two bytes, and a Text gives it so. A NUL becomes 0x80 unless binary text was asked for, as nothing else may stand
// in a literal.
package message

// The limits of Dovecot 2.3's parser (src/lib-mail/message-parser.h): what is deeper or more stays inside its parent as
// text of it, and is "application/octet-stream" in BODYSTRUCTURE.
const (
	MaxDepth = 100
	MaxParts = 10_000
)

// MaxField is how much of one header field's value is kept, MaxFields of all in a message; the rest is not seen by
// ENVELOPE and BODYSTRUCTURE.
const (
	MaxField  = 10 << 20
	MaxFields = 50 << 20
)

// Size is a length: in bytes as stored, in bytes with CRLF line ends, and in lines.
type Size struct {
	Stored, Virtual int64
	Lines           int64
}

func (s *Size) add(t Size) {
	s.Stored += t.Stored
	s.Virtual += t.Virtual
	s.Lines += t.Lines
}

// Flags say what a part is.
type Flags uint8

// The kinds of parts. At most one of Multipart, RFC822 and TextPart is set.
const (
	Multipart Flags = 1 << iota // has its parts as children, maybe none
	Digest                      // multipart/digest; together with Multipart
	RFC822                      // message/rfc822: its one child is the message in it
	TextPart                    // text/…, given or by default
	MIME                        // its Content- fields count
	NULs                        // has NUL bytes in its own header or text
	Overflow                    // a limit kept parts of it from being found
)

// Part is a part of a message: where it is and how long.
type Part struct {
	Offset int64 // of its header, in stored bytes from the start of the message
	Header Size  // with the empty line behind it
	Body   Size  // with all its parts

	Parent, Child, Next int32 // places in the Tree; 0 none (the root is nobody's child)
	Flags               Flags
}

// Tree is the parts of a message, parents before children and the first part first; the root at 0 is the message itself.
// It is all that is needed to give sections of a message. It must not be changed while it is in use.
type Tree []Part

// Size is the length of the whole message.
func (t Tree) Size() Size {
	s := t[0].Header
	s.add(t[0].Body)
	return s
}

// HasNULs tells whether a NUL stands anywhere in the message.
func (t Tree) HasNULs() bool {
	for i := range t {
		if t[i].Flags&NULs != 0 {
			return true
		}
	}
	return false
}

// Message is a parsed message: its parts and the header fields that describe them. It is not changed once Parse has given
// it, so many goroutines may use it.
type Message struct {
	Tree Tree

	fields []field // of the parts in their order
	first  []int32 // where the fields of each part begin; one more than there are parts
	text   []byte  // values of all fields
}

// field is one field of a header: its value unfolded to lines ended by LF.
type field struct {
	name       name
	start, end int32 // in Message.text
}

func (m *Message) fieldsOf(part int32) []field { return m.fields[m.first[part]:m.first[part+1]] }

func (m *Message) value(f field) []byte { return m.text[f.start:f.end:f.end] }
