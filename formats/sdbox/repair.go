package sdbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// drop expunges a record; the file, if there is one, keeps its bytes under another name.
func (b *Mailbox) drop(uid formats.UID, rename bool) func(context.Context) error {
	return func(ctx context.Context) error {
		if rename {
			if err := b.renameFile(uid, fileName(uid)+brokenSuffix); err != nil {
				return err
			}
		}
		return b.idx.Update(ctx, func(ix *index.Tx) error {
			ix.Expunge(uid, formats.GUID{})
			return nil
		})
	}
}

// brokenSuffix stands behind the name of a message file that cannot be read, and has no record any more.
const brokenSuffix = ".broken"

// renameFile renames a message file where it lies.
func (b *Mailbox) renameFile(uid formats.UID, to string) error {
	d := b.dirOf(uid)
	err := d.RenameNew(fileName(uid), d, to)
	if errors.Is(err, fs.ErrExist) {
		err = d.RenameNew(fileName(uid), d, fmt.Sprintf("%s.%d", to, time.Now().UnixNano()))
	}
	return errors.Join(err, d.Sync())
}

// dirOf is where the file of a message lies.
func (b *Mailbox) dirOf(uid formats.UID) *disk.Dir {
	if b.alt != nil {
		if _, err := b.mail.Stat(fileName(uid)); errors.Is(err, fs.ErrNotExist) {
			return b.alt
		}
	}
	return b.mail
}

// storedBody is a message as it is stored, compressed or not.
type storedBody struct{ *io.SectionReader }

func (s storedBody) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, s.SectionReader) }
func (storedBody) Close() error                         { return nil }

// rewrite puts a copy with other metadata in the place of a message file: the stored bytes stay the same. A date or GUID
// that meta lacks is made up.
func (b *Mailbox) rewrite(uid formats.UID, meta dbox.Metadata) func(context.Context) error {
	return func(ctx context.Context) error {
		m, err := b.open(uid)
		if m.f == nil {
			return err
		}
		defer m.f.Close()
		if meta.Received == dbox.Absent {
			meta.Received = m.info.MTime.Sec
		}
		if meta.GUID == "" {
			meta.GUID = tree.NewGUID().String()
		}
		d, temp := b.dirOf(uid), tree.TempName(time.Now())
		body := storedBody{m.f.Section(m.Message.Body, m.StoredSize)}
		f, err := writeMessage(ctx, d, temp, m.info.Mode.Perm(), time.Now(), body, meta)
		if err != nil {
			return err
		}
		err = f.Sync()
		f.Close() // its content is durable, or err says that it is not
		if err == nil {
			err = b.replace(ctx, d, temp, uid)
		}
		if err != nil {
			d.Remove(temp)
		}
		return err
	}
}

// replace renames under the lock: an expunge by another program must not be undone.
func (b *Mailbox) replace(ctx context.Context, d *disk.Dir, temp string, uid formats.UID) error {
	return b.idx.Update(ctx, func(ix *index.Tx) error {
		if _, ok := ix.State().Find(uid); !ok {
			return formats.ErrNoMessage
		}
		if err := d.Rename(temp, d, fileName(uid)); err != nil {
			return err
		}
		return d.Sync()
	})
}

// adopt gives a file without record the next UID.
func (b *Mailbox) adopt(d *disk.Dir, name string) func(context.Context) error {
	return func(ctx context.Context) error {
		m, err := openNamed(d, name)
		if err != nil {
			return err
		}
		m.f.Close()
		return b.idx.Update(ctx, func(ix *index.Tx) error {
			uid := ix.NextUID()
			if own, ok := parseFileName(name); ok && own > uid {
				uid = own // it keeps the UID that it was saved for
			}
			if fileName(uid) != name {
				if err := b.makeRoom(uid); err != nil {
					return err
				}
				if err := d.RenameNew(name, d, fileName(uid)); err != nil {
					return err
				}
			}
			if err := d.Sync(); err != nil {
				return err
			}
			_, err := ix.Append(index.Message{UID: uid, Flags: b.altFlag(d)})
			tree.AnnouncePOP3(ix, extDbox, havePOP3(&m.Metadata), uid)
			return err
		})
	}
}

// altFlag marks messages whose file is in the alt root.
func (b *Mailbox) altFlag(d *disk.Dir) formats.Flags {
	if d == b.alt {
		return index.Backend
	}
	return 0
}

// makeRoom renames files that have no record and stand where a message is to be.
func (b *Mailbox) makeRoom(uid formats.UID) error {
	name := fileName(uid)
	for _, d := range []*disk.Dir{b.mail, b.alt} {
		if d == nil {
			continue
		}
		err := d.RenameNew(name, d, fmt.Sprintf("%s%s%d", name, orphanInfix, time.Now().UnixNano()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// rebuild is mendIndex for a mailbox that does not do it by itself.
func (b *Mailbox) rebuild(ctx context.Context) error {
	if err := b.mendIndex(ctx); err != nil {
		return err
	}
	b.damaged, b.salvaged, b.lost = nil, nil, nil
	return nil
}
