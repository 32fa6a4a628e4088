// Package mdbox reads Dovecot's multi-dbox format: many messages in each file, found through a map.
//
//	<mail>/storage/m.<file id>                               messages: package dbox
//	<alt>/storage/m.<file id>                                files moved to slower disks
//	<index>/storage/dovecot.map.index*                       the map: package index; its UIDs are "map UIDs"
//	<index>/mailboxes/<folder>/dbox-Mails/dovecot.index*     flags, keywords, UIDs of a folder
//
// Without an index root of its own the index files are below the mail root; with one a folder's index files are in
// <index>/mailboxes/<folder> directly.
//
//	map, extension "map"   header: u32 highest file id, u32 rebuild count
//	                       record: u32 file id, u32 offset, u32 size from the message header to the end of the
//	                       metadata, 0 for the last message of a file if it is larger than that
//	map, extension "ref"   record: u16 count of folder records that refer to the message
//	folder, "mdbox-hdr"    header: u32 UIDVALIDITY of the map, 16 bytes mailbox GUID, u8 flags, 3 unused
//	folder, "mdbox"        record: u32 map UID, u32 save date
//	folder, "guid"         record: 16 bytes of the message GUID's 128-bit form
//
// A copy is one more folder record for the same map UID. Expunged messages stay in their file, with a count of 0, until
// the store is purged. Nothing is written by this package yet.
//
// Tested against Dovecot 2.3.19.1.
package mdbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// Options say where a user's mail is.
type Options = tree.Options

const (
	storageDir = "storage"
	extHeader  = "mdbox-hdr"
	extRecord  = "mdbox"
	extMap     = "map"
)

var errReadOnly = fmt.Errorf("%w: mdbox cannot be written yet\nconvert to sdbox or maildir instead", formats.ErrReadOnly)

// Store is one user's mail.
type Store struct {
	*tree.Tree

	files *disk.Dir // storage/; nil when there is none yet
	alt   *disk.Dir // the same below the alt root
	maps  *disk.Dir // where the map is; may be files

	mu       sync.Mutex // guards the map
	index    *index.Index
	broken   error        // why the map cannot be used as it is
	salvaged *index.State // what could be read of it then
}

// Open opens the roots. The map is read when the first message needs it.
func Open(_ context.Context, o Options) (*Store, error) {
	t, err := tree.Open("mdbox", o)
	if err != nil {
		return nil, err
	}
	s := &Store{Tree: t}
	s.files, err = openDir(t.Mail, storageDir)
	if err == nil && t.Alt != nil {
		s.alt, err = openDir(t.Alt, storageDir)
	}
	s.maps = s.files
	if err == nil && t.Index != t.Mail {
		s.maps, err = openDir(t.Index, storageDir)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// openDir gives nil for a directory that does not exist.
func openDir(root *disk.Dir, name string) (*disk.Dir, error) {
	d, err := root.OpenDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return d, err
}

// Close gives the handles back.
func (s *Store) Close() error {
	if s.index != nil {
		s.index.Close()
	}
	if s.maps != s.files && s.maps != nil {
		s.maps.Close()
	}
	for _, d := range []*disk.Dir{s.files, s.alt} {
		if d != nil {
			d.Close()
		}
	}
	return s.Tree.Close()
}

// Limits of a store that is only read.
func (s *Store) Limits() formats.Limits {
	return formats.Limits{
		Format:         "mdbox",
		Separator:      "/",
		NameProblem:    s.Naming.Problem,
		SafeName:       s.Naming.Safe,
		KeywordProblem: func(string) string { return "" },
	}
}

// Create is not possible yet.
func (s *Store) Create(_ context.Context, name string, _ formats.Status) error {
	return &formats.Error{Op: "create mailbox", Mailbox: name, Err: errReadOnly}
}

// Rename is not possible yet.
func (s *Store) Rename(_ context.Context, from, _ string) error {
	return &formats.Error{Op: "rename mailbox", Mailbox: from, Err: errReadOnly}
}

// Delete is not possible yet.
func (s *Store) Delete(_ context.Context, name string) error {
	return &formats.Error{Op: "delete mailbox", Mailbox: name, Err: errReadOnly}
}

// SetSubscriptions is not possible yet.
func (s *Store) SetSubscriptions(context.Context, []string) error { return errReadOnly }

// place is where the map says that a message is.
type place struct {
	file, offset, size uint32
}

// lookup finds map UIDs. A map that does not know one yet is read again: the folder may be newer than our map.
func (s *Store) lookup(uid formats.UID) (place, error) {
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
	if !ok {
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

func placeIn(st *index.State, uid formats.UID) (place, bool) {
	i, ok := st.Find(uid)
	e := st.Ext(extMap)
	if !ok || e == nil || e.Size < 12 {
		return place{}, false
	}
	b := st.Data(i, e)
	u32 := binary.LittleEndian.Uint32
	return place{u32(b), u32(b[4:]), u32(b[8:])}, true
}

var (
	_ formats.Store      = (*Store)(nil)
	_ formats.Subscriber = (*Store)(nil)
	_ formats.Placer     = (*Store)(nil)
)
