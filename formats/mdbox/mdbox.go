// Package mdbox reads and writes Dovecot's multi-dbox format: many messages in each file, found through a map.
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
// somebody purges the store (Store.Purge, doveadm purge).
//
// # Order of writes
//
// New messages wait in memory or in a file with a temporary name. At commit they get to the end of one of the newest
// files, under its flock(2), or become a file of their own, durably; then one log transaction of the map makes them known,
// with one reference each; then one of the folder's index makes them visible. An expunge goes the other way round: the
// folder's index first, then the map's count. Death in between leaves messages in the map that no folder has: they cost
// space.
//
// Locks, in this order: a message file while something is added to it, the map's log, a folder's log. Dovecot takes the
// same ones in the same order. The map's log stays locked until the folder has what the map has; a message file only until
// the map has it. Readers take none.
//
// Tested against Dovecot 2.3.19.1.
package mdbox

import (
	"context"
	"errors"
	"io/fs"
	"sync"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// Options say where a user's mail is.
type Options = tree.Options

// Rotation says how files grow.
type Rotation = tree.Rotation

const (
	storageDir = "storage"
	extHeader  = "mdbox-hdr"
	extRecord  = "mdbox"
	extMap     = "map"
	extGUID    = "guid"
)

// Store is one user's mail.
type Store struct {
	*tree.Tree

	files *disk.Dir // storage/; nil when there is none yet
	alt   *disk.Dir // the same below the alt root
	maps  *disk.Dir // where the map is; may be files

	rebuilding sync.Mutex // taken before mu

	mu       sync.Mutex    // guards the map, and the handles above once the store is open
	swept    bool          // files of dead runs were looked for
	reader   *index.Index  // of the map
	writer   *index.Index  // the same; by this one its lock is taken
	tried    []formats.UID // map UIDs of messages for which the map was built anew
	known    *index.State  // of the map, from before it was damaged
	broken   error         // why the map cannot be used as it is
	salvaged *index.State  // what could be read of it then
}

// Open opens the roots. The map is read when the first message needs it.
func Open(_ context.Context, o Options) (*Store, error) {
	t, err := tree.Open("mdbox", o)
	if err != nil {
		return nil, err
	}
	s := &Store{Tree: t}
	err = s.openStorage(false)
	if err == nil && t.Alt != nil {
		s.alt, err = openDir(t.Alt, storageDir)
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
	for _, x := range []*index.Index{s.reader, s.writer} {
		if x != nil {
			x.Close()
		}
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

// Limits says what mdbox cannot hold.
func (s *Store) Limits() formats.Limits {
	return formats.Limits{
		Format:         "mdbox",
		Separator:      "/",
		NameProblem:    s.Naming.Problem,
		SafeName:       s.Naming.Safe,
		KeywordProblem: tree.KeywordProblem,
	}
}

var (
	_ formats.Store      = (*Store)(nil)
	_ formats.Subscriber = (*Store)(nil)
	_ formats.Noter      = (*Store)(nil)
	_ formats.Placer     = (*Store)(nil)
)
