package mdbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strconv"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

const (
	extRef = "ref"

	// maxRefs is how often a message may be referred to before copies are made of it (Dovecot 2.3,
	// mdbox_map_update_refcount).
	maxRefs = 32768

	// rotateSize is Dovecot's default of mdbox_rotate_size.
	rotateSize = 10 << 20

	// joinSize is up to where new messages are copied to the end of a file. More of them become a file of their own.
	joinSize = 1 << 20
)

func fileName(id uint32) string { return "m." + strconv.FormatUint(uint64(id), 10) }

// place is where the map says that a message is.
type place struct {
	file, offset, size uint32
}

func (p place) bytes() []byte {
	b := binary.LittleEndian.AppendUint32(nil, p.file)
	b = binary.LittleEndian.AppendUint32(b, p.offset)
	return binary.LittleEndian.AppendUint32(b, p.size)
}

// lookup finds map UIDs. A map that does not know one yet is read again: the folder may be newer than our map. again asks
// for that in any case: Dovecot moves messages to other files when it purges.
func (s *Store) lookup(uid formats.UID, again bool) (place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index == nil && s.broken == nil {
		if err := s.openMap(); err != nil {
			return place{}, fmt.Errorf("map: %w", err)
		}
	}
	if s.broken != nil {
		p, ok := placeIn(s.salvaged, uid)
		if !ok {
			return p, fmt.Errorf("map: %w", s.broken)
		}
		return p, nil
	}
	p, ok := placeIn(s.index.Snapshot(), uid)
	if !ok || again {
		if _, err := s.index.Refresh(); err != nil {
			return place{}, fmt.Errorf("map: %w", err)
		}
		p, ok = placeIn(s.index.Snapshot(), uid)
	}
	if !ok {
		return p, formats.Corrupt("map: no message %d", uid)
	}
	return p, nil
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
		s.index = x
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

// writableMap gives the map, which is made if there is none. A damaged one is not written to.
func (s *Store) writableMap(ctx context.Context) (*index.Index, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index == nil && s.broken == nil {
		if err := s.openStorage(true); err != nil {
			return nil, err
		}
		err := s.openMap()
		if errors.Is(err, fs.ErrNotExist) {
			s.index, err = newMap(ctx, s.maps)
		}
		if err != nil {
			return nil, fmt.Errorf("map: %w", err)
		}
	}
	if s.broken != nil {
		return nil, fmt.Errorf("map: %w: have Dovecot rebuild the storage first (doveadm force-resync)", s.broken)
	}
	if st := s.index.Snapshot(); st.Ext(extMap) == nil || st.Ext(extRef) == nil {
		return s.index, s.index.Update(ctx, func(ix *index.Tx) error { // Dovecot has begun with a map without messages
			ix.Introduce(mapExtensions[0])
			ix.Introduce(mapExtensions[1])
			ix.SyncTail()
			return nil
		})
	}
	return s.index, nil
}

var mapExtensions = []index.Extension{{Name: extMap, Header: make([]byte, 8), Size: 12, Align: 4}, {Name: extRef, Size: 2, Align: 2}}

func newMap(ctx context.Context, dir *disk.Dir) (*index.Index, error) {
	x, err := index.Create(ctx, dir, index.MapPrefix, index.New{Extensions: mapExtensions})
	if errors.Is(err, fs.ErrExist) {
		return index.Open(dir, index.MapPrefix) // another process has just made it
	}
	return x, err
}

func placeIn(st *index.State, uid formats.UID) (place, bool) {
	i, ok := st.Find(uid)
	if !ok {
		return place{}, false
	}
	return placeAt(st, i)
}

func placeAt(st *index.State, i int) (place, bool) {
	e := st.Ext(extMap)
	if e == nil || e.Size < 12 {
		return place{}, false
	}
	b := st.Data(i, e)
	u32 := binary.LittleEndian.Uint32
	return place{u32(b), u32(b[4:]), u32(b[8:])}, true
}

// refsOf tells how many messages of folders are the one with a map UID; there is false when the map does not have it.
func refsOf(st *index.State, uid formats.UID) (n int, there bool) {
	i, ok := st.Find(uid)
	e := st.Ext(extRef)
	if !ok || e == nil || e.Size < 2 {
		return 0, false
	}
	return int(binary.LittleEndian.Uint16(st.Data(i, e))), true
}

// edition is what changes when Dovecot builds the map anew, and with it all map UIDs.
type edition struct {
	validity formats.UIDValidity
	rebuilds uint32
}

func editionOf(st *index.State) edition {
	e := edition{validity: st.UIDValidity}
	if x := st.Ext(extMap); x != nil && len(x.Header) >= 8 {
		e.rebuilds = binary.LittleEndian.Uint32(x.Header[4:])
	}
	return e
}

func highestFile(st *index.State) uint32 {
	if x := st.Ext(extMap); x != nil && len(x.Header) >= 4 {
		return binary.LittleEndian.Uint32(x.Header)
	}
	return 0
}

// last opens the file of the newest message, locked, if there is room in it, and says where it ends. Who appends holds
// that lock until the map knows the messages, so a file that is longer has what a dead run left, and is left alone.
func (s *Store) last(x *index.Index, more int64) (f *disk.File, p place, err error) {
	if _, err := x.Refresh(); err != nil {
		return nil, p, err
	}
	fits := func() (ok bool) {
		st := x.Snapshot()
		if st.Len() == 0 {
			return false
		}
		p, ok = placeAt(st, st.Len()-1)
		return ok && p.size != 0 && int64(p.offset)+int64(p.size)+more <= s.rotateSize()
	}
	if !fits() {
		return nil, p, nil
	}
	file := p.file
	f, err = s.files.OpenWrite(fileName(file), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, p, nil // purged, or in the alt root
	}
	if err != nil {
		return nil, p, err
	}
	locked, err := f.TryFlock()
	if err == nil && locked {
		_, err = x.Refresh()
	}
	if err == nil && locked && fits() && p.file == file && endsWith(f, p) {
		return f, p, nil
	}
	f.Close()
	return nil, p, err
}

// endsWith tells whether nothing is behind a message, and whether the file is like those that we write.
func endsWith(f *disk.File, p place) bool {
	st, err := f.Stat()
	if err != nil || st.Links == 0 || st.Size != int64(p.offset)+int64(p.size) {
		return false
	}
	h, err := dbox.ReadFileHeader(f)
	return err == nil && h.Version == 2 && h.MessageHeader == dbox.MessageHeaderSize
}

func (s *Store) rotateSize() int64 {
	if s.Options.RotateSize > 0 {
		return min(s.Options.RotateSize, math.MaxUint32)
	}
	return rotateSize
}

// release takes references away, counted by map UID. Messages without any stay in their files until Dovecot purges.
func (s *Store) release(ctx context.Context, refs map[formats.UID]int) error {
	if len(refs) == 0 {
		return nil
	}
	x, err := s.writableMap(ctx)
	if err != nil {
		return err
	}
	return x.Update(ctx, func(ix *index.Tx) error {
		for _, uid := range slices.Sorted(maps.Keys(refs)) {
			if have, there := refsOf(ix.State(), uid); there && have > 0 {
				ix.Increment(extRef, uid, -int32(min(have, refs[uid])))
			}
		}
		ix.SyncTail()
		return nil
	})
}
