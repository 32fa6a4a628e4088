package mbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"

	"dovetail/formats/disk"
)

// intent is what we note before a mailbox file is appended to: how to tell, after our process died, the torn end that
// it left from mail that others delivered. It lies beside the mailbox as long as the append lasts.
type intent struct {
	Ino   uint64 // of the mailbox file
	Size  int64  // of it before
	Lead  string // bytes before the first message: the line end that the file lacked
	Spool string // name of the file with the messages
	Total int64  // length of what is appended
}

const maxIntent = 4 << 10

func (b *Mailbox) intentName() string { return b.ownName("append") + lockSuffix }

// note makes the intent durable.
func (b *Mailbox) note(in intent) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	s, err := b.newSpool()
	if err != nil {
		return err
	}
	_, err = s.Write(append(text, '\n'))
	if err == nil {
		err = s.sync()
	}
	if err == nil {
		err = b.dir.Rename(s.name, b.dir, b.intentName())
	}
	if err == nil {
		err = b.dir.Sync()
	}
	return errors.Join(err, s.discard())
}

func (b *Mailbox) readIntent() (in intent, ok bool) {
	text, err := b.dir.ReadFile(b.intentName(), maxIntent)
	if err != nil || json.Unmarshal(text, &in) != nil {
		return intent{}, false // a note that is not complete was never acted upon
	}
	return in, true
}

// soundSize is the length of the file without the torn end of an append of ours. Everything that is not exactly the
// beginning of what we were about to write belongs to others and stays.
func (b *Mailbox) soundSize(f *disk.File) (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	in, ok := b.readIntent()
	if !ok || in.Ino != st.Ino || in.Size < 0 || st.Size <= in.Size || st.Size >= in.Size+in.Total {
		return st.Size, nil
	}
	spool, err := b.dir.Open(in.Spool)
	if errors.Is(err, fs.ErrNotExist) {
		return st.Size, nil
	}
	if err != nil {
		return 0, err
	}
	defer spool.Close()
	want := io.MultiReader(bytes.NewReader([]byte(in.Lead)), spool.Section(0, in.Total))
	same, err := samePrefix(f.Section(in.Size, st.Size-in.Size), want)
	if same {
		return in.Size, err
	}
	return st.Size, err
}

// samePrefix tells whether a is the beginning of b.
func samePrefix(a, b io.Reader) (bool, error) {
	x, y := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(a, x)
		if n > 0 {
			if m, _ := io.ReadFull(b, y[:n]); m < n || !bytes.Equal(x[:n], y[:n]) {
				return false, nil
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// recover cuts a torn end and forgets the intent; the mailbox is locked.
func (b *Mailbox) recover(l *held) error {
	in, ok := b.readIntent()
	if !ok {
		return nil
	}
	size, err := b.soundSize(l.f)
	if err != nil {
		return err
	}
	if size < l.info.Size {
		if err := l.f.Truncate(size); err != nil {
			return err
		}
		if err := l.f.Sync(); err != nil {
			return err
		}
		if l.info, err = l.f.Stat(); err != nil {
			return err
		}
	}
	return b.forget(in.Spool)
}

// forget removes the intent, then what it speaks of.
func (b *Mailbox) forget(spool string) error {
	if err := b.dir.Remove(b.intentName()); err != nil {
		return err
	}
	if err := b.dir.Remove(spool); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
