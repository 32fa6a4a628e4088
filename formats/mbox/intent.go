package mbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"

	"dovetail/formats/disk"
)

// intent is what we note before a mailbox file is changed in place: how to tell, after our process died, the torn end that
// it left from mail that others delivered, or what the file was to hold. It lies beside the mailbox as long as that lasts.
type intent struct {
	Ino   uint64 // of the mailbox file
	Size  int64  // of it before
	Lead  string // bytes before the first message: the line end that the file lacked
	Spool string // name of the file with the messages
	Total int64  // length of what is appended
	Whole bool   // it is not appended, but to become all of the file; see overwrite

	BaseAt   int64  // where the value of X-IMAPbase is, which changes first
	Old, New string // its values
}

// maxIntent leaves room for two lists of all keywords.
const maxIntent = 4 << 20

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

// unfinishedAppend gives the intent of an append of ours that died before its end: everything behind its Size is to be
// ignored. Whatever is not exactly the beginning of what we were about to write belongs to others and stays.
func (b *Mailbox) unfinishedAppend(f *disk.File, st disk.Info) (in intent, found bool, err error) {
	in, ok := b.readIntent()
	if !ok || in.Whole || in.Ino != st.Ino || in.Size < 0 || st.Size < in.Size || st.Size >= in.Size+in.Total {
		return in, false, nil
	}
	if st.Size == in.Size {
		return in, true, nil
	}
	spool, err := b.dir.Open(in.Spool)
	if errors.Is(err, fs.ErrNotExist) {
		return in, false, nil
	}
	if err != nil {
		return in, false, err
	}
	defer spool.Close()
	want := io.MultiReader(bytes.NewReader([]byte(in.Lead)), spool.Section(0, in.Total))
	same, err := samePrefix(f.Section(in.Size, st.Size-in.Size), want)
	return in, same, err
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

// recover takes an unfinished append back and forgets the intent; the mailbox is locked.
func (b *Mailbox) recover(l *held) error {
	if in, whole, err := b.unfinishedRewrite(l.info); err != nil {
		return err
	} else if whole != nil {
		if err := b.redo(l, in, whole); err != nil {
			return err
		}
		if l.info, err = l.f.Stat(); err != nil {
			return err
		}
		return b.forget(in.Spool)
	}
	in, undo, err := b.unfinishedAppend(l.f, l.info)
	if err != nil || in.Spool == "" {
		return err
	}
	if undo {
		err = in.undo(l.f)
	}
	if err == nil {
		l.info, err = l.f.Stat()
	}
	if err != nil {
		return err
	}
	return b.forget(in.Spool)
}

// undo makes the file what it was.
func (in intent) undo(f *disk.File) error {
	if err := f.Truncate(in.Size); err != nil {
		return err
	}
	now := make([]byte, len(in.New))
	if n, err := f.ReadAt(now, in.BaseAt); n < len(now) {
		return noEOF(err)
	}
	if string(now) == in.New {
		if _, err := f.WriteAt([]byte(in.Old), in.BaseAt); err != nil {
			return err
		}
	}
	return f.Sync()
}

// forget removes the intent, then what it speaks of. An intent that stays would take mail back that was appended long
// ago; one that cannot be removed is emptied.
func (b *Mailbox) forget(spool string) error {
	if err := b.dir.Remove(b.intentName()); err != nil {
		if b.voidIntent() != nil {
			return err
		}
	}
	b.dir.Remove(spool) // best effort: the next writer sweeps
	return nil
}

func (b *Mailbox) voidIntent() error {
	f, err := b.dir.OpenWrite(b.intentName(), 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(0); err != nil {
		return err
	}
	return f.Sync()
}
