package quota

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/maildir"
)

// maildirSize counts by the file that all programs which know Maildir++ quota keep (quota-maildir.c): its first line has
// the limits, each further one what came or went.
type maildirSize struct{ q *Quota }

const (
	sizeFileMax = 5120             // when it is longer it is made anew
	sizeFileOld = 15 * time.Minute // when it is older it is not believed that there is too much
)

// dir opens the folder of the file; fs.ErrNotExist where mail is in another format.
func (m *maildirSize) dir(ctx context.Context) (*disk.Dir, error) {
	for _, s := range m.q.user.Spaces {
		if !own(s) {
			continue
		}
		store, err := s.Store(ctx)
		if err != nil {
			return nil, err
		}
		if store.Limits().Format != "maildir" {
			return nil, fs.ErrNotExist
		}
		return s.Control(ctx)
	}
	return nil, fs.ErrNotExist
}

func (m *maildirSize) used(ctx context.Context, r *root) (bytes, messages int64, err error) {
	dir, err := m.dir(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer dir.Close()
	bytes, messages, ok, err := read(dir, r)
	if ok || err != nil {
		return bytes, messages, err
	}
	if r.bytes == 0 && r.messages == 0 && !r.forced {
		return 0, 0, nil // nobody has set a limit
	}
	return m.recount(ctx, dir, r)
}

// read gives what the file says; ok is false when it must be made anew. Its limits are taken over unless the configuration
// has some for everybody.
func read(dir *disk.Dir, r *root) (bytes, messages int64, ok bool, err error) {
	text, err := dir.ReadFile(maildir.MaildirSizeName, sizeFileMax-1)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, false, nil
	}
	if err != nil {
		return 0, 0, false, nil // too long, or no file at all: making it anew tells
	}
	is, skipped, err := maildir.ParseMaildirSize(text)
	if err != nil {
		return 0, 0, false, nil
	}
	if is.Bytes != r.bytes || is.Messages != r.messages {
		if r.forced {
			return 0, 0, false, nil
		}
		r.bytes, r.messages = is.Bytes, is.Messages
	}
	bytes, messages = is.Used()
	if skipped > 0 || bytes < 0 || messages < 0 {
		return 0, 0, false, nil
	}
	if r.bytes > 0 && bytes > r.bytes || r.messages > 0 && messages > r.messages {
		st, err := dir.Stat(maildir.MaildirSizeName)
		if err != nil || len(is.Changes) > 1 || time.Since(time.Unix(st.MTime.Unix())) > sizeFileOld {
			return 0, 0, false, nil
		}
	}
	return bytes, messages, true, nil
}

// recount looks at all messages and writes the file anew.
func (m *maildirSize) recount(ctx context.Context, dir *disk.Dir, r *root) (bytes, messages int64, err error) {
	err = m.q.each(ctx, r, func(store formats.Store, name string) error {
		box, err := store.Open(ctx, name)
		if err != nil {
			return err
		}
		defer box.Close()
		want := formats.WantSize
		if m.q.o.VirtualSizes {
			want = formats.WantVirtualSize
		}
		for message, err := range box.Messages(ctx, formats.Query{Want: want}) {
			if _, one := formats.Damaged(err); err != nil && !one {
				return err
			}
			size := message.Size
			if m.q.o.VirtualSizes {
				size = message.VirtualSize
			}
			bytes, messages = bytes+max(size, 0), messages+1
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	text := maildir.AppendMaildirSize(nil, maildir.MaildirSize{Bytes: r.bytes, Messages: r.messages, Changes: []maildir.SizeChange{{Bytes: bytes, Messages: messages}}})
	if r.bytes == 0 && r.messages == 0 {
		text = append([]byte("0S"), text...) // Dovecot writes no empty line
	}
	err = dir.ReplaceFile(maildir.MaildirSizeName, 0o600, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	return bytes, messages, err
}

// add appends a line. Where there is no file nothing is counted, or it is made when somebody asks.
func (m *maildirSize) add(ctx context.Context, bytes, messages int64) error {
	dir, err := m.dir(ctx)
	if err == nil {
		defer dir.Close()
		err = appendLine(dir, fmt.Sprintf("%12d %12d\n", bytes, messages))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func appendLine(dir *disk.Dir, line string) error {
	f, err := dir.OpenWrite(maildir.MaildirSizeName, unix.O_APPEND)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(line))
	return errors.Join(err, f.Close())
}
