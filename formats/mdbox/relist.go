package mdbox

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/index"
)

// folder points the records of a folder to the messages.
func (r *rebuild) folder(name string) error {
	b, was, err := r.openSound(name)
	if err != nil {
		return err
	}
	defer b.Close()
	err = b.idx.Update(r.ctx, func(ix *index.Tx) error {
		if was == nil {
			was = ix.State()
		}
		r.point(ix, was)
		return nil
	})
	if errors.Is(err, formats.ErrNoMailbox) {
		return nil // it is being deleted, and has no messages any more
	}
	return err
}

// point changes the records; was is the state of the folder that tells of their messages.
func (r *rebuild) point(ix *index.Tx, was *index.State) {
	st := ix.State()
	introduce(ix, r.h.State().UIDValidity)
	sameMap := validityOf(was) == r.base.UIDValidity
	var have byte
	var last formats.UID
	for i := range st.Len() {
		uid := st.UID(i)
		mapUID, save, guid := recordOf(was, uid)
		if !sameMap {
			mapUID = 0
		}
		f := r.of(guid, mapUID)
		if f == nil || f.refs >= maxRefs {
			r.lost++
			if !r.keepLost {
				ix.Expunge(uid, guid)
				continue
			}
			f = &found{guid: guid}
			if r.h.State().UIDValidity == r.base.UIDValidity {
				f.uid = mapUID
			}
		}
		f.refs++
		if f.pop3 != 0 {
			have, last = have|f.pop3, uid
		}
		now, _, has := recordOf(st, uid)
		if now != f.uid {
			ix.SetData(extRecord, uid, recordBytes(f.uid, save))
		}
		if has != f.guid {
			ix.SetData(extGUID, uid, f.guid[:])
		}
	}
	tree.AnnouncePOP3(ix, extHeader, have, last)
	ix.Sync()
}

// restore puts messages without a folder into the one that they were saved in first.
func (r *rebuild) restore() error {
	homes := map[string][]*found{}
	for _, f := range r.sorted() {
		if f.refs > 0 || f.unwanted {
			continue
		}
		name := "INBOX"
		if f.mailbox != "" {
			name = r.s.Naming.Name(f.mailbox)
		}
		homes[name] = append(homes[name], f)
	}
	for _, name := range slices.Sorted(maps.Keys(homes)) {
		if err := r.put(name, homes[name]); err != nil {
			return err
		}
		r.restored += len(homes[name])
	}
	return nil
}

func (r *rebuild) put(name string, list []*found) error {
	b, _, err := r.openSound(name)
	if errors.Is(err, formats.ErrNoMailbox) {
		err = r.s.CreateFolder(r.ctx, name, formats.Status{}, newIndex(name, r.h.State().UIDValidity))
		if err == nil {
			b, _, err = r.openSound(name)
		}
	}
	if err != nil && name != "INBOX" && (errors.Is(err, formats.ErrNoMailbox) || errors.Is(err, formats.ErrBadName)) {
		return r.put("INBOX", list)
	}
	if err != nil {
		return err
	}
	defer b.Close()
	return b.idx.Update(r.ctx, func(ix *index.Tx) error {
		introduce(ix, r.h.State().UIDValidity)
		var have byte
		var last formats.UID
		for _, f := range list {
			uid, err := ix.Append(index.Message{})
			if err != nil {
				return err
			}
			f.refs++
			ix.SetData(extRecord, uid, recordBytes(f.uid, uint32(r.now.Unix())))
			ix.SetData(extGUID, uid, f.guid[:])
			if f.pop3 != 0 {
				have, last = have|f.pop3, uid
			}
		}
		tree.AnnouncePOP3(ix, extHeader, have, last)
		return nil
	})
}

// finish writes the map.
func (r *rebuild) finish(ix *index.Tx) error {
	highest := highestFile(r.base)
	for id := range r.files {
		highest = max(highest, id)
	}
	named, err := nameSpools(r.spools(), highest)
	if err != nil {
		return err
	}
	st := ix.State()
	for i := range st.Len() {
		if uid := st.UID(i); r.byUID[uid] == nil && !r.keepLost {
			ix.Expunge(uid, formats.GUID{})
		}
	}
	for _, f := range r.sorted() {
		i, there := st.Find(f.uid)
		if !there {
			if _, err := ix.Append(index.Message{UID: f.uid}); err != nil {
				return err
			}
		}
		p := f.place
		if f.spool != nil {
			p = f.spool.place(f.offset, f.size)
		}
		var had place
		if there {
			had, _ = placeAt(st, i)
		}
		if had != p {
			ix.SetData(extMap, f.uid, p.bytes())
		}
		if refs, _ := refsOf(st, f.uid); !there || refs != f.refs {
			ix.SetData(extRef, f.uid, binary.LittleEndian.AppendUint16(nil, uint16(f.refs)))
		}
	}
	head := binary.LittleEndian.AppendUint32(nil, max(highest, named))
	ix.SetHeader(extMap, 0, binary.LittleEndian.AppendUint32(head, editionOf(r.base).rebuilds+1))
	ix.SyncTail()
	ix.Sync()
	return nil
}

// openSound opens a folder whose index is made anew if it is lost or damaged; was is then what could be read of it, or an
// empty state.
func (r *rebuild) openSound(name string) (b *Mailbox, was *index.State, err error) {
	b, err = r.s.openFolder(r.ctx, name)
	if err != nil {
		return nil, nil, err
	}
	_, err = index.Rebuild(r.ctx, b.dir, index.Prefix, r.known[name], func(rest index.Remains) (index.New, error) {
		was = rest.State
		if was == nil || was.UIDValidity == 0 {
			was = rest.Backup
		}
		if was == nil {
			was = new(index.State)
		}
		return r.s.remake(r.ctx, name, was, r.h.State().UIDValidity)
	})
	if err == nil {
		b.idx, err = index.Open(b.dir, index.Prefix)
	}
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	return b, was, nil
}
