package maildir

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// CopyFrom gives the file of another folder's message a second name, as Dovecot does (2.3, maildir-copy.c). The internal
// date is the file's, the GUID goes into the list. It is the short way only for a file like those that this transaction
// would make, with its sizes in the name.
func (t *tx) CopyFrom(ctx context.Context, m formats.Message, from formats.Mailbox, uid formats.UID) error {
	src, ok := from.(*Mailbox)
	if !ok || !m.InternalDate.IsZero() || m.GUID != "" || t.b.store.opts.Lists.courier() {
		return errors.ErrUnsupported
	}
	src.mu.Lock()
	v := src.seen
	src.mu.Unlock()
	if v == nil {
		return errors.ErrUnsupported
	}
	e, ok := v.find(uid)
	if !ok || e.bad {
		return errors.ErrUnsupported
	}
	size, named := sizeField(v.name(e), 'S')
	virtual, measured := sizeField(v.name(e), 'W')
	if !named || !measured {
		return errors.ErrUnsupported
	}
	m.GUID, m.DerivedGUID = v.guid(e)
	p := newPending(&m)
	p.name = t.tmpName(string(t.b.store.clock.appendName(make([]byte, 0, 80))), size, virtual, &p)
	err := src.withFile(ctx, &v, &e, func(d *disk.Dir, name string) error { return t.link(d, name, p.name) })
	if err != nil {
		return err
	}
	return t.keep(p, nil)
}

// link gives a file a name in tmp/.
func (t *tx) link(d *disk.Dir, name, to string) error {
	st, err := d.Stat(name)
	if err != nil {
		return err
	}
	uid, gid := os.Geteuid(), st.GID
	if fs := t.b.store.opts.FS; fs != nil && fs.Own {
		uid, gid = fs.UID, fs.GID
	}
	if !st.Mode.IsRegular() || st.Mode.Perm() != t.b.mode || st.UID != uid || st.GID != gid {
		return errors.ErrUnsupported
	}
	err = d.Link(name, t.b.tmp, to)
	for _, e := range []error{unix.EXDEV, unix.EMLINK, unix.EPERM, unix.EACCES, unix.EOPNOTSUPP, fs.ErrExist} {
		if errors.Is(err, e) {
			return errors.ErrUnsupported
		}
	}
	return err
}
