package sdbox

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// name gives the new files their final names: the index is locked, so nobody else hands out these UIDs. The names are
// durable before the records that point to them.
func (t *tx) name(ix *index.Tx, uids *formats.Ranges) (err error) {
	if len(t.saved) == 0 {
		return nil
	}
	var files []named
	var have byte // POP3 data
	var last formats.UID
	defer func() {
		if err == nil {
			return
		}
		for _, n := range files {
			t.unname(n) // no record points to it
		}
	}()
	for _, s := range t.saved {
		uid, kept, err := t.UID(ix, s.UID)
		if err != nil {
			return err
		}
		uids.Add(uid)
		if !kept {
			t.unwanted = append(t.unwanted, s.temp)
			continue
		}
		if err := t.nameOne(ix, &s, uid); err != nil {
			return err
		}
		files = append(files, named{uid, s.temp})
		if s.pop3 != 0 {
			have, last = have|s.pop3, uid
		}
	}
	tree.AnnouncePOP3(ix, extDbox, have, last)
	if err := t.b.mail.Sync(); err != nil {
		return err
	}
	t.named = files
	return nil
}

// named is a message whose file has its final name, and the one that it had before.
type named struct {
	uid  formats.UID
	temp string
}

// unname takes a final name back. It is best effort: the next message with this UID finds the file.
func (t *tx) unname(n named) {
	if t.together {
		t.b.mail.Rename(fileName(n.uid), t.b.mail, n.temp)
		return
	}
	t.b.mail.Remove(fileName(n.uid))
}

func (t *tx) nameOne(ix *index.Tx, s *saved, uid formats.UID) error {
	if err := t.List(ix, uid, &s.Message); err != nil {
		return err
	}
	return t.b.rename(s.temp, uid)
}

// rename gives a message its name. A file that has the name already has no record: a run that died after renaming left
// it. The same message is replaced; another one is kept aside, where check finds it.
func (b *Mailbox) rename(temp string, uid formats.UID) error {
	name := fileName(uid)
	if b.alt != nil {
		if _, err := b.alt.Stat(name); err == nil {
			if err := b.setAside(b.alt, temp, name); err != nil {
				return err
			}
		}
	}
	err := b.mail.RenameNew(temp, b.mail, name)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := b.setAside(b.mail, temp, name); err != nil {
		return err
	}
	return b.mail.RenameNew(temp, b.mail, name)
}

// orphanInfix stands between the name and the time in the new name of a message file that had no record when its UID was
// given to another message.
const orphanInfix = ".orphan."

func (b *Mailbox) setAside(dir *disk.Dir, temp, name string) error {
	same, err := b.sameMessage(temp, dir, name)
	if err != nil {
		return err
	}
	if same {
		return dir.Remove(name)
	}
	return dir.RenameNew(name, dir, fmt.Sprintf("%s%s%d", name, orphanInfix, time.Now().UnixNano()))
}

// sameMessage compares everything but the file header, which holds the time of writing.
func (b *Mailbox) sameMessage(temp string, dir *disk.Dir, name string) (bool, error) {
	f, err := b.mail.Open(temp)
	if err != nil {
		return false, err
	}
	defer f.Close()
	g, err := dir.Open(name)
	if errors.Is(err, disk.ErrNotRegular) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer g.Close()
	one, err := contentOf(f)
	if err != nil {
		return false, err
	}
	two, err := contentOf(g)
	if err != nil || one.Size() != two.Size() {
		return false, nil // unreadable: keep it for somebody to look at
	}
	return equalSections(one, two)
}
