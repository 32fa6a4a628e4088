package tree

import (
	"encoding/binary"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/index"
)

// The header extension of a folder's index: in sdbox dbox-hdr, in mdbox mdbox-hdr.
//
//	0   u32       sdbox: count of rebuilds; mdbox: UIDVALIDITY of the map
//	4   16 bytes  mailbox GUID
//	20  u8        HavePOP3UIDL, HavePOP3Order
//	21  3 bytes   unused
const (
	HeaderSize    = 24
	GUIDOffset    = 4
	FlagsOffset   = 20
	HavePOP3UIDL  = 1 // some message has a P
	HavePOP3Order = 2 // some message has an O

	// POP3Ext is the extension that holds the highest UID with a P or O; above it nobody looks (Dovecot 2.3,
	// index-pop3-uidl.c).
	POP3Ext = "hdr-pop3-uidl"
)

// Header gives the data of the extension ext; nil without it.
func Header(st *index.State, ext string) []byte {
	if st == nil {
		return nil
	}
	if e := st.Ext(ext); e != nil && len(e.Header) >= HeaderSize {
		return e.Header
	}
	return nil
}

// GUID gives the mailbox GUID; zero when there is none.
func GUID(st *index.State, ext string) (g formats.GUID) {
	if h := Header(st, ext); h != nil {
		copy(g[:], h[GUIDOffset:])
	}
	return g
}

// POP3 tells which POP3 data of messages count. Dovecot ignores what the index does not announce, and so do its
// clients; without an index everything found is taken.
type POP3 struct {
	UIDL, Order bool
	Last        formats.UID // nothing above it counts
}

// POP3Of reads what the index announces. st may be nil.
func POP3Of(st *index.State, ext string) POP3 {
	p := POP3{UIDL: true, Order: true, Last: 1<<32 - 1}
	if st == nil {
		return p
	}
	if h := Header(st, ext); h != nil {
		p.UIDL = h[FlagsOffset]&HavePOP3UIDL != 0
		p.Order = h[FlagsOffset]&HavePOP3Order != 0
	}
	if e := st.Ext(POP3Ext); e != nil && len(e.Header) >= 4 {
		p.Last = formats.UID(binary.LittleEndian.Uint32(e.Header))
	}
	return p
}

// Any tells whether any message can have some.
func (p POP3) Any() bool { return p.UIDL || p.Order }

// Fill copies what counts of a message's metadata.
func (p POP3) Fill(uid formats.UID, m *dbox.Metadata, d *formats.Detail) {
	if uid > p.Last {
		return
	}
	if p.UIDL {
		d.POP3UIDL = m.POP3UIDL
	}
	if p.Order {
		d.POP3Order = m.POP3Order
	}
}

// Record gives what the index tells of its i-th message: everything but Detail.
func Record(st *index.State, r index.Message) formats.Message {
	m := formats.Message{UID: r.UID, Flags: r.Flags & formats.SystemFlags, Keywords: r.Keywords, ModSeq: r.ModSeq,
		Detail: formats.Detail{Size: -1, VirtualSize: -1}}
	if st.FirstRecent != 0 && r.UID >= st.FirstRecent {
		m.Flags |= formats.Recent
	}
	return m
}

// Status counts in the index.
func Status(st *index.State, ext string) formats.Status {
	s := formats.Status{
		GUID:          GUID(st, ext),
		UIDValidity:   st.UIDValidity,
		UIDNext:       st.NextUID,
		HighestModSeq: st.HighestModSeq(),
		KeepsModSeqs:  st.KeepsModSeqs(),
		FirstRecent:   st.FirstRecent,
		Messages:      uint32(st.Len()),
		Unseen:        uint32(st.Unseen()),
	}
	if st.FirstRecent != 0 {
		first, _ := st.Find(st.FirstRecent)
		s.Recent = uint32(st.Len() - first)
	}
	return s
}
