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
	return badFile(x.dir, x.prefix+".log", head, formats.Corrupt("%d bytes behind the last complete transaction are lost", size-head))
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
