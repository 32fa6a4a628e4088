// Package parsed keeps what was once parsed of messages, so that listing a mailbox again, searching, sorting or threading it
// reads no message: two files beside the mailbox's index, "dovetail.cache" of records and "dovetail.sort" of keys.
//
// # The files
//
// Numbers are little-endian; "uv" is encoding/binary's Uvarint, "v" its Varint. A header of 32 bytes:
//
//	 0 15 bytes  "dovetail.cache\n" or "dovetail.sort \n"
//	15 u8        version, 1
//	16 u32       UIDVALIDITY
//	20 u64       a random number
//	28 u32       CRC-32C of the 28 bytes before
//
// Then, in dovetail.cache, records, each of which replaces an earlier one of the same message:
//
//	u32 length of what follows the checksum   u32 CRC-32C of that
//	uv UID   uv stored size   uv bit mask of the items that follow, in the order of the bits
//
//	1 v virtual size      2 v sent date, seconds since 1970; v zone, minutes       4 v internal date     8 v save date
//	10 ENVELOPE           20 BODY             40 BODYSTRUCTURE: uv length, then the text as it goes over the wire
//	80 uv length, the parts of the message: uv count, then for each its Offset as the difference to the part before,
//	   Stored, Virtual and Lines of header and of body as v, Parent, Child, Next as uv, flags u8
//	100 uv length, names of further header fields that were kept, each ended by LF
//	200 uv length, the lines of the fields that are kept, as they are in the message
//	400 uv length, the text of PREVIEW
//
// In dovetail.sort there are blocks of up to 1,024 messages in ascending order of UID; what is in one replaces what earlier
// ones have of the same messages. A block has a column for each Key, so that sorting by subject reads subjects alone:
//
//	 0 u32  length of all of it
//	 4 u32  CRC-32C of what follows up to the first column
//	 8 u32  messages
//	12 for each column: u32 length, u32 CRC-32C
//	.. for each message: uv UID, as the difference to the one before
//	.. the columns. A number is an i64, the lowest one if it is not known; a text is uv twice its length (plus one in the
//	   column BySubject if Keys.Reply) and the text; IDs are uv count and u64 each
//
// A row whose StoredSize is not known means that nothing is known of the message.
//
// # What it is worth
//
// Nothing in it is needed, and nothing in it is trusted over the message: a record counts only with its checksum, under
// the UIDVALIDITY of the mailbox and for a message of the stored size that it names. What does not fit is dropped without
// a word and made anew. The files are never synced; after a crash their torn end is cut off. A folder that cannot be written
// to, a full disk or a lock that somebody else holds only mean that nothing is kept.
//
// Several processes append to a file, each holding an open file description lock while it does. A file that is mostly
// stale, or of small blocks, is written anew beside it and renamed into place; who has the old one open notices before it
// writes.
package parsed

import (
	"dovetail/formats/message"
)

// FileName is the name of the file of records, SortFileName that of the file of keys.
const (
	FileName     = "dovetail.cache"
	SortFileName = "dovetail.sort"
)

// Data is what is known of a message. Texts and lines given by a Reader are valid until it is used again.
type Data struct {
	Size        int64 // as stored
	VirtualSize int64 // with CRLF; -1 unknown

	// Sent is the date of the header field Date in seconds since 1970, 0 if there is no valid one; SentZone its offset
	// from UTC in minutes. They are known when Header is.
	Sent     int64
	SentZone int

	// Internal is the internal date, Saved the save date, in seconds since 1970.
	Internal, Saved       int64
	HasInternal, HasSaved bool

	// Envelope, Body and BodyStructure are the answers to FETCH of that name; nil unknown.
	Envelope, Body, BodyStructure []byte

	// Preview is the text of PREVIEW; nil unknown.
	Preview []byte

	// Tree is nil when the message was not parsed.
	Tree message.Tree

	// Header holds the lines of the fields that KeptField names and those in More (upper case), each with its
	// continuation lines, as they are in the message; HasHeader tells that it is known.
	HasHeader bool
	Header    []byte
	More      []string
}

// keptFields are the fields that nearly every client asks for or searches, in upper case.
var keptFields = map[string]bool{
	"BCC": true, "CC": true, "DATE": true, "FROM": true, "IN-REPLY-TO": true, "LIST-ID": true, "MESSAGE-ID": true,
	"REFERENCES": true, "REPLY-TO": true, "SENDER": true, "SUBJECT": true, "TO": true, "X-PRIORITY": true, "IMPORTANCE": true,
	"PRIORITY": true, "CONTENT-TYPE": true, "MIME-VERSION": true, "DISPOSITION-NOTIFICATION-TO": true,
}

// KeptField tells whether Header always has a field, by its name in upper case.
func KeptField(name string) bool { return keptFields[name] }

// Holds tells whether Header has every line of a field there is, by its name in upper case.
func (d *Data) Holds(name string) bool {
	if !d.HasHeader {
		return false
	}
	if keptFields[name] {
		return true
	}
	for _, n := range d.More {
		if n == name {
			return true
		}
	}
	return false
}
