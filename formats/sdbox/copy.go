package sdbox

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
)

// CopyFrom gives the file of another folder's message a second name, as Dovecot does (2.3, sdbox-copy.c): GUID and dates
// are in it. It is the short way only for a file like those that this transaction would make, whose attachments are
// nobody else's.
func (t *tx) CopyFrom(_ context.Context, m formats.Message, from formats.Mailbox, uid formats.UID) error {
	src, ok := from.(*Mailbox)
	if !ok || !m.InternalDate.IsZero() || m.GUID != "" || m.POP3UIDL != "" || m.POP3Order != 0 {
		return errors.ErrUnsupported
	}
	meta, ok, err := src.linkable(t, uid)
	if err != nil {
		return err
	}
	if !ok {
		return errors.ErrUnsupported
	}
	temp := tree.TempName(t.now)
	if err := src.mail.Link(fileName(uid), t.b.mail, temp); err != nil {
		if cannotLink(err) {
			return errors.ErrUnsupported
		}
		return t.b.fail("copy message", uid, nil, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.save(m, temp, &meta)
	return nil
}

// linkable tells whether a message's file may have a second name for t, and what its metadata say that t must know. The
// file is opened only where they may say something.
func (b *Mailbox) linkable(t *tx, uid formats.UID) (meta dbox.Metadata, ok bool, err error) {
	if b.store.Attachments == nil && !tree.POP3Of(b.state(), extDbox).Any() {
		if info, err := b.mail.Stat(fileName(uid)); err == nil {
			return meta, info.Mode.IsRegular() && t.alike(info), nil
		}
	}
	f, err := b.open(uid)
	if f.f != nil {
		f.f.Close()
	}
	if errors.Is(err, formats.ErrNoMessage) {
		return meta, false, b.missing(uid, err)
	}
	return f.Metadata, err == nil && f.Attachments == "" && t.alike(f.info), nil
}

// alike tells whether a file has the mode and owner that new ones get.
func (t *tx) alike(info disk.Info) bool {
	uid, gid := os.Geteuid(), info.GID
	if fs := t.b.store.Options.FS; fs != nil && fs.Own {
		uid, gid = fs.UID, fs.GID
	}
	return info.Mode.Perm() == t.mode && info.UID == uid && info.GID == gid
}

// cannotLink: another file system, too many links, links to that file are not allowed, or it lies in the alt root.
func cannotLink(err error) bool {
	for _, e := range []error{unix.EXDEV, unix.EMLINK, unix.EPERM, unix.EACCES, unix.EOPNOTSUPP, fs.ErrNotExist} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
