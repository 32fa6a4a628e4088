package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// delivered is a message that lies in some mailbox's new/, or did. Its file stays open for further names.
type delivered struct {
	file          *disk.File
	size, virtual int64
}

// Close gives the file back.
func (d *delivered) Close() error { return d.file.Close() }

// Receive opens a mailbox without looking into it. Where the lists are Courier's, a message's record is written with it.
func (s *Store) Receive(ctx context.Context, name string) (formats.Intake, error) {
	if s.opts.Lists.courier() {
		return nil, errors.ErrUnsupported
	}
	m, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return m.(*Mailbox), nil
}

// Deliver writes the message to tmp/, makes it durable, moves it to new/ and makes that durable, which is all that a
// Maildir asks of who delivers. The list is not touched: whoever looks gives UIDs to all that came meanwhile at once.
func (b *Mailbox) Deliver(ctx context.Context, body formats.Body) (formats.Delivered, error) {
	if err := b.mayDeliver(ctx); err != nil {
		return nil, err
	}
	unique := string(b.store.clock.appendName(make([]byte, 0, 80)))
	f, err := b.tmp.Create(unique, b.mode)
	if err != nil {
		return nil, b.err("deliver", 0, "", err)
	}
	d := &delivered{file: f}
	d.size, d.virtual, err = measure(body, f)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = b.expose(unique, d)
	}
	if err != nil {
		b.tmp.Remove(unique) // best effort: what stays is swept by the next writer or by Dovecot after 36 hours
		f.Close()
		return nil, b.err("deliver", 0, "", err)
	}
	return d, nil
}

// mayDeliver tells whether messages may be added, in this way.
func (b *Mailbox) mayDeliver(ctx context.Context) error {
	switch {
	case b.store.readOnly():
		return b.err("deliver", 0, "", formats.ErrReadOnly)
	case b.barred != nil:
		return b.barred
	}
	return ctx.Err()
}

// expose moves a message from tmp/ to new/. If its name there cannot be made durable it is taken back.
func (b *Mailbox) expose(unique string, d *delivered) error {
	name := string(appendSizes([]byte(unique), d.size, d.virtual))
	if err := b.tmp.RenameNew(unique, b.fresh, name); err != nil {
		return err
	}
	if err := b.fresh.Sync(); err != nil {
		b.fresh.Remove(name) // best effort: who is told that it failed sends it again
		return err
	}
	return nil
}

// DeliverAgain gives the file a name in tmp/ and moves it to new/. It has to be one like those that Deliver would make
// here (Dovecot 2.3 shares copies likewise: src/lmtp/lmtp-local.c, maildir-copy.c).
func (b *Mailbox) DeliverAgain(ctx context.Context, is formats.Delivered) error {
	d, ok := is.(*delivered)
	if !ok {
		return errors.ErrUnsupported
	}
	if err := b.mayDeliver(ctx); err != nil {
		return err
	}
	st, err := d.file.Stat()
	if err != nil {
		return b.err("deliver", 0, "", err)
	}
	uid, gid := os.Geteuid(), st.GID
	if fs := b.store.opts.FS; fs != nil && fs.Own {
		uid, gid = fs.UID, fs.GID
	}
	if st.Links == 0 || st.Mode.Perm() != b.mode || st.UID != uid || st.GID != gid {
		return errors.ErrUnsupported
	}
	unique := string(b.store.clock.appendName(make([]byte, 0, 80)))
	err = b.tmp.LinkFile(d.file, unique)
	if noFurtherName(err) {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	if err == nil {
		err = b.expose(unique, d)
	}
	if err != nil {
		b.tmp.Remove(unique) // best effort, as in Deliver
		return b.err("deliver", 0, "", err)
	}
	return nil
}

// noFurtherName: another file system, too many names, it has none any more, or no links are allowed.
func noFurtherName(err error) bool {
	for _, e := range []error{unix.EXDEV, unix.EMLINK, unix.ENOENT, unix.EPERM, unix.EACCES, unix.EOPNOTSUPP, fs.ErrExist} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

var (
	_ formats.Receiver = (*Store)(nil)
	_ formats.Intake   = (*Mailbox)(nil)
)
