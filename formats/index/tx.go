package index

import "dovetail/formats"

// Tx collects the changes of one transaction. Whatever the order of calls, they are applied in the order of the
// methods here: extensions, header, appends, flags, data of extensions, keywords, modseqs, expunges.
type Tx struct{}

// State is the mailbox before the transaction, complete up to the end of the locked log. It must not be used after
// Update returned.
func (tx *Tx) State() *State { return nil }

// Introduce adds an extension, or grows the one of that name; a nil Header is filled with zeros... of the size it has.
func (tx *Tx) Introduce(e Extension) {}

// SetHeader writes data at offset of an extension's header.
func (tx *Tx) SetHeader(ext string, offset int, data []byte) {}

// ResetExt changes an extension's reset id and clears its data.
func (tx *Tx) ResetExt(ext string, resetID uint32) {}

// SetUIDValidity changes the mailbox's UIDVALIDITY.
func (tx *Tx) SetUIDValidity(v formats.UIDValidity) {}

// RaiseNextUID makes NextUID at least uid.
func (tx *Tx) RaiseNextUID(uid formats.UID) {}

// SetFirstRecent sets the first UID that is \Recent.
func (tx *Tx) SetFirstRecent(uid formats.UID) {}

// NextUID is the UID that the next Append with UID 0 gets.
func (tx *Tx) NextUID() formats.UID { return 0 }

// Append adds a message and gives its UID: m.UID, or NextUID when that is 0. ErrUIDTaken if m.UID is too low.
// m.ModSeq 0: the next one.
func (tx *Tx) Append(m Message) (formats.UID, error) { return 0, nil }

// UpdateFlags adds and removes flags of messages. UIDs without message are skipped, here and below.
func (tx *Tx) UpdateFlags(uids formats.Ranges, add, remove formats.Flags) {}

// SetData writes what extension ext keeps for a message.
func (tx *Tx) SetData(ext string, uid formats.UID, data []byte) {}

// Increment adds diff to the number that extension ext keeps for a message.
func (tx *Tx) Increment(ext string, uid formats.UID, diff int32) {}

// AddKeyword, RemoveKeyword and ClearKeywords change keywords of messages.
func (tx *Tx) AddKeyword(name string, uids formats.Ranges) {}

// RemoveKeyword takes a keyword from messages.
func (tx *Tx) RemoveKeyword(name string, uids formats.Ranges) {}

// ClearKeywords takes all keywords from messages.
func (tx *Tx) ClearKeywords(uids formats.Ranges) {}

// SetModSeq gives a message the modseq m.
func (tx *Tx) SetModSeq(uid formats.UID, m formats.ModSeq) {}

// RaiseModSeq makes the mailbox's highest modseq at least m.
func (tx *Tx) RaiseModSeq(m formats.ModSeq) {}

// Expunge removes a message; guid is its 128-bit GUID, or zero.
func (tx *Tx) Expunge(uid formats.UID, guid formats.GUID) {}

// DeleteIndex says that the mailbox is being deleted: other sessions stop using it.
func (tx *Tx) DeleteIndex() {}

// SyncTail notes, after the transaction, that everything in the log so far is done: a map index of mdbox needs it.
func (tx *Tx) SyncTail() {}

// Sync makes the transaction durable even if it changes only flags.
func (tx *Tx) Sync() {}
