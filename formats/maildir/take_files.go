package maildir

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"dovetail/formats/disk"
)

// courierLock is the name of Courier's lock in tmp/ without ".lock". It holds it while it scans a folder, unless
// IMAP_USELOCKS is 0; inside stands "pid:host", as in Dovecot's (Courier-IMAP 5.0, maildir/maildirlock.c, liblock/mail.c).
const courierLock = "courier"

// lockBoth takes Dovecot's lock of the list and Courier's of the folder.
func (b *Mailbox) lockBoth(ctx context.Context, wait time.Duration) (*held, func() error, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	list, err := b.control.Dotlock(ctx, uidlistName, staleLock, b.mode)
	if err != nil {
		return nil, nil, b.err("lock", 0, uidlistName+".lock", err)
	}
	scan, err := b.tmp.Dotlock(ctx, courierLock, staleLock, b.mode)
	if err != nil {
		if errors.Is(err, disk.ErrLocked) {
			return nil, nil, errors.Join(fmt.Errorf("%w: %w", ErrCourierRuns, b.err("lock", 0, "", err)), list.Unlock())
		}
		return nil, nil, errors.Join(b.err("lock", 0, "", err), list.Unlock())
	}
	lock := &held{Dotlock: list, touched: time.Now(), also: scan}
	return lock, func() error {
		if err := errors.Join(scan.Unlock(), list.Unlock()); err != nil {
			return b.err("unlock", 0, "", err)
		}
		return nil
	}, nil
}

// begin leaves our note of what the files are and what they are going to be.
func (p *takePlan) begin(after map[string]string) error {
	note := taken{}
	for name, before := range p.states {
		note[name] = [2]string{before, cmp.Or(after[name], noFile)}
	}
	if p.explained != 0 {
		note[takenLetters] = [2]string{noFile, string(appendLetters(nil, 0, p.explained))}
	}
	return p.b.writeTaken(note)
}

// moves are renames of message files in one folder.
type move struct {
	d        *disk.Dir
	into     *disk.Dir
	from, to string
}

// again looks for the file, whose flags somebody changed just then, and gives it its new base name and letters.
func (m move) again() error {
	err := error(fs.ErrNotExist)
	var now string
	lerr := m.d.Each(func(name []byte, _ fs.FileMode) error {
		if bytes.Equal(lastBase(name), lastBase([]byte(m.from))) {
			now, err = string(name), nil
		}
		return nil
	})
	if err = errors.Join(lerr, err); err != nil {
		return err
	}
	flags, _ := parseInfo([]byte(now))
	_, keys := parseInfo([]byte(m.to))
	to := string(lastBase([]byte(m.to))) + now[len(lastBase([]byte(now))):]
	return m.d.RenameNew(now, m.into, string(withInfo(nil, []byte(to), flags, keys)))
}

// renameFiles gives message files their new names.
func (b *Mailbox) renameFiles(moves []move, lock *held) error {
	dirs := map[*disk.Dir]bool{}
	for _, m := range moves {
		err := m.d.RenameNew(m.from, m.into, m.to)
		for try := 0; errors.Is(err, fs.ErrNotExist) && try < renameTries; try++ {
			err = m.again()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // expunged
			return b.err("rename", 0, "", err)
		}
		dirs[m.d], dirs[m.into] = true, true
		if err := lock.alive(); err != nil {
			return b.err("lock", 0, "", err)
		}
	}
	for d := range dirs {
		if err := b.syncDir(d); err != nil {
			return err
		}
	}
	return nil
}
