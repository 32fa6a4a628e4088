package sdbox

import (
	"errors"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// expunge takes the records away; the files follow when that is durable.
func (t *tx) expunge(ix *index.Tx) (gone formats.Ranges) {
	st := ix.State()
	guid := func(int) formats.GUID { return formats.GUID{} }
	if t.Expunged.Len() <= fewFiles {
		guid = func(i int) formats.GUID { return t.b.messageGUID(st.UID(i)) }
	}
	t.WriteExpunges(ix, guid, func(i int) { gone.Add(st.UID(i)) })
	return gone
}

// messageGUID is zero when the file is missing or damaged: no reason to keep its record. It is in the file alone, so that
// it is not looked up for many: Dovecot, too, notes it only if its cache has it (index-mail.c index_mail_expunge).
func (b *Mailbox) messageGUID(uid formats.UID) formats.GUID {
	m, err := b.open(uid)
	if m.f != nil {
		m.f.Close()
	}
	if err != nil {
		return formats.GUID{}
	}
	return tree.GUID128(m.GUID)
}

// unlink removes the files of expunged messages, with their attachments.
func (b *Mailbox) unlink(uids formats.Ranges) error {
	for uid := range uids.All() {
		b.unlinkAttachments(uid)
		for _, d := range []*disk.Dir{b.mail, b.alt} {
			if d == nil {
				continue
			}
			if err := d.Remove(fileName(uid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return b.fail("remove message", uid, nil, err)
			}
		}
	}
	return nil
}

// unlinkAttachments removes what only this message refers to. A file that is left costs space and nothing else.
func (b *Mailbox) unlinkAttachments(uid formats.UID) {
	if b.store.Attachments == nil {
		return
	}
	m, err := b.open(uid)
	if m.f != nil {
		defer m.f.Close()
	}
	if err != nil || m.Attachments == "" {
		return
	}
	parts, err := dbox.ParseAttachments(m.Attachments)
	if err != nil {
		return
	}
	for _, a := range parts {
		b.store.Attachments.Remove(attachmentName(a.Path, b.guid(), uid))
	}
}
