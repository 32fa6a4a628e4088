package index

import (
	"errors"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// Torn says where the log ends in something that is no complete transaction; nil when it does not. That is what a crash
// leaves, and also how damage to the size of a record looks: everything behind it is lost, as it is to Dovecot.
func (x *Index) Torn() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var head, size int64
	for range 3 { // a transaction that is being written now is complete in a moment
		if _, err := x.refresh(); err != nil {
			return err
		}
		if x.log == nil {
			return nil
		}
		st, err := x.log.Stat()
		if err != nil {
			return err
		}
		if head, size = int64(x.state.Head), st.Size; size <= head {
			return nil
		}
	}
	return tornAt(x.dir, x.prefix, head, size)
}

func tornAt(dir *disk.Dir, prefix string, head, size int64) error {
	return badFile(dir, prefix+".log", head, formats.Corrupt("%d bytes behind the last complete transaction are lost", size-head))
}

// Unsound says why the index should be made anew by who can list what it is about, although it can be read; nil when it
// should not: it ends in something torn, its log is gone, or Dovecot has mended it and messages may be missing. Rebuild
// finds the same.
func (x *Index) Unsound() error {
	if err := x.Torn(); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	l := loaded{state: x.state, log: x.log}
	what, err := l.damage(x.dir, x.prefix)
	return errors.Join(what, err)
}

// Damage opens the index only to say what is wrong with it; nil when there is none, or nothing.
func Damage(dir *disk.Dir, prefix string) error {
	x, err := Open(dir, prefix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(x.Torn(), x.Close())
}
