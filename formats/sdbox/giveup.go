package sdbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/index"
)

// putUpWith is for a message that was opened with an error. A store that mends itself gives what there is of it, as Dovecot
// does, which asks for no more than the header of a file; of a file without even that it gives up the message.
func (b *Mailbox) putUpWith(uid formats.UID, m *message, err error) error {
	switch {
	case err == nil || !b.mends() || !errors.Is(err, formats.ErrCorrupt):
		return err
	case m.f == nil:
		return b.giveUp(uid, err)
	}
	b.store.told(fmt.Sprintf("sdbox %s: %v; what there is of the message is given", b.mail.Path(), err))
	return nil
}

// errStays keeps the record of a message that turns out to be whole, or whose disk may not be there.
var errStays = errors.New("the message stays")

// giveUp expunges a message whose file is gone or cannot be read, for which Dovecot rebuilds the index. What there is of
// the file keeps its bytes under another name. The error is ErrNoMessage, or why if nothing was done.
func (b *Mailbox) giveUp(uid formats.UID, why error) error {
	kept := ""
	err := b.idx.Update(context.Background(), func(ix *index.Tx) error {
		i, listed := ix.State().Find(uid)
		if !listed {
			return nil
		}
		if ix.State().Flags(i)&index.Backend != 0 && b.alt == nil {
			return errStays
		}
		m, err := b.open(uid) // now nobody else expunges it
		switch {
		case m.f != nil:
			m.f.Close()
			return errStays
		case errors.Is(err, formats.ErrNoMessage):
		case errors.Is(err, formats.ErrCorrupt):
			kept = fileName(uid) + brokenSuffix
			if err := b.renameFile(uid, kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			kept = ", its file renamed to " + kept
		default:
			return err
		}
		ix.Expunge(uid, formats.GUID{})
		return nil
	})
	if err != nil {
		if errors.Is(err, errStays) {
			err = nil
		}
		return errors.Join(why, err)
	}
	b.store.told(fmt.Sprintf("sdbox %s: %v; the message is expunged%s", b.mail.Path(), why, kept))
	return b.fail("open message", uid, nil, formats.ErrNoMessage)
}
