package mdbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// lookup finds map UIDs. A map that does not know one yet is read again: the folder may be newer than our map. again asks
// for that in any case: who purges moves messages to other files.
func (s *Store) lookup(uid formats.UID, again bool) (place, error) {
	st, err := s.mapState(again)
	if err != nil {
		return place{}, fmt.Errorf("map: %w", err)
	}
	p, ok := placeIn(st, uid)
	if !ok && !again && s.damage() == nil {
		return s.lookup(uid, true)
	}
	if !ok {
		if err := s.damage(); err != nil {
			return p, fmt.Errorf("map: %w", err)
		}
		return p, formats.Corrupt("map: no message %d", uid)
	}
	return p, nil
}

// damage says why the map can only be read in part; nil if it is whole.
func (s *Store) damage() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// mapState is readMap; a map that is lost or damaged is built anew where that may be done.
func (s *Store) mapState(refresh bool) (*index.State, error) {
	st, err := s.readMap(refresh)
	if err == nil {
		err = s.damage()
	}
	if err == nil || !s.mends() || !isDamage(err) || s.noStorage() {
		return st, errUnless(st, err)
	}
	if err := s.rebuild(context.Background(), fmt.Errorf("map: %w", err), nil, s.mapDamage); err != nil {
		return nil, err
	}
	return s.readMap(true)
}

// errUnless: what could be read of a damaged map is used.
func errUnless(st *index.State, err error) error {
	if st != nil {
		return nil
	}
	return err
}

func (s *Store) mapDamage() error {
	_, err := s.readMap(true)
	if err == nil {
		err = s.damage()
	}
	return err
}

// readMap gives the map as it was seen last, or, with refresh, as it is. Nobody who waits for the lock of the map is in
// the way: that is another handle.
func (s *Store) readMap(refresh bool) (*index.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == nil && s.broken == nil {
		if err := s.openMap(); err != nil {
			return nil, err
		}
		refresh = false
	}
	if s.broken != nil {
		return s.salvaged, nil
	}
	was := s.reader.Snapshot()
	if refresh {
		if _, err := s.reader.Refresh(); err != nil {
			return nil, err
		}
	}
	st := s.reader.Snapshot()
	if s.mends() && (s.reader.Gone() || s.known.After(st) || was.After(st)) {
		if was.After(s.known) {
			s.known = was
		}
		return nil, errCut
	}
	return st, nil
}

// openMap: of a damaged map, the places that can be read are used. Whether a message is there shows in its file.
func (s *Store) openMap() error {
	if err := s.openStorage(false); err != nil {
		return err
	}
	if s.maps == nil {
		return formats.Corrupt("there is no %s/", storageDir)
	}
	x, err := index.Open(s.maps, index.MapPrefix)
	if err == nil {
		s.reader = x
		return nil
	}
	if !errors.Is(err, formats.ErrCorrupt) {
		return err
	}
	if s.salvaged, _ = index.Read(s.maps, index.MapPrefix); s.salvaged == nil {
		return err
	}
	s.broken = err
	return nil
}

// openStorage opens storage/, and makes it if it is to. mu is held, but when the store is being opened.
func (s *Store) openStorage(create bool) (err error) {
	open := func(root, have *disk.Dir) (*disk.Dir, error) {
		switch {
		case have != nil:
			return have, nil
		case !create:
			return openDir(root, storageDir)
		}
		st, err := root.StatSelf()
		if err != nil {
			return nil, err
		}
		d, err := root.MakeDir(storageDir, st.Mode.Perm()|0o700)
		if err != nil {
			return nil, err
		}
		return d, root.Sync()
	}
	if s.files, err = open(s.Mail, s.files); err != nil {
		return err
	}
	if s.Index == s.Mail {
		s.maps = s.files
		return nil
	}
	s.maps, err = open(s.Index, s.maps)
	return err
}

// writableMap gives the handle of the map for writing, which is made if there is none. A damaged one is not written to.
func (s *Store) writableMap(ctx context.Context) (*index.Index, error) {
	open := func() (*index.Index, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.writer == nil {
			if err := s.openWriter(ctx); err != nil {
				return nil, fmt.Errorf("map: %w", err)
			}
		}
		return s.writer, nil
	}
	w, err := open()
	if err != nil && s.mends() && isDamage(err) {
		if err = s.rebuild(ctx, err, nil, s.mapDamage); err == nil {
			w, err = open()
		}
	}
	return w, err
}

func (s *Store) openWriter(ctx context.Context) error {
	if err := s.openStorage(true); err != nil {
		return err
	}
	if s.reader == nil && s.broken == nil {
		err := s.openMap()
		if errors.Is(err, fs.ErrNotExist) {
			if err := s.noFiles(); err != nil {
				return err
			}
			if s.reader, err = newMap(ctx, s.maps); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	if s.broken != nil {
		return fmt.Errorf("%w: repair a mailbox first, which builds it anew", s.broken)
	}
	x, err := index.Open(s.maps, index.MapPrefix)
	if err != nil {
		return err
	}
	if st := x.Snapshot(); st.Ext(extMap) == nil || st.Ext(extRef) == nil {
		err = x.Update(ctx, introduceMap) // Dovecot has begun with a map without messages
	}
	if err != nil {
		x.Close()
		return err
	}
	s.writer = x
	return nil
}

// noFiles refuses to make a map where there are messages already: theirs is lost.
func (s *Store) noFiles() error {
	names, err := s.files.Names()
	for _, name := range names {
		if _, ok := parseFileName(name); ok {
			return formats.Corrupt("is gone, and %s/ has messages", storageDir)
		}
	}
	return err
}

func introduceMap(ix *index.Tx) error {
	for _, e := range mapExtensions {
		ix.Introduce(e)
	}
	ix.SyncTail()
	return nil
}

var mapExtensions = []index.Extension{{Name: extMap, Header: make([]byte, 8), Size: 12, Align: 4}, {Name: extRef, Size: 2, Align: 2}}

func newMap(ctx context.Context, dir *disk.Dir) (*index.Index, error) {
	x, err := index.Create(ctx, dir, index.MapPrefix, index.New{Extensions: mapExtensions})
	if errors.Is(err, fs.ErrExist) {
		return index.Open(dir, index.MapPrefix) // another process has just made it
	}
	return x, err
}
