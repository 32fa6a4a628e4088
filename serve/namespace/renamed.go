package namespace

import (
	"context"
	"encoding/binary"
	"strings"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// renamedExt is the extension of the index that holds when a mailbox was renamed, in unix time (Dovecot 2.3.19,
// src/lib-storage/index/index-storage.c, index_storage_mailbox_rename). Nothing else is in it.
const renamedExt = "last-rename-stamp"

// Renamed is when a mailbox got its name by a renaming; zero unknown. Messages that expire by age have the time of it.
func Renamed(m formats.Mailbox) (at time.Time) {
	onIndexOf(m, func(dir *disk.Dir) error {
		st, err := index.Read(dir, index.Prefix)
		if err != nil || st == nil {
			return err
		}
		if e := st.Ext(renamedExt); e != nil && len(e.Header) >= 4 {
			at = time.Unix(int64(binary.LittleEndian.Uint32(e.Header)), 0)
		}
		return nil
	})
	return at
}

// stamp notes that mailboxes have their names from now on: the one that was renamed and those below it, where messages
// expire by age. What cannot be noted is as by Dovecot no reason to fail: the renaming is done.
func (m Mailbox) stamp(ctx context.Context, store formats.Store) {
	if !m.Space.expires() {
		return
	}
	infos, err := store.Mailboxes(ctx)
	if err != nil {
		return
	}
	for _, info := range infos {
		if info.NoSelect || info.Name != m.Name && !strings.HasPrefix(info.Name, m.Name+"/") {
			continue
		}
		if set, _ := m.Space.settings(info.Name); set.Autoexpunge > 0 {
			stampOne(ctx, store, info.Name)
		}
	}
}

// expires tells whether messages expire by age in any mailbox.
func (s *Space) expires() bool {
	for _, set := range s.Mailboxes {
		if set.Autoexpunge > 0 {
			return true
		}
	}
	return false
}

func stampOne(ctx context.Context, store formats.Store, name string) error {
	box, err := store.Open(ctx, name)
	if err != nil {
		return err
	}
	defer box.Close()
	if err = stampIndex(ctx, box); err == nil {
		return nil
	}
	if _, err := box.Update(ctx, WithIndex); err != nil {
		return err
	}
	return stampIndex(ctx, box)
}

// WithIndex is a change of nothing, for Update, behind which a mailbox has an index. Formats that do well without one make
// it to keep modseqs.
func WithIndex(tx formats.Tx) error {
	if k, ok := tx.(formats.ModSeqKeeper); ok {
		k.KeepModSeqs()
	}
	return nil
}

func stampIndex(ctx context.Context, box formats.Mailbox) error {
	return onIndexOf(box, func(dir *disk.Dir) error {
		x, err := index.Open(dir, index.Prefix)
		if err != nil {
			return err
		}
		defer x.Close()
		return x.Update(ctx, func(tx *index.Tx) error {
			now := binary.LittleEndian.AppendUint32(nil, uint32(time.Now().Unix()))
			if tx.State().Ext(renamedExt) == nil {
				tx.Introduce(index.Extension{Name: renamedExt, Header: now})
				return nil
			}
			tx.SetHeader(renamedExt, 0, now)
			return nil
		})
	})
}

// onIndexOf opens the folder where the index of a mailbox is, if it has one.
func onIndexOf(m formats.Mailbox, do func(dir *disk.Dir) error) error {
	s, ok := m.(formats.Sidecar)
	if !ok {
		return nil
	}
	dir, _, err := s.Side()
	if err != nil {
		return err
	}
	defer dir.Close()
	return do(dir)
}
