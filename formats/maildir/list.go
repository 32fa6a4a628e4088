package maildir

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"

	"golang.org/x/sys/unix"
)

// listTail is what an append must know of the list. It is kept between commits, so that only what other programs
// appended is read again.
type listTail struct {
	header listHeader
	last   formats.UID
	id     disk.ID // of the file when it was read; zero: not read yet
	size   int64   // of what was read
}

func (t *listTail) next() formats.UID { return max(t.header.UIDNext, t.last+1) }

// readTail brings the tail up to date; the lock is held, and complete has made a sound list of version 3.
func (b *Mailbox) readTail() error {
	f, err := b.control.Open(uidlistName)
	if err != nil {
		return b.err("read list", 0, uidlistName, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return b.err("read list", 0, uidlistName, err)
	}
	t := &b.list
	if st.Dev != t.id.Dev || st.Ino != t.id.Ino || st.Size < t.size {
		*t = listTail{}
	}
	if st.ID == t.id {
		return nil
	}
	if _, err := f.Seek(t.size, io.SeekStart); err != nil {
		return b.err("read list", 0, uidlistName, err)
	}
	r := newListReader(f)
	r.version, r.last = 3, t.last
	if t.size == 0 {
		if t.header, err = r.header(); err != nil {
			return b.err("read list", 0, uidlistName, err)
		}
	}
	for ok := true; ok; {
		if _, ok, err = r.record(); err != nil {
			return b.err("read list", 0, uidlistName, err)
		}
	}
	if r.damage != nil {
		*t = listTail{}
		return b.err("read list", 0, uidlistName, r.damage)
	}
	t.last, t.id, t.size = r.last, st.ID, t.size+r.offset
	return nil
}

// appendRecords writes records at the end of the list with one write and makes them durable. When that fails, undone
// tells that the list is as it was.
func (b *Mailbox) appendRecords(records []byte, last formats.UID) (undone bool, err error) {
	f, err := b.control.OpenWrite(uidlistName, unix.O_APPEND)
	if err != nil {
		return true, b.err("append to list", 0, uidlistName, err)
	}
	defer f.Close()
	if _, err = f.Write(records); err == nil {
		err = f.Sync()
	}
	var st disk.Info
	if err == nil {
		st, err = f.Stat()
	}
	if err != nil {
		// Half a line would hide every later record.
		terr := f.Truncate(b.list.size)
		b.list = listTail{}
		return terr == nil, b.err("append to list", 0, uidlistName, errors.Join(err, terr))
	}
	b.list.last, b.list.id, b.list.size = last, st.ID, b.list.size+int64(len(records))
	return false, nil
}

// recordedOnce tells whether files without a UID have a record all the same: they were gone for a while, and got new UIDs.
// Dovecot warns of files that are listed twice. What is delivered comes to new/, so those in cur/ are few.
func (b *Mailbox) recordedOnce(v *view) (bool, error) {
	bases := map[string]bool{}
	for i := range v.entries {
		if e := &v.entries[i]; !e.listed && e.where == inCur {
			bases[string(baseName(v.name(e)))] = true
		}
	}
	if len(bases) == 0 || v.dead == 0 {
		return false, nil
	}
	f, err := b.control.Open(uidlistName)
	if err != nil {
		return false, b.err("read list", 0, uidlistName, err)
	}
	defer f.Close()
	r := newListReader(f)
	if _, err := r.header(); err != nil {
		return false, b.err("read list", 0, uidlistName, err)
	}
	for {
		rec, ok, err := r.record()
		if err != nil || !ok {
			return false, err
		}
		if bases[string(rec.Base)] {
			return true, nil
		}
	}
}

// writeList replaces the list by what the view holds: records without files are left out.
func (b *Mailbox) writeList(v *view, header listHeader) error {
	if b.notMade() {
		aside := fmt.Sprintf("%s.void.%d", uidlistName, time.Now().UnixNano())
		if err := b.control.RenameNew(uidlistName, b.control, aside); err != nil {
			return b.err("put aside", 0, uidlistName, err)
		}
	}
	err := b.control.ReplaceFile(uidlistName, b.mode, func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 64<<10)
		if _, err := out.Write(header.append(nil)); err != nil {
			return err
		}
		var line []byte
		for i := range v.entries {
			e := &v.entries[i]
			line = listRecord{UID: e.uid, Ext: v.ext(e), Base: baseName(v.name(e))}.append(line[:0])
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
		return out.Flush()
	})
	b.list = listTail{}
	if err != nil {
		return b.err("write list", 0, uidlistName, err)
	}
	return nil
}

// newHeader completes what a list must have.
func (b *Mailbox) newHeader(ctx context.Context, v *view) (listHeader, error) {
	h := v.header
	h.Version, h.UIDNext = 3, max(v.uidNext, 1)
	if !h.HasGUID {
		rand.Read(h.GUID[:])
		h.HasGUID = true
	}
	if h.UIDValidity == 0 {
		var err error
		if h.UIDValidity, err = b.store.nextUIDValidity(ctx); err != nil {
			return h, b.err("choose UIDVALIDITY", 0, "", err)
		}
	}
	return h, nil
}

// writeKeywords replaces dovecot-keywords. Dovecot reads it again only when its time in whole seconds differs
// (maildir-keywords.c), so it must grow.
func (b *Mailbox) writeKeywords(t *keywordTable) error {
	mtime := time.Now()
	if old, err := b.control.Stat(keywordsName); err == nil && old.MTime.Sec >= mtime.Unix() {
		mtime = time.Unix(old.MTime.Sec+1, 0)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return b.err("write keywords", 0, keywordsName, err)
	}
	err := b.control.ReplaceFile(keywordsName, b.mode, func(w io.Writer) error {
		if _, err := w.Write(t.append(nil)); err != nil {
			return err
		}
		if f, ok := w.(*disk.File); ok {
			return f.Chtimes(mtime)
		}
		return nil
	})
	if err != nil {
		return b.err("write keywords", 0, keywordsName, err)
	}
	return nil
}
